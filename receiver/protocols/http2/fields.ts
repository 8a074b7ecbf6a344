// The header fields that we keep, how each name is told, and the static table of HPACK. RFC 9113, 8.3; RFC 7541, appendix A.
import { equalsText } from '../../bytes/ascii.ts';

export const Field = {
  /** A field that is of no interest. */
  other: 0,
  /** A pseudo-header that does not exist. */
  otherPseudo: 1,
  method: 2,
  scheme: 3,
  authority: 4,
  path: 5,
  protocol: 6,
  status: 7,
  host: 8,
  userAgent: 9,
  traceparent: 10,
  tracestate: 11,
  forwarded: 12,
  xForwardedFor: 13,
  xForwardedProto: 14,
  contentType: 15,
  grpcStatus: 16,
  contentLength: 17,
  connectVersion: 18,
  /** The name is in an entry of the dynamic table that was lost. */
  unknown: 19,
  /** The same, and the value reads like a traceparent. */
  unknownTraceparent: 20,
} as const;
export type Field = (typeof Field)[keyof typeof Field];
export const FIELD_COUNT = 21;

const NAMES: ReadonlyMap<string, Field> = new Map<string, Field>([
  [':method', Field.method],
  [':scheme', Field.scheme],
  [':authority', Field.authority],
  [':path', Field.path],
  [':protocol', Field.protocol],
  [':status', Field.status],
  ['host', Field.host],
  ['user-agent', Field.userAgent],
  ['traceparent', Field.traceparent],
  ['tracestate', Field.tracestate],
  ['forwarded', Field.forwarded],
  ['x-forwarded-for', Field.xForwardedFor],
  ['x-forwarded-proto', Field.xForwardedProto],
  ['content-type', Field.contentType],
  ['grpc-status', Field.grpcStatus],
  ['content-length', Field.contentLength],
  ['connect-protocol-version', Field.connectVersion],
]);

/** By the length of a name: the fields whose names have it. */
const BY_LENGTH: readonly (readonly (readonly [string, Field])[] | undefined)[] = byLength();

function byLength(): (readonly [string, Field])[][] {
  const table: (readonly [string, Field])[][] = [];
  for (const entry of NAMES) (table[entry[0].length] ??= []).push(entry);
  return table;
}

const COLON = 0x3a;

export function fieldOf(bytes: Uint8Array, from: number, to: number): Field {
  const candidates = BY_LENGTH[to - from];
  if (candidates !== undefined) {
    for (let i = 0; i < candidates.length; i++) {
      const [name, field] = candidates[i] as readonly [string, Field];
      if (equalsText(bytes, from, to, name)) return field;
    }
  }
  return bytes[from] === COLON && to > from ? Field.otherPseudo : Field.other;
}

export function isPseudo(field: Field): boolean {
  return field >= Field.otherPseudo && field <= Field.status;
}

/** Is the value kept? */
export function isKept(field: Field): boolean {
  return field >= Field.method && field < Field.unknown;
}

/** What an entry takes of a table besides its texts (RFC 7541, 4.1). */
export const ENTRY_OVERHEAD = 32;

/** The static table, from index 1 on. */
const STATIC: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

export const STATIC_COUNT = STATIC.length;
/** By index less one. */
export const STATIC_FIELDS: readonly Field[] = STATIC.map(([name]) => NAMES.get(name) ?? Field.other);
export const STATIC_NAME_LENGTHS: readonly number[] = STATIC.map(([name]) => name.length);
export const STATIC_VALUES: readonly string[] = STATIC.map(([, value]) => value);
