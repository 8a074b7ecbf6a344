// A process → the context that it publishes about itself: a mapping with a known name, a header, a payload elsewhere. OTEP 4719.
// https://github.com/open-telemetry/opentelemetry-specification/blob/main/oteps/profiles/4719-process-ctx.md
import { decodePayload, type Payload } from './attributes.ts';
import { isAddress, type ReadAt, u64, viewOf } from './bytes.ts';
import type { Mapping } from './mappings.ts';

export interface ProcessContext extends Payload {
  readonly kind: 'context';
  /** Of the header: stays the same as long as the process publishes. */
  readonly address: number;
  /** CLOCK_BOOTTIME, nanoseconds. Changes with every update. */
  readonly publishedAt: bigint;
}

export type ProcessContextRefusal =
  /** Not there, or not readable (any more). */
  | 'unreadable'
  | 'no_signature'
  | 'unsupported_version'
  /** Being changed whenever it was looked at: look again later. */
  | 'updating'
  | 'oversize'
  | 'malformed';

export type ProcessContextResult =
  | ProcessContext
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly reason: ProcessContextRefusal; readonly address: number; readonly detail: string };

export const PROCESS_CONTEXT_HEADER_SIZE = 32;
/** How the mapping's name begins, in the order of the OTEP's table. */
export const contextNames: readonly string[] = ['[anon_shmem:OTEL_CTX]', '[anon:OTEL_CTX]', '/memfd:OTEL_CTX'];

const SUPPORTED_VERSION = 2;
const MAX_PAYLOAD_SIZE = 256 * 1024;
const ATTEMPTS = 3;
/** A process that maps many things by that name is playing. */
const MAX_CANDIDATES = 8;

/** The first mapping of that name with a context in it; if there is none, why the last one is no context. */
export function findProcessContext(read: ReadAt, mappings: readonly Mapping[]): ProcessContextResult {
  let result: ProcessContextResult = { kind: 'absent' };
  let candidates = 0;
  for (const { name, start, isExecutable } of mappings) {
    if (isExecutable || !contextNames.some((known) => name.startsWith(known))) continue;
    if (++candidates > MAX_CANDIDATES) break;
    result = readProcessContext(read, start);
    if (result.kind === 'context') break;
  }
  return result;
}

/** The context whose header is at an address: that of the mapping, or what the process handed to prctl(2) to name it. */
export function readProcessContext(read: ReadAt, address: number): Exclude<ProcessContextResult, { kind: 'absent' }> {
  let last = attempt(read, address);
  for (let i = 1; i < ATTEMPTS && last.kind === 'refused' && last.reason === 'updating'; i++) last = attempt(read, address);
  return last;
}

/** The time of publication at `address`, to see whether a context has changed; undefined when there is none, or it is being changed. */
export function publishedAt(read: ReadAt, address: number): bigint | undefined {
  const bytes = isAddress(address) ? read(address + 16, 8) : undefined;
  const time = bytes ? viewOf(bytes).getBigUint64(0, true) : 0n;
  return time === 0n ? undefined : time;
}

function attempt(read: ReadAt, address: number): Exclude<ProcessContextResult, { kind: 'absent' }> {
  const refused = (reason: ProcessContextRefusal, detail: string) => ({ kind: 'refused' as const, reason, address, detail });
  const header = isAddress(address) ? read(address, PROCESS_CONTEXT_HEADER_SIZE) : undefined;
  if (!header) return refused('unreadable', 'the header');
  if (Buffer.from(header.buffer, header.byteOffset, 8).toString('latin1') !== 'OTEL_CTX') {
    return refused('no_signature', 'the mapping does not begin with OTEL_CTX');
  }
  const view = viewOf(header);
  const version = view.getUint32(8, true);
  if (version !== SUPPORTED_VERSION) return refused('unsupported_version', `version ${version}, not ${SUPPORTED_VERSION}`);
  const time = view.getBigUint64(16, true);
  if (time === 0n) return refused('updating', 'the time of publication is 0');
  const size = view.getUint32(12, true);
  const pointer = u64(view, 24);
  const isReadable = size > 0 && size <= MAX_PAYLOAD_SIZE && isAddress(pointer);
  const payload = isReadable ? read(pointer, size) : undefined;
  // Judged only now: an update may have freed the payload, or changed its size, while it was being read.
  if (publishedAt(read, address) !== time) return refused('updating', 'it changed while it was being read');
  if (size > MAX_PAYLOAD_SIZE) return refused('oversize', `a payload of ${size} bytes; the limit is ${MAX_PAYLOAD_SIZE}`);
  if (size > 0 && !payload) return refused('unreadable', 'the payload');
  const decoded = decodePayload(payload ?? new Uint8Array(0));
  if (!decoded) return refused('malformed', `the payload of ${size} bytes is no ProcessContext message`);
  return { kind: 'context', address, publishedAt: time, ...decoded };
}
