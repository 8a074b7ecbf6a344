// Processes, as they are there and as they come → the TLS libraries that they run, probed. Nobody looks at all processes again and again: once at the
// start, then at those that execute a program, and at those that encrypt without that we can read it.
import type { ProcessId } from '../model/process.ts';
import { type Mapping, parseMappings } from '../../otel-thread-context/reader/index.ts';
import { Background, type Work } from './background.ts';
import { type ProbedFile, ProbedFiles, type ProbedFilesCounters, type ProbedFilesOptions } from './probed-files.ts';
import type { Procfs } from './procfs.ts';

export interface TlsTargetsOptions extends ProbedFilesOptions {
  readonly procfs: Procfs;
  /** Milliseconds, never going back. */
  readonly nowMs: () => number;
  readonly defer: (callback: () => void) => void;
}

export interface TlsTargetsCounters extends ProbedFilesCounters {
  /** Processes whose mappings were read, again and again counted. */
  readonly looks: number;
}

/** What is known of a process that encrypts. */
interface Encrypting {
  readonly startTime: number;
  /** Plaintext of it was seen. */
  isRead: boolean;
  looks: number;
  dueMs: number;
}

/** A process that encrypts, and of which nothing is read, is looked at again: libraries may be loaded late. */
const DELAYS_MS = [0, 1_000, 5_000, 60_000, 600_000];
const MAX_ENCRYPTING = 32_768;
const MAX_WAITING = 4096;
/** A library that no process has mapped stays probed for so long: the next one that comes is read from its first byte. */
const LIBRARY_GRACE_NS = 300e9;
const SWEEP_INTERVAL_MS = 30_000;

export class TlsTargets {
  readonly #options: TlsTargetsOptions;
  readonly #files: ProbedFiles;
  readonly #background: Background;
  readonly #encrypting = new Map<number, Encrypting>();
  #looks = 0;
  #sweptMs: number;
  #isSweeping = false;

  constructor(options: TlsTargetsOptions) {
    this.#options = options;
    this.#files = new ProbedFiles(options);
    this.#background = new Background(options);
    this.#sweptMs = options.nowMs();
  }

  /** Examines what {@link start} will probe: the kernel side need not be there. */
  prepare(): void {
    this.#files.isHeld = true;
    this.#background.add(this.#lookAtHost(), false);
    this.#background.add(this.#lookAtAll(), false);
  }

  /** Begins with the libraries of the host and with the processes that are there. Calls back when it has seen them all. */
  start(callback: () => void): void {
    this.#files.isHeld = false;
    this.#background.add(this.#lookAtHost(), true);
    this.#background.add(this.#lookAtAll(), false);
    this.#background.whenIdle(callback);
  }

  /** A process runs another program now. */
  executed(pid: number): void {
    this.#encrypting.delete(pid);
    if (this.#background.size < MAX_WAITING) this.#background.add(this.#lookAtProgram(pid), true);
  }

  /** A process has a connection that carries TLS. */
  encrypts({ pid, startTime }: ProcessId): void {
    const { nowMs } = this.#options;
    let known = this.#encrypting.get(pid);
    if (known?.startTime !== startTime) {
      this.#encrypting.delete(pid);
      known = { startTime, isRead: false, looks: 0, dueMs: 0 };
      this.#encrypting.set(pid, known);
      if (this.#encrypting.size > MAX_ENCRYPTING) {
        for (const oldest of this.#encrypting.keys()) {
          this.#encrypting.delete(oldest);
          break;
        }
      }
    }
    if ((known.isRead && known.looks > 0) || nowMs() < known.dueMs || this.#background.size >= MAX_WAITING) return;
    const isAgain = known.looks > 0;
    known.looks = Math.min(known.looks + 1, DELAYS_MS.length - 1);
    known.dueMs = nowMs() + (DELAYS_MS[known.looks] ?? 0);
    this.#background.add(this.#lookAt(pid), true);
    if (isAgain) this.#background.add(this.#recognize(pid), false);
  }

  /** Plaintext of a process has come. */
  isRead({ pid, startTime }: ProcessId): void {
    const known = this.#encrypting.get(pid);
    if (known?.startTime === startTime) known.isRead = true;
  }

  exited({ pid }: ProcessId): void {
    this.#encrypting.delete(pid);
    for (const file of this.#files) {
      // A program's file may be written anew as soon as nobody runs it: it must not be probed then.
      if (file.pids.delete(pid) && file.pids.size === 0 && file.isProgram) this.#background.add(this.#release(file), true);
    }
  }

  /** To be called often. */
  tick(): void {
    const { nowMs } = this.#options;
    if (this.#isSweeping || nowMs() - this.#sweptMs < SWEEP_INTERVAL_MS) return;
    this.#sweptMs = nowMs();
    this.#isSweeping = true;
    this.#background.add(this.#sweep(), false);
  }

  counters(): TlsTargetsCounters {
    return { ...this.#files.counters(), looks: this.#looks };
  }

  close(): void {
    this.#background.close();
  }

  *#lookAtHost(): Work {
    for (const path of this.#options.procfs.hostLibraries()) {
      const target = this.#options.procfs.open(path);
      if (target === undefined) continue;
      const key = this.#options.procfs.keyOf(path);
      if (key === undefined) {
        target.close();
        continue;
      }
      const file = yield* this.#files.ensure(key, target, path, false, undefined);
      file.isPinned = file.links.length > 0;
      yield;
    }
  }

  *#lookAtAll(): Work {
    for (const pid of this.#options.procfs.pids()) {
      yield* this.#lookAt(pid);
      yield;
    }
  }

  *#lookAt(pid: number): Work {
    const { procfs } = this.#options;
    const maps = procfs.readMaps(pid);
    if (maps === undefined) return;
    this.#looks++;
    const program = procfs.programOf(pid);
    let last = '';
    for (const mapping of parseMappings(maps)) {
      if (!mapping.isExecutable || mapping.inode === 0) continue;
      const key = keyOf(mapping);
      if (key === last) continue;
      last = key;
      if (this.#files.note(key, pid)) continue;
      const target = procfs.openMapped(pid, mapping);
      if (target !== undefined) yield* this.#files.ensure(key, target, mapping.name, mapping.name === program, pid);
    }
  }

  /** It encrypts, and nobody knows with what. */
  *#recognize(pid: number): Work {
    const { procfs } = this.#options;
    const maps = procfs.readMaps(pid);
    for (const mapping of maps === undefined ? [] : parseMappings(maps)) {
      if (!mapping.isExecutable || mapping.inode === 0) continue;
      const key = keyOf(mapping);
      const file = this.#files.get(key);
      if (file === undefined || file.isRecognized || file.findings.length > 0) continue;
      const target = procfs.openMapped(pid, mapping);
      if (target !== undefined) yield* this.#files.recognize(key, target);
      yield;
    }
  }

  /** Right after it was executed; its libraries are not there yet. */
  *#lookAtProgram(pid: number): Work {
    const { procfs } = this.#options;
    const path = procfs.programPath(pid);
    const target = procfs.open(path);
    if (target === undefined) return;
    const key = procfs.keyOf(path);
    const known = key === undefined ? undefined : this.#files.get(key);
    if (key === undefined || (known?.identity === target.identity && this.#files.note(key, pid))) {
      target.close();
      return;
    }
    yield* this.#files.ensure(key, target, procfs.programOf(pid) ?? path, true, pid);
  }

  /** Unless there are others that run it. */
  *#release(file: ProbedFile): Work {
    const { procfs } = this.#options;
    for (const pid of procfs.pids()) {
      const key = procfs.keyOf(procfs.programPath(pid));
      if (key === undefined || !file.keys.has(key)) continue;
      file.pids.add(pid);
      return;
    }
    if (!file.isPinned && file.pids.size === 0) yield* this.#files.detach(file);
  }

  *#sweep(): Work {
    const { procfs, now } = this.#options;
    for (const file of [...this.#files]) {
      for (const pid of file.pids) if (!procfs.isAlive(pid)) file.pids.delete(pid);
      yield;
      if (file.isPinned || file.pids.size > 0) continue;
      if (file.isProgram) yield* this.#release(file);
      else if (now() - file.seen > LIBRARY_GRACE_NS) yield* this.#files.detach(file);
    }
    this.#isSweeping = false;
  }
}

/** As the file is told apart in /proc/PID/maps. */
function keyOf({ device, inode }: Mapping): string {
  return `${device} ${String(inode)}`;
}
