// A publisher of the other architecture under user-mode emulation, as a kernel of that architecture would show it: without the emulator's own
// mappings, with code that is executable, and with the auxiliary vector that the program itself has.
import { openProcess, type ObservedProcess, type ProcessHandle } from '../../../otel-thread-context/reader/index.ts';
import type { Publisher } from './publisher.ts';

export const emulator: readonly string[] = ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu'];

export class EmulatedProcess implements ObservedProcess {
  readonly #handle: ProcessHandle;
  readonly #programHeaders: number;

  constructor(publisher: Publisher) {
    this.#handle = openProcess(publisher.pid);
    this.#programHeaders = publisher.programHeaders;
  }

  readonly readMemory: ObservedProcess['readMemory'] = (address, size) => this.#handle.readMemory(address, size);

  readMaps(): Uint8Array | undefined {
    const listing = Buffer.from(this.#handle.readMaps() ?? []).toString('utf8');
    const guest = listing.split('\n').filter((line) => !line.includes('/qemu-aarch64'));
    // The emulator translates code and never executes it in place.
    return Buffer.from(guest.map((line) => line.replace(/^(\S+) r--p (\S+ \S+ [1-9]\d* +\/)(?!memfd)/, '$1 r-xp $2')).join('\n'));
  }

  readAuxiliaryVector(): Uint8Array {
    const vector = new BigUint64Array([3n, BigInt(this.#programHeaders), 0n, 0n]);
    return new Uint8Array(vector.buffer);
  }

  openMapped: ObservedProcess['openMapped'] = (mapping) => this.#handle.openMapped(mapping);

  close(): void {
    this.#handle.close();
  }
}
