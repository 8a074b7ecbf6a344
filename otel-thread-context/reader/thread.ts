// A thread pointer and a slot → the context of that thread, read from outside. The OTEP allows this only while the thread stands still: it is
// for tests and for explaining, not for observing. Whoever observes copies the record in the thread itself and decodes that.
import { isAddress, type ReadAt, readWord } from './bytes.ts';
import { tlsBlock } from './libc.ts';
import { nodejsRecord } from './nodejs.ts';
import {
  attributesSizeOf,
  decodeRecord,
  type DecodedRecord,
  isRecordAligned,
  MAX_ATTRIBUTES_SIZE,
  RECORD_HEADER_SIZE,
} from './record.ts';
import type { TlsLocation } from './tls-location.ts';

export type VariableAddress =
  | { readonly kind: 'address'; readonly address: number }
  /** The thread never touched the variable. */
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable'; readonly what: string };

/** Where a thread has the variable. */
export function variableAddress(read: ReadAt, location: TlsLocation, threadPointer: number): VariableAddress {
  if (location.model === 'unresolved') return { kind: 'unreadable', what: location.detail };
  if (!isAddress(threadPointer)) return { kind: 'unreadable', what: 'the thread pointer' };
  if (location.model === 'static') return { kind: 'address', address: threadPointer + location.offset };
  const block = tlsBlock(read, location.dtv, threadPointer, location.moduleId, location.generation);
  return block.kind === 'block' ? { kind: 'address', address: block.address + location.offset } : block;
}

/** The context of a thread that stands still. One that was changed meanwhile is refused as torn. */
export function readThreadContext(
  read: ReadAt,
  location: TlsLocation,
  threadPointer: number,
  keyMap: readonly string[],
  maxAttributesSize = MAX_ATTRIBUTES_SIZE,
  form: 'record_pointer' | 'nodejs' = 'record_pointer',
): DecodedRecord {
  const variable = variableAddress(read, location, threadPointer);
  if (variable.kind === 'none') return { kind: 'none', reason: 'no_block' };
  const recordNow = (): number | undefined => (variable.kind === 'address' ? recordAt(read, variable.address, form) : undefined);
  const record = recordNow();
  if (record === undefined) return { kind: 'refused', reason: 'unreadable' };
  if (record === 0) return { kind: 'none', reason: 'no_record' };
  const header = isAddress(record) ? read(record, RECORD_HEADER_SIZE) : undefined;
  if (!header) return { kind: 'refused', reason: 'unreadable' };
  if (!isRecordAligned(record)) return { kind: 'refused', reason: 'misaligned' };
  const size = attributesSizeOf(header);
  const isHeaderEnough = size === 0 || size > maxAttributesSize;
  const bytes = isHeaderEnough ? header : read(record, RECORD_HEADER_SIZE + size);
  if (!bytes) return { kind: 'refused', reason: 'unreadable' };
  const again = read(record, RECORD_HEADER_SIZE);
  const isSame = again && isEqual(again, header) && isEqual(bytes.subarray(0, RECORD_HEADER_SIZE), header);
  if (!isSame || recordNow() !== record) return { kind: 'refused', reason: 'torn' };
  return decodeRecord(bytes, keyMap, maxAttributesSize);
}

/** 0: there is none. */
function recordAt(read: ReadAt, variable: number, form: 'record_pointer' | 'nodejs'): number | undefined {
  if (form === 'record_pointer') return readWord(read, variable);
  const record = nodejsRecord(read, variable);
  if (record.kind === 'record') return record.address;
  return record.kind === 'none' ? 0 : undefined;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
