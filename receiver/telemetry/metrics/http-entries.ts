// Hot path. The dimensions of an exchange → the series that it is measured in. What was measured lately is found by comparing, without
// making a key; only what is not found there costs one.
import type { HttpDimensions } from '../../model/http-metrics.ts';
import type { AttributeList, AttributeValue } from '../../model/span.ts';
import type { DistributionSeries } from './series.ts';

/** One combination of dimensions, and its series of each metric that was measured under it. */
export interface HttpEntry {
  readonly isServer: boolean;
  readonly dimensions: Readonly<HttpDimensions>;
  duration: DistributionSeries | undefined;
  requestBodySize: DistributionSeries | undefined;
  responseBodySize: DistributionSeries | undefined;
}

/** Of each end of a name. */
const HASHED_CHARACTERS = 12;
const MIN_SLOTS = 16;
const MAX_SLOTS = 4_096;

/** The combinations of one service that were measured lately, as many as its traffic needs. */
export class HttpEntries {
  /** By slot; a power of two of them. */
  #slots = new Array<HttpEntry | undefined>(MIN_SLOTS).fill(undefined);
  /** Since the last change of size. */
  #evictions = 0;

  /** An unknown combination takes the place of another one, whose series stay where they are. */
  of(isServer: boolean, dimensions: HttpDimensions): HttpEntry {
    const hash = hashOf(isServer, dimensions);
    // Each has two places: its own, and that of its neighbour.
    let slot = hash & (this.#slots.length - 1);
    const entry = this.#slots[slot];
    if (entry?.isServer === isServer && isSame(entry.dimensions, dimensions)) return entry;
    const other = this.#slots[slot ^ 1];
    if (other?.isServer === isServer && isSame(other.dimensions, dimensions)) return other;
    const fresh: HttpEntry = {
      isServer,
      dimensions: { ...dimensions },
      duration: undefined,
      requestBodySize: undefined,
      responseBodySize: undefined,
    };
    if (entry !== undefined) {
      if (other !== undefined && ++this.#evictions > this.#slots.length && this.#slots.length < MAX_SLOTS) {
        this.#resize(this.#slots.length * 4);
        slot = hash & (this.#slots.length - 1);
      } else {
        this.#slots[slot ^ 1] = entry;
      }
    }
    this.#slots[slot] = fresh;
    return fresh;
  }

  /** Its series may have ended. */
  clear(): void {
    this.#resize(this.#slots.length);
  }

  /** What was there is found again by its key. */
  #resize(slots: number): void {
    this.#slots = new Array<HttpEntry | undefined>(slots).fill(undefined);
    this.#evictions = 0;
  }
}

function isSame(a: HttpDimensions, b: HttpDimensions): boolean {
  return (
    a.statusCode === b.statusCode &&
    a.method === b.method &&
    a.rpcMethod === b.rpcMethod &&
    a.rpcStatusCode === b.rpcStatusCode &&
    a.serverPort === b.serverPort &&
    a.serverAddress === b.serverAddress &&
    a.scheme === b.scheme &&
    a.protocolVersion === b.protocolVersion &&
    a.errorType === b.errorType
  );
}

/** What an exchange or a connection is told apart by besides its dimensions. */
export type OtherAttributes = Readonly<Record<string, string>>;

/** The attributes of these names that there are. */
export function attributesOf(dimensions: HttpDimensions, names: readonly string[], others?: OtherAttributes): AttributeList {
  const attributes: (string | AttributeValue)[] = [];
  for (const name of names) {
    const value = others?.[name] ?? valueOf(dimensions, name);
    if (value !== '' && value !== 0) attributes.push(name, value);
  }
  // Without the room that it was given to grow: it is kept as long as its series.
  return attributes.slice();
}

/** Different for different values of these names. */
export function keyOf(dimensions: HttpDimensions, names: readonly string[], others?: OtherAttributes): string {
  const values: (string | number)[] = [];
  for (const name of names) values.push(others?.[name] ?? valueOf(dimensions, name));
  // One piece of text, unlike one that is put together piece by piece: that would keep them all.
  return values.join('\0');
}

function valueOf(dimensions: HttpDimensions, name: string): string | number {
  switch (name) {
    case 'http.request.method':
      return dimensions.method;
    case 'url.scheme':
      return dimensions.scheme;
    case 'error.type':
      return dimensions.errorType;
    case 'http.response.status_code':
      return dimensions.statusCode;
    case 'network.protocol.version':
      return dimensions.protocolVersion;
    case 'rpc.system.name':
      return dimensions.rpcMethod === '' ? '' : 'grpc';
    case 'rpc.method':
      return dimensions.rpcMethod;
    case 'rpc.status_code':
      return dimensions.rpcStatusCode;
    case 'server.address':
      return dimensions.serverAddress;
    case 'server.port':
      return dimensions.serverPort;
    default:
      return '';
  }
}

/** Of what mostly differs between the exchanges of one service: the status, the method, and of clients the server. */
function hashOf(isServer: boolean, dimensions: HttpDimensions): number {
  const { statusCode, method, rpcMethod, rpcStatusCode, serverAddress, serverPort } = dimensions;
  let hash = statusCode * 31 + serverPort + (isServer ? 7 : 0);
  hash =
    rpcMethod === ''
      ? Math.imul(hash, 31) + method.charCodeAt(0) * 8 + method.length
      : addName(Math.imul(hash, 31) + rpcStatusCode.length, rpcMethod);
  hash = addName(hash, serverAddress);
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return hash ^ (hash >>> 15);
}

/** The beginning and the end of a name are where names of one kind differ; reading all of it would cost more than a miss now and then. */
function addName(hash: number, name: string): number {
  const { length } = name;
  const head = Math.min(length, HASHED_CHARACTERS);
  for (let i = 0; i < head; i++) hash = Math.imul(hash, 31) + name.charCodeAt(i);
  for (let i = Math.max(head, length - HASHED_CHARACTERS); i < length; i++) hash = Math.imul(hash, 31) + name.charCodeAt(i);
  return hash;
}
