// The whole native surface: libbpf in, bytes out. Loads a BPF object, attaches its programs, reads its maps and rings.
// Knows no protocol and holds no policy; this file validates and phrases, the addon converts and acts.
// More than 400 lines: it is one surface, and belongs before the reader in one piece.
import { createRequire } from 'node:module';
import type { Addon, Failure, NativeMap, NativeOpenOptions, NativeRing, NativeSession } from './addon.ts';
import { findBuilt } from './built.ts';
import { NativeError, closed, invalid } from './error.ts';

export { builtPath } from './built.ts';
export { NativeError } from './error.ts';

export interface OpenOptions {
  /** Path of the BPF object. */
  readonly object: string;
  /** `const volatile` globals by name, in the machine's byte order and exactly as large as the object declares them. */
  readonly constants?: Readonly<Record<string, Uint8Array>>;
  /** `max_entries` by map name, in place of what the object says. For a ring: bytes, a power of two and of pages. */
  readonly mapEntries?: Readonly<Record<string, number>>;
  /** Programs not to load (false) although the object has them, or to load (true) although it says not to. */
  readonly autoload?: Readonly<Record<string, boolean>>;
}

export interface ProgramStatistics {
  readonly name: string;
  readonly id: number;
  /** Both only move while statistics are enabled, see {@link enableStats}. */
  readonly runTimeNs: number;
  readonly runCount: number;
  /** Runs that the kernel skipped because the program was already running on that CPU. */
  readonly recursionMisses: number;
}

export interface Capabilities {
  readonly kernelRelease: string;
  /** As `uname -m` says: 'x86_64', 'aarch64'. */
  readonly machine: string;
  /** /sys/kernel/btf/vmlinux is there and may be read. */
  readonly hasKernelBtf: boolean;
  readonly possibleCpus: number;
  /** Effective capabilities of this thread, of those that matter here. */
  readonly effective: ReadonlySet<CapabilityName>;
}

export type CapabilityName = keyof typeof capabilityBits;

/** linux/capability.h */
const capabilityBits = {
  CAP_DAC_READ_SEARCH: 2,
  CAP_NET_ADMIN: 12,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
  CAP_CHECKPOINT_RESTORE: 40,
} as const;

/** enum bpf_map_type and map flags, linux/bpf.h */
const RINGBUF = 27;
const MMAPABLE = 1 << 10;
const MAX_ITERATOR_OUTPUT = 64 * 1024 * 1024;

/** Each record that {@link Ring.drain} writes begins with this many bytes: its length as u32, and zeros. */
export const RECORD_HEADER_SIZE = 8;

/** Opens, prepares and loads, which takes as long as the verifier needs. */
export function openObject(options: OpenOptions): BpfObject {
  const addon = loadAddon();
  const session = new addon.Session();
  check(session.open(nativeOptions(options)));
  return new BpfObject(addon, session);
}

/** As {@link openObject}, on another thread. */
export async function openObjectInBackground(options: OpenOptions): Promise<BpfObject> {
  const addon = loadAddon();
  const session = new addon.Session();
  check(await session.openInBackground(nativeOptions(options)));
  return new BpfObject(addon, session);
}

function nativeOptions({ object, constants, mapEntries, autoload }: OpenOptions): NativeOpenOptions {
  return {
    path: object,
    constants: Object.entries(constants ?? {}),
    mapEntries: Object.entries(mapEntries ?? {}),
    autoload: Object.entries(autoload ?? {}),
  };
}

/** A loaded BPF object. Everything that came from it ends with it. */
export class BpfObject {
  readonly #addon: Addon;
  readonly #session: NativeSession;
  readonly #rings = new Set<Ring>();
  #isClosed = false;

  /** Use {@link openObject}. */
  constructor(addon: Addon, session: NativeSession) {
    this.#addon = addon;
    this.#session = session;
  }

  /**
   * Attaches the named programs, or all but iterators and probes. What is attached already stays so. All are tried; if some fail, the error
   * lists them and gives the first one's reason, and the others stay attached.
   */
  attach(programs: readonly string[] = []): void {
    const failures = this.#open().attach(programs);
    const [first] = failures;
    if (first !== undefined) {
      throw new NativeError(
        first,
        failures.map((failure) => failure.program),
      );
    }
  }

  /**
   * Has a program of SEC("uprobe") run before each of the instructions (at bytes from the beginning of the file), in every process that
   * has the file mapped, now or later: all of them, or none. `cookie` (64 bits) is what bpf_get_attach_cookie() gives it. The path is
   * looked up once: whatever takes the file's name afterwards is another file. A file that is not mapped yet is not looked into, so what
   * stands at an offset is the caller's to know. Blocks for as long as the kernel needs to patch the processes, milliseconds.
   */
  attachProbes(program: string, file: string, sites: readonly ProbeSite[]): Probes {
    const operation = `attach program '${program}' to file '${file}'`;
    for (const { offset, cookie } of sites) {
      if (!Number.isSafeInteger(offset) || offset < 0) throw invalid(operation, `${String(offset)} is no offset`);
      if (cookie !== BigInt.asUintN(64, cookie)) throw invalid(operation, `the cookie ${String(cookie)} has more than 64 bits`);
    }
    const offsets = BigUint64Array.from(sites, ({ offset }) => BigInt(offset));
    const cookies = BigUint64Array.from(sites, ({ cookie }) => cookie);
    const id = check(this.#open().attachProbes(program, file, offsets, cookies));
    return new Probes((isInBackground) => {
      if (!this.#isClosed) this.#session.detachProbes(id, isInBackground);
    });
  }

  /** Runs an iterator program over all its objects and returns what it wrote (64 MiB at most). `map`: for iterators over a map. */
  iterate(program: string, map = ''): Uint8Array {
    return check(this.#open().iterate(program, map, MAX_ITERATOR_OUTPUT));
  }

  /** A map by name; the sections '.bss' and '.data' are maps too. */
  map(name: string): BpfMap {
    return new BpfMap(() => this.#open(), name, this.#find(name));
  }

  /**
   * The memory of an array map with BPF_F_MMAPABLE, shared with the kernel: values at multiples of their size rounded up to 8.
   * Plain loads and stores; what must be seen in order is written with `Atomics`. Becomes empty (detached) with close().
   */
  memory(name: string): ArrayBuffer {
    const map = this.#find(name);
    if ((map.flags & MMAPABLE) === 0) throw invalid(`share memory of map '${name}'`, 'it is not BPF_F_MMAPABLE');
    return check(this.#open().memory(map.index, roundUp8(map.valueSize) * map.maxEntries));
  }

  /** The reading side of a ring buffer. A ring has one reader: asking twice gives two that take records from each other. */
  ring(name: string): Ring {
    const map = this.#find(name);
    if (map.type !== RINGBUF) throw invalid(`open ring '${name}'`, 'it is not a ring buffer');
    const native = new this.#addon.Ring();
    check(native.open(this.#open(), map.index, map.maxEntries));
    const ring = new Ring(native, name, map.maxEntries, () => this.#rings.delete(ring));
    this.#rings.add(ring);
    return ring;
  }

  programs(): readonly ProgramStatistics[] {
    return check(this.#open().programs());
  }

  /** Detaches and unloads everything. May be called twice. Also happens when the environment (process, worker) ends. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const ring of this.#rings) ring.close();
    this.#session.close();
  }

  #open(): NativeSession {
    if (this.#isClosed) throw closed('BPF object');
    return this.#session;
  }

  #find(name: string): NativeMap {
    const map = this.#open().findMap(name);
    if (map === undefined)
      throw new NativeError({ errno: 2, operation: `find map '${name}'`, log: 'the object has no such map' });
    return map;
  }
}

export interface ProbeSite {
  readonly offset: number;
  readonly cookie: bigint;
}

/** A program at instructions of a file. */
export class Probes {
  #detach: ((isInBackground: boolean) => void) | undefined;

  /** Use {@link BpfObject.attachProbes}. */
  constructor(detach: (isInBackground: boolean) => void) {
    this.#detach = detach;
  }

  /** Detaches all. May be called twice; closing the object does it too. */
  close(): void {
    this.#detach?.(false);
    this.#detach = undefined;
  }

  /** As close(), which blocks for tens of milliseconds; this does not, but the last of them may run until a tenth of a second later. */
  release(): void {
    this.#detach?.(true);
    this.#detach = undefined;
  }
}

/** A map of a loaded object. Keys and values are bytes in the machine's byte order. */
export class BpfMap {
  readonly name: string;
  readonly keySize: number;
  /** Of one value. */
  readonly valueSize: number;
  readonly maxEntries: number;
  /** Values per key: 1, or the number of possible CPUs. */
  readonly slots: number;
  /** Bytes of a lookup: `valueSize`, or for per-CPU maps `slots` values, each rounded up to 8 bytes. */
  readonly lookupSize: number;
  readonly #session: () => NativeSession;
  readonly #index: number;

  /** Use {@link BpfObject.map}. */
  constructor(session: () => NativeSession, name: string, map: NativeMap) {
    this.#session = session;
    this.#index = map.index;
    this.name = name;
    this.keySize = map.keySize;
    this.valueSize = map.valueSize;
    this.maxEntries = map.maxEntries;
    this.slots = map.slots;
    this.lookupSize = map.slots === 1 ? map.valueSize : roundUp8(map.valueSize) * map.slots;
  }

  /** The value, written into `into` when given, or undefined when the key is not there. */
  lookup(key: Uint8Array, into: Uint8Array = new Uint8Array(this.lookupSize)): Uint8Array | undefined {
    this.#expectSize('key', key, this.keySize);
    this.#expectSize('value', into, this.lookupSize);
    return this.#isDone('look up in', this.#session().lookup(this.#index, key, into)) ? into : undefined;
  }

  /** Inserts or replaces. A per-CPU map takes all slots at once. */
  update(key: Uint8Array, value: Uint8Array): void {
    this.#expectSize('key', key, this.keySize);
    this.#expectSize('value', value, this.lookupSize);
    const error = this.#session().update(this.#index, key, value);
    if (error < 0) throw new NativeError({ errno: -error, operation: `update map '${this.name}'`, log: '' });
  }

  /** True when the key was there. */
  delete(key: Uint8Array): boolean {
    this.#expectSize('key', key, this.keySize);
    return this.#isDone('delete from', this.#session().remove(this.#index, key));
  }

  /** All entries, for small maps. While others write, an entry may be missed or seen twice. */
  entries(): readonly (readonly [key: Uint8Array, value: Uint8Array])[] {
    const entries: (readonly [Uint8Array, Uint8Array])[] = [];
    let key: Uint8Array | undefined;
    // A hash map starts over when the current key vanishes: the bound is what ends such a walk.
    for (let step = 0; step < this.maxEntries; step++) {
      const next = new Uint8Array(this.keySize);
      if (!this.#isDone('walk', this.#session().nextKey(this.#index, key, next))) break;
      const value = this.lookup(next);
      if (value !== undefined) entries.push([next, value]);
      key = next;
    }
    return entries;
  }

  #isDone(verb: string, error: number): boolean {
    if (error === 0) return true;
    if (error === -2) return false; // ENOENT
    throw new NativeError({ errno: -error, operation: `${verb} map '${this.name}'`, log: '' });
  }

  #expectSize(what: string, bytes: Uint8Array, size: number): void {
    if (bytes.byteLength === size) return;
    throw invalid(`use map '${this.name}'`, `its ${what} has ${String(size)} bytes, ${String(bytes.byteLength)} were given`);
  }
}

/** The reading side of a BPF ring buffer. */
export class Ring {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #native: NativeRing;
  readonly #onClose: () => void;
  #isClosed = false;

  /** Use {@link BpfObject.ring}. */
  constructor(native: NativeRing, name: string, sizeBytes: number, onClose: () => void) {
    this.#native = native;
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.#onClose = onClose;
  }

  /**
   * Hot path. Copies whole records into `target`, oldest first, until the ring is empty, the next record is still being written, or
   * it would not fit (it stays). Returns the bytes written, a multiple of 8. Record layout: length as u32, u32 zero, then the record
   * at offset {@link RECORD_HEADER_SIZE}, zero-padded to 8 bytes. Throws EMSGSIZE if the next record exceeds all of `target`.
   */
  drain(target: Uint8Array): number {
    const written = this.#native.drain(target);
    if (written < 0) throw this.#failure('drain', written);
    return written;
  }

  /** Bytes that are not read yet, 8 per record and unfinished records included. */
  pending(): number {
    const pending = this.#native.pending();
    if (pending < 0) throw this.#failure('read', pending);
    return pending;
  }

  /**
   * Calls back once per wake-up that the kernel sends (not per record, and not while records without wake-up gather; once at the
   * start if there is something to read). A callback that leaves records behind is not called again for them. Does not keep the
   * process alive. A second call replaces the callback.
   */
  onReadable(callback: () => void): void {
    if (this.#isClosed) throw closed(`ring '${this.name}'`);
    check(this.#native.watch(callback));
  }

  /** May be called twice; closing the object does it too. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#native.close();
    this.#onClose();
  }

  #failure(verb: string, error: number): Error {
    return this.#isClosed
      ? closed(`ring '${this.name}'`)
      : new NativeError({ errno: -error, operation: `${verb} ring '${this.name}'`, log: '' });
  }
}

/** Makes the kernel measure run time and count of all BPF programs until close() (idempotent) or the end of the process. */
export function enableStats(): { close(): void } {
  const stats = new (loadAddon().Stats)();
  check(stats.open());
  return {
    close: () => {
      stats.close();
    },
  };
}

export interface AllocatorLimits {
  /** Bytes; larger blocks are given back to the kernel as they are freed. */
  readonly mmapThreshold: number;
  /** Bytes of free memory at the top of the heap that are kept. */
  readonly trimThreshold: number;
  readonly arenas: number;
}

/** Sets how much freed memory the C library keeps, for the whole process. False where it has no such knobs (musl). */
export function limitAllocator(limits: AllocatorLimits): boolean {
  return loadAddon().limitAllocator(limits);
}

export interface Peer {
  /** In our own pid namespace; 0 when it is not visible there. */
  readonly pid: number;
  /** In our own user namespace. */
  readonly uid: number;
  /** Of this end of the connection, unique on this host until it restarts. */
  readonly cookie: bigint;
}

/** Who connected this UNIX stream socket to us: the process as it was at connect(2), whoever holds its end by now. */
export function peerOf(fd: number): Peer {
  const { cookie, ...credentials } = check(loadAddon().peerOf(fd));
  return { ...credentials, cookie: BigInt(cookie[0]) | (BigInt(cookie[1]) << 32n) };
}

/** Facts for a good error message. */
export function capabilities(): Capabilities {
  const { effective, ...host } = loadAddon().describeHost();
  const mask = BigInt(effective[0]) | (BigInt(effective[1]) << 32n);
  const names = (Object.keys(capabilityBits) as CapabilityName[]).filter((name) => (mask >> BigInt(capabilityBits[name])) & 1n);
  return { ...host, effective: new Set(names) };
}

/** `require` keeps it, once per thread. */
function loadAddon(): Addon {
  const operation = 'load the addon';
  const built = findBuilt('usm.node');
  if (built.kind === 'missing') throw new NativeError({ errno: 2, operation, log: built.reason });
  try {
    return createRequire(import.meta.url)(built.path) as Addon;
  } catch (error) {
    // The C library is an older one, or the file is for another architecture: the loader says which.
    const log = error instanceof Error ? error.message : String(error);
    throw new NativeError({ errno: 8, operation: `${operation} '${built.path}'`, log });
  }
}

function check<T>(result: T): Exclude<T, Failure> {
  if (typeof result === 'object' && result !== null && 'errno' in result) throw new NativeError(result as unknown as Failure);
  return result as Exclude<T, Failure>;
}

function roundUp8(size: number): number {
  return (size + 7) & ~7;
}
