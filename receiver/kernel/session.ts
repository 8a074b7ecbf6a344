// The kernel side as one object: loads and attaches the BPF programs with the configured filters, seeds what is older than us, and
// hands out the ring's bytes, the shared controls and the kernel's own counters.
import {
  type BpfObject,
  builtPath,
  type Capabilities,
  capabilities,
  NativeError,
  openObjectInBackground,
  type Peer,
  peerOf,
  type ProbeSite,
  type ProgramStatistics,
  type Ring,
} from '../../native/index.ts';
import { ReceiverError } from '../errors.ts';
import { Claims } from './claims.ts';
import { compileFilter, type FilterRule, type FilterTables } from './filter-maps.ts';
import { ContextPlaces } from './context-places.ts';
import { bound, control, counter, tlsTarget } from './layout.ts';
import { missingPrivileges, type Privilege } from './privileges.ts';
import { firstWithSocketTracepoints, isOlder, oldestRelease } from './release.ts';

export interface KernelOptions {
  readonly filter: {
    readonly include: readonly FilterRule[];
    readonly exclude: readonly FilterRule[];
    readonly loopback: boolean;
  };
  /** A power of two. */
  readonly ringBufferSizeBytes: number;
  /** The attributes in the contexts of threads are wanted. Default: their ids are enough. */
  readonly hasContextAttributes?: boolean;
  /** Programs are told of as they begin. Default: not. */
  readonly tellsExecs?: boolean;
  /** How TCP connections fare is wanted: at their end, and from {@link KernelSession.vitals}. Default: it costs nothing. */
  readonly hasVitals?: boolean;
  /** Processes may register where their threads have their contexts. Default: not; then nothing of it is loaded. */
  readonly hasRegistration?: boolean;
}

export type KernelCounters = Readonly<Record<keyof typeof counter, number>>;

/** Bytes of one direction that the kernel copies before user space must have caught up. */
export const windowSize = bound.windowSize;
/** TLS libraries that are probed at a time. */
export const maxTlsTargets = bound.maxTlsTargets;

/** The fields of struct control in 64-bit words. */
export const controlLayout = {
  words: control.sizeOf / 8,
  cookie: control.cookie / 8,
  ignore: control.ignore / 8,
  until: control.until / 8,
  parsed: control.parsed / 8,
  walk: control.walk / 8,
  knownFrameBit: bound.knownFrameBit,
};

export class KernelSession {
  readonly #object: BpfObject;
  readonly #ring: Ring;
  readonly #shedShare: Uint32Array;
  readonly controls: ArrayBuffer;
  /** Where the threads of processes have their contexts. */
  readonly contextPlaces: ContextPlaces;
  /** What processes claim of themselves. */
  readonly claims: Claims;

  constructor(object: BpfObject) {
    this.#object = object;
    this.#ring = object.ring('ring');
    this.controls = object.memory('controls');
    this.#shedShare = new Uint32Array(object.memory('.data.overload'));
    this.contextPlaces = new ContextPlaces(object.memory('context_places'), object.memory('place_changes'));
    this.claims = new Claims(object.map('claims'), object.memory('.data.claims'));
  }

  /** Copies whole records into `target`, each behind its length (u32) and padded to 8 bytes; returns the bytes written. */
  drain(target: Uint8Array): number {
    return this.#ring.drain(target);
  }

  /** Bytes in the ring that are not drained yet. */
  get pendingBytes(): number {
    return this.#ring.pending();
  }

  /** This share of the connections, 0 to 1, is left out from now on, each from its next exchange; what was left out beyond it is no longer. */
  leaveOut(share: number): void {
    Atomics.store(this.#shedShare, 0, Math.round(share * bound.shedAll));
  }

  /** Called when the kernel asks to be drained before the next timer does. */
  onReadable(callback: () => void): void {
    this.#ring.onReadable(callback);
  }

  /** Cookies of all sockets that the kernel side keeps state for. */
  liveConnections(): Set<number> {
    const bytes = this.#object.iterate('live_connections', 'conns');
    const cookies = new BigUint64Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / 8));
    const live = new Set<number>();
    for (const cookie of cookies) live.add(Number(cookie));
    return live;
  }

  /** How living connections fare, those that are new or have moved since the last call: vitals_event after vitals_event. */
  vitals(): Uint8Array {
    return this.#object.iterate('living_vitals', 'vitals');
  }

  /**
   * Has a program run at instructions of a file, in all processes that map it. Throws when the kernel refuses. After `close` they may
   * run for a tenth of a second.
   */
  attachProbes(program: string, file: string, sites: readonly ProbeSite[]): { close(): void } {
    const probes = this.#object.attachProbes(program, file, sites);
    return {
      close: () => {
        probes.release();
      },
    };
  }

  /** Has the probes tell whose cookies have this index. `known`: what those of Go have to know (struct tls_target). */
  activateTarget(index: number, known: Uint8Array | undefined, monotonicNs: () => bigint): void {
    const bytes = new Uint8Array(tlsTarget.sizeOf);
    if (known !== undefined) bytes.set(known);
    const view = new DataView(bytes.buffer);
    view.setUint32(tlsTarget.active, 1, true);
    const targets = this.#object.map('tls_targets');
    targets.update(u32(index), bytes);
    // Only now that they do: a call that began while the kernel was told is not to count as seen.
    view.setBigUint64(tlsTarget.since, monotonicNs(), true);
    targets.update(u32(index), bytes);
  }

  /** They tell no more. */
  clearTarget(index: number): void {
    this.#object.map('tls_targets').update(u32(index), new Uint8Array(tlsTarget.sizeOf));
  }

  counters(): KernelCounters {
    const map = this.#object.map('counters');
    const key = new Uint8Array(4);
    const read = (index: number): number => {
      new DataView(key.buffer).setUint32(0, index, true);
      const values = map.lookup(key);
      if (values === undefined) return 0;
      const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
      let sum = 0;
      for (let at = 0; at + 8 <= values.byteLength; at += 8) sum += Number(view.getBigUint64(at, true));
      return sum;
    };
    const names = Object.keys(counter) as (keyof typeof counter)[];
    return Object.fromEntries(names.map((name) => [name, read(counter[name])])) as KernelCounters;
  }

  /** Runs of our programs that the kernel skipped because one was running on that CPU already. */
  recursionMisses(): number {
    return this.#object.programs().reduce((sum, program) => sum + program.recursionMisses, 0);
  }

  programs(): readonly ProgramStatistics[] {
    return this.#object.programs();
  }

  close(): void {
    this.#object.close();
  }
}

/** Who connected this UNIX stream socket to us; undefined when it is none any more. */
export function unixPeerOf(fd: number): Peer | undefined {
  try {
    return peerOf(fd);
  } catch (error) {
    if (error instanceof NativeError) return undefined;
    throw error;
  }
}

/** Loads, on another thread: the kernel takes half a second to verify the programs. They see nothing before they are attached. */
export async function loadPrograms(options: KernelOptions): Promise<LoadedPrograms> {
  const { possibleCpus: cpus, kernelRelease } = checkPlatform();
  const hasTracepoints = !isOlder(kernelRelease, firstWithSocketTracepoints);
  const objectPath = builtPath('usm.bpf.o');
  const filter = compileFilter(options.filter.include, options.filter.exclude);
  const object = await openObjectInBackground({
    object: objectPath,
    constants: {
      ring_size: u32(options.ringBufferSizeBytes),
      cpu_count: u32(cpus),
      capture_loopback: u32(options.filter.loopback ? 1 : 0),
      tell_execs: u32(options.tellsExecs === true ? 1 : 0),
      context_attributes: u32(options.hasContextAttributes === true ? 1 : 0),
      has_registration: u32(options.hasRegistration === true ? 1 : 0),
      include_rules: u64(filter.includeRules),
      exclude_rules: u64(filter.excludeRules),
      any_local_port: u64(filter.anyLocalPort),
      any_remote_port: u64(filter.anyRemotePort),
      any_address: u64(filter.anyAddress),
      any_pid: u64(filter.anyPid),
      any_executable: u64(filter.anyExecutable),
      any_cgroup: u64(filter.anyCgroup),
    },
    // Of each CPU one for programs that can be preempted, and one for the others.
    mapEntries: { ring: options.ringBufferSizeBytes, scratches: 2 * cpus },
    autoload: {
      ...(hasTracepoints ? {} : fromFunctionEnds),
      ...(options.hasVitals === true ? { vitals_changed: true, seed_vitals: true, living_vitals: true } : {}),
      ...(options.hasRegistration === true
        ? { [hasTracepoints ? 'proof_sent' : 'proof_sent_end']: true, process_forked: true }
        : {}),
    },
  }).catch((error: unknown) => {
    throw explain(error, 'USM_BPF_LOAD', 'load the BPF programs');
  });
  try {
    fillFilter(object, filter);
    return new LoadedPrograms(object, options.hasVitals === true);
  } catch (error) {
    object.close();
    throw error;
  }
}

/** What {@link loadPrograms} has loaded: to be attached, or closed. */
export class LoadedPrograms {
  readonly #object: BpfObject;
  readonly #hasVitals: boolean;

  constructor(object: BpfObject, hasVitals: boolean) {
    this.#object = object;
    this.#hasVitals = hasVitals;
  }

  /** Attaches and seeds. From the return on, nothing that moves is missed. Closes, where that fails. */
  attach(): KernelSession {
    const object = this.#object;
    try {
      // Who we are and who listens, before anything is attached; then the hooks; then what is older than they are: nothing falls between.
      attempt('USM_SEED_FAILED', 'identify the receiver to its BPF programs', () => object.iterate('identify_self'));
      attempt('USM_SEED_FAILED', 'enumerate the listening sockets', () => object.iterate('seed_listeners'));
      attempt('USM_BPF_ATTACH', 'attach the BPF programs', () => {
        object.attach();
      });
      attempt('USM_SEED_FAILED', 'enumerate the open sockets', () => {
        object.iterate('seed_sockets');
        if (this.#hasVitals) object.iterate('seed_vitals');
      });
      return new KernelSession(object);
    } catch (error) {
      object.close();
      throw error;
    }
  }

  close(): void {
    this.#object.close();
  }
}

function fillFilter(object: BpfObject, filter: FilterTables): void {
  const fill = <K>(name: string, values: ReadonlyMap<K, bigint>, key: (value: K) => Uint8Array): void => {
    const map = object.map(name);
    for (const [value, rules] of values) map.update(key(value), u64(rules));
  };
  attempt('USM_BPF_LOAD', 'set the filters', () => {
    fill('local_ports', filter.localPorts, u32);
    fill('remote_ports', filter.remotePorts, u32);
    fill('pids', filter.pids, u32);
    fill('executables', filter.executables, pathKey);
    fill('cgroups', filter.cgroups, pathKey);
    const addresses = object.map('addresses');
    for (const { prefix, rules } of filter.prefixes) {
      addresses.update(Uint8Array.from([...u32(prefix.bits), ...prefix.address]), u64(rules));
    }
  });
}

/** Where a socket's I/O is hooked: at two tracepoints, or, on kernels that do not have them, at the ends of the functions behind them. */
const fromFunctionEnds = {
  socket_sent: false,
  socket_received: false,
  inet_sent: true,
  inet_received: true,
  inet6_sent: true,
  inet6_received: true,
  unix_sent: true,
  inet_page_sent: true,
  unix_page_sent: true,
  unix_received: true,
};

/** Throws a ReceiverError where nothing can be captured: that this is no such machine is known before anything is opened. */
export function checkPlatform(): Capabilities {
  const platform = attempt('USM_ADDON_MISSING', 'load the native addon', capabilities);
  refuseOld(platform.kernelRelease);
  if (!platform.hasKernelBtf) {
    throw new ReceiverError('USM_KERNEL_BTF_MISSING', {
      attempted: 'capture on',
      on: `Linux ${platform.kernelRelease}`,
      happened: '/sys/kernel/btf/vmlinux does not exist',
    });
  }
  return platform;
}

/** `release`: as uname has it. */
export function refuseOld(release: string): void {
  if (!isOlder(release, oldestRelease)) return;
  throw new ReceiverError('USM_KERNEL_TOO_OLD', {
    attempted: 'capture on',
    on: `Linux ${release}`,
    happened: 'its BPF lacks what capture needs',
  });
}

type KernelErrorCode = 'USM_ADDON_MISSING' | 'USM_BPF_LOAD' | 'USM_BPF_ATTACH' | 'USM_SEED_FAILED';

function attempt<T>(code: KernelErrorCode, attempted: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explain(error, code, attempted);
  }
}

/** The error with the words of this receiver, if it comes from the kernel. */
function explain(error: unknown, code: KernelErrorCode, attempted: string): unknown {
  if (!(error instanceof NativeError)) return error;
  if (error.code === 'EPERM' || error.code === 'EACCES') {
    const missing = missingPrivileges(capabilities().effective).filter(({ loss }) => loss === undefined);
    // The verifier refuses with EACCES too; then its log says why.
    if (error.code === 'EPERM' || missing.length > 0)
      return new ReceiverError('USM_PRIVILEGE_MISSING', { attempted, ...refusalOf(missing, error.message) }, error);
  }
  if (error.code === 'ENOENT' && code === 'USM_BPF_LOAD') {
    return new ReceiverError('USM_BPF_OBJECT_MISSING', { attempted, happened: error.message }, error);
  }
  return new ReceiverError(code, { attempted, happened: error.message }, error);
}

/** What the kernel has refused, by the name of what is missing. */
function refusalOf(missing: readonly Privilege[], message: string): { readonly happened: string; readonly remedy: string } {
  const names = missing.map(({ capability }) => capability).join(' and ');
  if (missing.length > 0) {
    return { happened: `${message}: this process lacks ${names}`, remedy: `run it as root, or with ${names}` };
  }
  return {
    happened: `${message}: this process has CAP_BPF and CAP_PERFMON, but something else forbids it`,
    remedy:
      'run it in the user namespace of the host, with a seccomp profile and a security module that allow bpf(2) and perf_event_open(2)',
  };
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function u64(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer);
}

/** A path of bpf's struct path_key: zero-padded, cut where the kernel cuts. */
function pathKey(path: string): Uint8Array {
  const key = new Uint8Array(bound.filterPath);
  key.set(new TextEncoder().encode(path).subarray(0, bound.filterPath - 1));
  return key;
}
