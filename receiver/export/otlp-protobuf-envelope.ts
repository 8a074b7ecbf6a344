// Hot path. What is around the items of an OTLP request: resource by resource, one scope each. The messages of traces and metrics are the
// same up to their names: request { ResourceX { resource, ScopeX { scope, items, schema_url }, schema_url } }
// (https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto/collector).
import type { Resource } from '../model/resource.ts';
import type { AttributeValue } from '../model/span.ts';
import type { InstrumentationScope } from './exporter.ts';
import { fieldSize, ProtobufWriter } from './protobuf-writer.ts';
import { RequestBuffers } from './request-buffers.ts';
import type { ResourceGroups } from './resource-groups.ts';

/** Only the width of the guess matters: 128 to 16,383 bytes take two. */
const EXPECTED_RESOURCE_BYTES = 600;

export class RequestEnvelope {
  readonly #scope: Uint8Array;
  readonly #schemaUrl: Uint8Array;
  readonly #buffers = new RequestBuffers();

  constructor(scope: InstrumentationScope) {
    this.#scope = encodeScope(scope);
    this.#schemaUrl = encodeSchemaUrl(scope.schemaUrl);
  }

  /** `items`: fields 2 of ScopeX, in the order in which they came; `groups`: whose they are. */
  wrap(items: Uint8Array, groups: ResourceGroups): Uint8Array {
    const fixed = this.#scope.length + this.#schemaUrl.length;
    let size = 0;
    for (const group of groups.all()) {
      const inner = fieldSize(fixed + group.size) + group.resource.length + this.#schemaUrl.length;
      size += fieldSize(inner);
    }
    const request = new ProtobufWriter(this.#buffers.take(size));
    for (const group of groups.all()) {
      const inner = fixed + group.size;
      request.lengthField(0x0a, fieldSize(inner) + group.resource.length + this.#schemaUrl.length); // resource_spans, resource_metrics
      request.copy(group.resource);
      request.lengthField(0x12, inner); // scope_spans, scope_metrics
      request.copy(this.#scope);
      for (let i = 0; i < group.ranges.length; i += 2) {
        request.copy(items.subarray(group.ranges[i], group.ranges[i + 1]));
      }
      request.copy(this.#schemaUrl);
      request.copy(this.#schemaUrl);
    }
    return request.written();
  }

  /** Takes the memory of a request back. */
  release(request: Uint8Array): void {
    this.#buffers.release(request);
  }
}

/** A field of KeyValue whose own field 1 is `key`. */
export function writeKeyValue(writer: ProtobufWriter, tag: number, key: Uint8Array, value: AttributeValue): void {
  if (typeof value === 'string') {
    writer.keyTextField(tag, key, value);
    return;
  }
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    writer.keyIntField(tag, key, value);
    return;
  }
  const start = writer.open(1, tag);
  writer.copy(key);
  const valueStart = writer.open(1, 0x12); // value
  if (typeof value === 'number') {
    writer.byte(0x21); // double_value
    writer.double(value);
  } else if (typeof value === 'boolean') {
    writer.byte(0x10); // bool_value
    writer.byte(value ? 1 : 0);
  } else {
    const arrayStart = writer.open(1, 0x2a); // array_value
    for (const item of value) {
      const itemStart = writer.open(1, 0x0a); // values
      writer.textField(0x0a, item); // string_value
      writer.close(itemStart, 1);
    }
    writer.close(arrayStart, 1);
  }
  writer.close(valueStart, 1);
  writer.close(start, 1);
}

export function encodeKey(name: string): Uint8Array {
  const writer = new ProtobufWriter(Buffer.allocUnsafeSlow(EXPECTED_RESOURCE_BYTES));
  writer.textField(0x0a, name);
  return writer.take();
}

/** Field 1 of ResourceSpans or ResourceMetrics, tag included. */
export function encodeResource(resource: Resource): Uint8Array {
  const writer = new ProtobufWriter(Buffer.allocUnsafeSlow(EXPECTED_RESOURCE_BYTES));
  const start = writer.open(EXPECTED_RESOURCE_BYTES, 0x0a);
  for (const [name, value] of resource.attributes) writeKeyValue(writer, 0x0a, encodeKey(name), value); // attributes
  writer.close(start, EXPECTED_RESOURCE_BYTES);
  return writer.take();
}

/** Field 1 of ScopeSpans or ScopeMetrics, tag included. */
function encodeScope(scope: InstrumentationScope): Uint8Array {
  const writer = new ProtobufWriter(Buffer.allocUnsafeSlow(EXPECTED_RESOURCE_BYTES));
  const start = writer.open(1, 0x0a);
  writer.textField(0x0a, scope.name); // name
  if (scope.version !== '') writer.textField(0x12, scope.version); // version
  writer.close(start, 1);
  return writer.take();
}

/** Field 3 of both levels, tag included. */
function encodeSchemaUrl(schemaUrl: string): Uint8Array {
  const writer = new ProtobufWriter(Buffer.allocUnsafeSlow(EXPECTED_RESOURCE_BYTES));
  if (schemaUrl !== '') writer.textField(0x1a, schemaUrl);
  return writer.take();
}
