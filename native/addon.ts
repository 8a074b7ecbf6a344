// What the .node file offers, before index.ts validates and phrases. Failing calls return a Failure, calls on maps and rings a negative
// errno; nothing throws. Mirrors session_wrap.cc, ring_wrap.cc, host.cc and peer.cc.
import type { ProgramStatistics } from './index.ts';

export interface Failure {
  readonly errno: number;
  readonly operation: string;
  readonly log: string;
}

export interface AttachFailure extends Failure {
  readonly program: string;
}

export interface NativeMap {
  readonly index: number;
  readonly type: number;
  readonly flags: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly slots: number;
}

export interface NativeOpenOptions {
  readonly path: string;
  readonly constants: readonly [string, Uint8Array][];
  readonly mapEntries: readonly [string, number][];
  readonly autoload: readonly [string, boolean][];
}

export interface NativeSession {
  open(options: NativeOpenOptions): Failure | undefined;
  openInBackground(options: NativeOpenOptions): Promise<Failure | undefined>;
  attach(names: readonly string[]): AttachFailure[];
  /** The number by which detachProbes() knows them. */
  attachProbes(program: string, file: string, offsets: BigUint64Array, cookies: BigUint64Array): number | Failure;
  detachProbes(id: number, isInBackground: boolean): void;
  iterate(program: string, map: string, limit: number): Uint8Array | Failure;
  programs(): ProgramStatistics[] | Failure;
  findMap(name: string): NativeMap | undefined;
  lookup(map: number, key: Uint8Array, value: Uint8Array): number;
  update(map: number, key: Uint8Array, value: Uint8Array): number;
  remove(map: number, key: Uint8Array): number;
  nextKey(map: number, key: Uint8Array | undefined, next: Uint8Array): number;
  memory(map: number, size: number): ArrayBuffer | Failure;
  close(): void;
}

export interface NativeRing {
  open(session: NativeSession, map: number, size: number): Failure | undefined;
  drain(target: Uint8Array): number;
  pending(): number;
  watch(callback: () => void): Failure | undefined;
  close(): void;
}

export interface NativeStats {
  open(): Failure | undefined;
  close(): void;
}

export interface Addon {
  readonly Session: new () => NativeSession;
  readonly Ring: new () => NativeRing;
  readonly Stats: new () => NativeStats;
  limitAllocator(limits: { mmapThreshold: number; trimThreshold: number; arenas: number }): boolean;
  peerOf(fd: number): { pid: number; uid: number; cookie: [number, number] } | Failure;
  describeHost(): {
    kernelRelease: string;
    machine: string;
    hasKernelBtf: boolean;
    possibleCpus: number;
    effective: [number, number];
  };
}
