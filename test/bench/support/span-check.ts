// Spans of numbered requests (numbered-answers.ts), as OTLP protobuf → whether each has the answer to its own request, is the only one, is told
// by the program that did it, and hangs below the other end of its exchange. Reads only what it needs: millions of spans pass.
import { numberedAnswer, numberedFolder } from './numbered-answers.ts';

export interface SpanCheckResult {
  readonly spans: number;
  readonly wrong: number;
  /** Came before, and are right. */
  readonly repeated: number;
  /** What is wrong with the first of those that are. */
  readonly examples: readonly string[];
  /** Exchanges with the spans of both ends. */
  readonly pairs: number;
  /** Of these, those whose server's span has no parent: it was not known in time whose it is. */
  readonly unjoined: number;
}

type Value = string | number;

const SERVER = 2;
const CLIENT = 3;
const services: Readonly<Record<number, string>> = { [SERVER]: 'nginx', [CLIENT]: 'fixed-rate' };
const wanted: ReadonlySet<string> = new Set([
  'service.name',
  'http.request.method',
  'http.response.status_code',
  'http.response.body.size',
  'error.type',
  'url.path',
  'url.full',
]);
const MAX_EXAMPLES = 5;
const EMPTY = Buffer.alloc(0);

export class SpanCheck {
  /** By number of the request: kinds that were seen, as bits. */
  readonly #seen: Uint8Array;
  readonly #clients: BigUint64Array;
  readonly #parents: BigUint64Array;
  /** The last 64 bits. */
  readonly #traces: readonly [ofClients: BigUint64Array, ofServers: BigUint64Array];
  readonly #examples: string[] = [];
  #spans = 0;
  #wrong = 0;
  #repeated = 0;

  /** `requests`: all numbers are below. */
  constructor(requests: number) {
    this.#seen = new Uint8Array(requests);
    this.#clients = new BigUint64Array(requests);
    this.#parents = new BigUint64Array(requests);
    this.#traces = [new BigUint64Array(requests), new BigUint64Array(requests)];
  }

  /** An ExportTraceServiceRequest. */
  take(request: Buffer): void {
    eachField(request, (field, _, resourceSpans) => {
      if (field !== 1) return;
      let service: Value | undefined;
      eachField(resourceSpans, (part, __, content) => {
        if (part === 1) service = attributesIn(content, 1).get('service.name');
        if (part !== 2) return;
        eachField(content, (inScope, ___, span) => {
          if (inScope === 2) this.#takeSpan(span, service);
        });
      });
    });
  }

  result(): SpanCheckResult {
    let pairs = 0;
    let unjoined = 0;
    const both = (1 << SERVER) | (1 << CLIENT);
    for (const [number, kinds] of this.#seen.entries()) {
      if (kinds !== both) continue;
      pairs++;
      if (this.#parents[number] === 0n) unjoined++;
      else if (this.#parents[number] !== this.#clients[number]) this.#blame(`request ${number}: below another client's span`);
      else if (this.#traces[0][number] !== this.#traces[1][number]) this.#blame(`request ${number}: in another trace`);
    }
    return { spans: this.#spans, wrong: this.#wrong, repeated: this.#repeated, examples: this.#examples, pairs, unjoined };
  }

  #takeSpan(bytes: Buffer, service: Value | undefined): void {
    this.#spans++;
    let [trace, id, parent] = [0n, 0n, 0n];
    let kind = 0;
    eachField(bytes, (field, value, content) => {
      if (field === 1) trace = content.readBigUInt64BE(8);
      else if (field === 2) id = content.readBigUInt64BE();
      else if (field === 4 && content.length > 0) parent = content.readBigUInt64BE();
      else if (field === 6) kind = value;
    });
    const attributes = attributesIn(bytes, 9);
    const url = String((kind === SERVER ? attributes.get('url.path') : attributes.get('url.full')) ?? '');
    const path = url.replace(/^http:\/\/[^/]+/, '');
    const number = Number(/^\/\d\d\/(\d+)$/.exec(path)?.[1] ?? NaN);
    const blame = (what: string): void => {
      this.#blame(`span of kind ${kind} for '${url}': ${what}`);
    };
    if (!(number < this.#seen.length) || path !== `${numberedFolder(number)}${number}`) {
      blame('no such request');
      return;
    }
    const seen = this.#seen[number]!;
    const [ids, traces] = kind === CLIENT ? [this.#clients, this.#traces[0]] : [this.#parents, this.#traces[1]];
    const told = kind === CLIENT ? id : parent;
    if ((seen & (1 << kind)) !== 0) {
      if (ids[number] === told && traces[number] === trace) this.#repeated++;
      else blame('another one came before');
      return;
    }
    this.#seen[number] = seen | (1 << kind);
    ids[number] = told;
    traces[number] = trace;
    const { status, size } = numberedAnswer(number);
    const said = (name: string): Value | undefined => attributes.get(name);
    if (service !== services[kind]) blame(`told by ${service}`);
    else if (said('http.request.method') !== 'GET') blame(`method ${said('http.request.method')}`);
    else if (said('http.response.status_code') !== status)
      blame(`status ${said('http.response.status_code')} (${said('error.type')}) instead of ${status}`);
    // A size may be unknown, after a loss.
    else if ((said('http.response.body.size') ?? size) !== size)
      blame(`${said('http.response.body.size')} bytes instead of ${size}`);
  }

  #blame(what: string): void {
    this.#wrong++;
    if (this.#examples.length < MAX_EXAMPLES) this.#examples.push(what);
  }
}

/** Of the attributes in the fields `number` of a message, those that are wanted. */
function attributesIn(message: Buffer, number: number): ReadonlyMap<string, Value> {
  const found = new Map<string, Value>();
  eachField(message, (field, _, keyValue) => {
    if (field !== number) return;
    let key = '';
    eachField(keyValue, (part, __, content) => {
      if (part === 1) key = content.toString('latin1');
      if (part !== 2 || !wanted.has(key)) return;
      eachField(content, (type, value, text) => {
        found.set(key, type === 1 ? text.toString('latin1') : value);
      });
    });
  });
  return found;
}

/** Calls `visit` for each field: its number, its value if it is a varint, its bytes if it has any. Throws where a message is cut short. */
function eachField(bytes: Buffer, visit: (field: number, value: number, content: Buffer) => void): void {
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes.readUInt8(at++);
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const readBytes = (size: number): Buffer => {
    if (at + size > bytes.length) throw new Error('a field goes beyond the end');
    at += size;
    return bytes.subarray(at - size, at);
  };
  while (at < bytes.length) {
    const tag = readVarint();
    const field = tag >>> 3;
    switch (tag & 7) {
      case 0:
        visit(field, readVarint(), EMPTY);
        break;
      case 1:
        visit(field, 0, readBytes(8));
        break;
      case 2:
        visit(field, 0, readBytes(readVarint()));
        break;
      case 5:
        visit(field, 0, readBytes(4));
        break;
      default:
        throw new Error(`wire type ${tag & 7}`);
    }
  }
}
