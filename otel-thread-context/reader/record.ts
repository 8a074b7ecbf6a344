// The bytes of a thread's record → its context, or why there is none. Layout and rules: OTEP 4947.
// https://github.com/open-telemetry/opentelemetry-specification/blob/main/oteps/profiles/4947-thread-ctx.md
import { isUtf8 } from 'node:buffer';
import { viewOf } from './bytes.ts';

/** Trace id, span id, valid, trace flags, size of the attributes. */
export const RECORD_HEADER_SIZE = 28;
/** What the OTEP recommends as a record's limit, less the header. */
export const MAX_ATTRIBUTES_SIZE = 612;
/** A key is one byte in a record. */
export const MAX_KEYS = 256;

export interface ThreadContext {
  readonly kind: 'context';
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  /** All eight bits as they are. 0 does not mean unsampled: many writers always write 0. */
  readonly flags: number;
  /** The last value of each key. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Keys that the map does not have: it has grown, or the writer is wrong. Their entries are left out. */
  readonly unknownKeys: readonly number[];
  /** The last entry was cut off, and left out. */
  readonly isTruncated: boolean;
}

export type NoContextReason = 'no_record' | 'not_valid' | 'zero_ids' | 'no_block';
export type RefusedReason = 'short' | 'misaligned' | 'oversize' | 'half_set' | 'torn' | 'unreadable';

export type DecodedRecord =
  | ThreadContext
  /** The thread is in no span; nothing is wrong. */
  | { readonly kind: 'none'; readonly reason: NoContextReason }
  /** Something is there that is no record. */
  | { readonly kind: 'refused'; readonly reason: RefusedReason };

const NO_CONTEXT = {
  notValid: { kind: 'none', reason: 'not_valid' },
  zeroIds: { kind: 'none', reason: 'zero_ids' },
} as const;

/** True when a pointer may be that of a record: the OTEP has them aligned to two bytes. */
export function isRecordAligned(address: number): boolean {
  return address % 2 === 0;
}

/** Of the header's bytes: how many bytes of attributes follow, 0 when there is nothing to read them for. */
export function attributesSizeOf(header: Uint8Array): number {
  return header[24] === 1 ? viewOf(header).getUint16(26, true) : 0;
}

/**
 * A record of which [0, bytes.length) was copied, in the thread itself or while it stood still. `keyMap` is the process context's; a key
 * that is '' there has no name, and its entries are left out. Attributes above `maxAttributesSize` bytes are refused, not cut.
 */
export function decodeRecord(
  bytes: Uint8Array,
  keyMap: readonly string[],
  maxAttributesSize = MAX_ATTRIBUTES_SIZE,
): DecodedRecord {
  if (bytes.length < RECORD_HEADER_SIZE) return { kind: 'refused', reason: 'short' };
  if (bytes[24] !== 1) return NO_CONTEXT.notValid;
  const hasTrace = isAnySet(bytes, 0, 16);
  const hasSpan = isAnySet(bytes, 16, 24);
  if (!hasTrace && !hasSpan) return NO_CONTEXT.zeroIds;
  if (!hasTrace || !hasSpan) return { kind: 'refused', reason: 'half_set' };
  const size = attributesSizeOf(bytes);
  if (size > maxAttributesSize) return { kind: 'refused', reason: 'oversize' };
  if (bytes.length < RECORD_HEADER_SIZE + size) return { kind: 'refused', reason: 'short' };

  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const attributes = new Map<string, string>();
  const unknownKeys: number[] = [];
  const end = RECORD_HEADER_SIZE + size;
  let at = RECORD_HEADER_SIZE;
  while (at + 2 <= end) {
    const next = at + 2 + (bytes[at + 1] as number);
    if (next > end) break;
    const index = bytes[at] as number;
    const key = keyMap[index];
    if (key === undefined) unknownKeys.push(index);
    else if (key !== '') attributes.set(key, validText(buffer.subarray(at + 2, next)));
    at = next;
  }
  return {
    kind: 'context',
    traceId: buffer.toString('hex', 0, 16),
    spanId: buffer.toString('hex', 16, 24),
    flags: bytes[25] as number,
    attributes,
    unknownKeys,
    isTruncated: at !== end,
  };
}

function isAnySet(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return true;
  return false;
}

/** The longest beginning that is UTF-8: a writer may have cut a value in the middle of a character. At most 255 bytes. */
function validText(bytes: Buffer): string {
  let size = bytes.length;
  while (!isUtf8(bytes.subarray(0, size))) size--;
  return bytes.toString('utf8', 0, size);
}
