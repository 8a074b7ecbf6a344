// The test object (probe.bpf.c) and its trigger: each kill() of a process id that nobody has makes it carry out the current order.
import { fileURLToPath } from 'node:url';
import { type BpfObject, openObject, openObjectInBackground, type OpenOptions, RECORD_HEADER_SIZE } from '../../native/index.ts';

export const probePath = fileURLToPath(new URL('../../build/test/probe.bpf.o', import.meta.url));
export const rejectedPath = fileURLToPath(new URL('../../build/test/rejected.bpf.o', import.meta.url));

/** Above any pid_max, so kill() finds nobody; each test has its own. */
export function uniqueTarget(): number {
  return 0x7000_0000 + Math.floor(Math.random() * 0xfff_ffff);
}

export function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

export function u64(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

export function openProbe(target: number, ringSize?: number): BpfObject {
  return openObject(probeOptions(target, ringSize));
}

export function openProbeInBackground(target: number): Promise<BpfObject> {
  return openObjectInBackground(probeOptions(target));
}

function probeOptions(target: number, ringSize = 4096): OpenOptions {
  return {
    object: probePath,
    constants: { target: u32(target), kill_number: u64(process.arch === 'arm64' ? 129 : 62) },
    mapEntries: { ring: ringSize },
  };
}

export function trigger(target: number): void {
  try {
    process.kill(target, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Submission flags of bpf_ringbuf_output, and the test object's own. */
export const orderFlags = { none: 0, noWakeup: 1, forceWakeup: 2, discard: 4 } as const;

export function setOrder(object: BpfObject, size: number, count: number, flags: number): void {
  new BigUint64Array(object.memory('orders')).set([BigInt(size), BigInt(count), BigInt(flags)]);
}

export interface Record {
  readonly index: number;
  readonly length: number;
}

/** The records that a drain wrote: each begins with its index within its order (when it is that long). */
export function readRecords(bytes: Uint8Array, written: number): Record[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: Record[] = [];
  for (let at = 0; at < written;) {
    const length = view.getUint32(at, true);
    records.push({ index: view.getUint32(at + RECORD_HEADER_SIZE, true), length });
    at += (RECORD_HEADER_SIZE + length + 7) & ~7;
  }
  return records;
}
