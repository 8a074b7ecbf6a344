// What is around the items of an OTLP/JSON request: resource by resource, one scope each; the same for traces and metrics up to the names
// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
import type { Resource } from '../model/resource.ts';
import type { AttributeList, AttributeValue } from '../model/span.ts';
import { EncodedNames } from './encoded-names.ts';
import type { InstrumentationScope } from './exporter.ts';

const COMMA = Buffer.from(',');

export interface RequestKeys {
  readonly resource: 'resourceSpans' | 'resourceMetrics';
  readonly scope: 'scopeSpans' | 'scopeMetrics';
  readonly items: 'spans' | 'metrics';
}

/** Owns the caches that make encoding cheap. */
export class JsonRequest {
  /** Ends a request: a newline where requests are lines. */
  readonly #end: string;
  readonly #requestKeys: RequestKeys;
  readonly #scope: string;
  readonly #schemaUrl: string;
  readonly #keys = new EncodedNames(encodeKey);
  readonly #resources = new WeakMap<Resource, string>();
  #groups = new Map<Resource, Buffer[]>();
  #bytes = 0;

  constructor(keys: RequestKeys, scope: InstrumentationScope, end: string) {
    this.#requestKeys = keys;
    this.#end = end;
    const version = scope.version === '' ? '' : `,"version":${JSON.stringify(scope.version)}`;
    this.#scope = `"scope":{"name":${JSON.stringify(scope.name)}${version}}`;
    this.#schemaUrl = scope.schemaUrl === '' ? '' : `,"schemaUrl":${JSON.stringify(scope.schemaUrl)}`;
  }

  /** 0 as long as nothing was added. */
  get bytes(): number {
    return this.#bytes;
  }

  add(resource: Resource, item: string): void {
    let items = this.#groups.get(resource);
    if (items === undefined) {
      items = [];
      this.#groups.set(resource, items);
      this.#bytes += this.#resource(resource).length;
    } else {
      items.push(COMMA);
    }
    const encoded = Buffer.from(item);
    items.push(encoded);
    this.#bytes += encoded.length + 1;
  }

  finish(): Uint8Array {
    const keys = this.#requestKeys;
    const parts: Buffer[] = [];
    let text = `{"${keys.resource}":[`;
    for (const [resource, items] of this.#groups) {
      text += `{"resource":${this.#resource(resource)},"${keys.scope}":[{${this.#scope},"${keys.items}":[`;
      parts.push(Buffer.from(text));
      for (const part of items) parts.push(part);
      text = `]${this.#schemaUrl}}]${this.#schemaUrl}},`;
    }
    if (parts.length > 0) text = text.slice(0, -1);
    parts.push(Buffer.from(`${text}]}${this.#end}`));
    this.#groups = new Map();
    this.#bytes = 0;
    return Buffer.concat(parts);
  }

  /** A list of KeyValue. */
  attributes(attributes: AttributeList): string {
    let text = '[';
    for (let i = 0; i + 1 < attributes.length; i += 2) {
      if (i > 0) text += ',';
      text += `${this.#keys.of(attributes[i] as string)}${anyValue(attributes[i + 1] as AttributeValue)}}`;
    }
    return `${text}]`;
  }

  #resource(resource: Resource): string {
    const known = this.#resources.get(resource);
    if (known !== undefined) return known;
    let text = '';
    for (const [name, value] of resource.attributes) {
      text += `${text === '' ? '' : ','}${this.#keys.of(name)}${anyValue(value)}}`;
    }
    const encoded = text === '' ? '{}' : `{"attributes":[${text}]}`;
    this.#resources.set(resource, encoded);
    return encoded;
  }
}

/** The beginning of a KeyValue, up to its value. */
function encodeKey(name: string): string {
  return `{"key":${JSON.stringify(name)},"value":`;
}

function anyValue(value: AttributeValue): string {
  if (typeof value === 'string') return `{"stringValue":${JSON.stringify(value)}}`;
  if (typeof value === 'boolean') return `{"boolValue":${value}}`;
  if (typeof value === 'number') {
    // A template writes -0 as 0, which is right for an integer.
    if (Number.isSafeInteger(value)) return `{"intValue":"${value}"}`;
    return `{"doubleValue":${Number.isFinite(value) ? value : `"${value}"`}}`;
  }
  if (value.length === 0) return '{"arrayValue":{}}';
  let items = '';
  for (const item of value) items += (items === '' ? '' : ',') + anyValue(item);
  return `{"arrayValue":{"values":[${items}]}}`;
}
