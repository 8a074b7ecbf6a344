// Processes as they appear → what they publish of themselves, and where their threads have their contexts, told to the kernel side. Looking is not free,
// most processes publish nothing, and one that does may begin late: so each is looked at when it appears, when it may have published something since
// (publication-watch.ts), and else ever more rarely; one at a time, between other work. OTEP 4947, OTEP 4719.
import type { Location, ProcessContext } from '../../otel-thread-context/reader/index.ts';
import type { ProcessId } from '../model/process.ts';
import type { ContextPlace, ProcessInstance } from '../model/thread-context.ts';
import { type Machine, placementOf } from './context-place.ts';
import type { PublicationWatch } from './publication-watch.ts';

export interface ThreadContextsOptions {
  /** Looks at the process; undefined when it has ended, or is not the one with this id where we look. Never throws. */
  readonly locate: (instance: ProcessInstance) => Location | undefined;
  readonly places: {
    /** Throws when there is no room. */
    set(instance: ProcessInstance, place: ContextPlace): void;
    delete(pid: number): void;
  };
  /** Of programs on this machine: others run in an emulator, whose threads these are. */
  readonly machine: Machine;
  /** Milliseconds, never going back. */
  readonly nowMs: () => number;
  readonly maxProcesses: number;
  /** Undefined: nothing tells that a process may have published something, so all are looked at again and again. */
  readonly watch?: PublicationWatch | undefined;
  /** Calls back later, when others had their turn. */
  readonly defer: (callback: () => void) => void;
}

export interface ThreadContextCounters {
  /** Processes that were looked at, again and again counted. */
  readonly looks: number;
  /** Places told to the kernel side. */
  readonly located: number;
  /** Publishes contexts, but it is not proven where, or in a form that is not read here. */
  readonly unresolved: number;
  /** Processes forgotten to make room. */
  readonly evicted: number;
}

interface Entry {
  readonly instance: ProcessInstance;
  /** Index of the delay after which it is looked at again. */
  delay: number;
  dueMs: number;
  lookedMs: number;
  place: ContextPlace | undefined;
  keyMap: readonly string[];
  /** The time of the process context that was taken last. */
  publishedAt: bigint;
}

export type OnProcessContext = (process: ProcessId, resource: ProcessContext['resource']) => void;

/** Until a process is looked at for the first time, and again: an SDK takes a while to start, and libraries come later still. */
const DELAYS_MS = [0, 1_000, 5_000, 30_000, 120_000, 600_000];
/** Of the time that looking took, nothing is looked at for so many times as long. */
const REST = 9;
/** One whose records have keys that its key map never gets is looked at no more often. */
const MIN_INTERVAL_MS = 1_000;
const NO_KEYS: readonly string[] = [];
const NOTHING: ProcessContext['resource'] = new Map();

export class ThreadContexts {
  readonly #options: ThreadContextsOptions;
  readonly #entries = new Map<number, Entry>();
  /** By delay, so that in each the first is due first. */
  readonly #queues = DELAYS_MS.map(() => new Set<Entry>());
  readonly #counters = { looks: 0, located: 0, unresolved: 0, evicted: 0 };
  #onProcessContext: OnProcessContext = () => undefined;
  #restsUntilMs = 0;
  #isLooking = false;
  #isClosed = false;

  constructor(options: ThreadContextsOptions) {
    this.#options = options;
  }

  /** Calls back with the Resource that a process has published, whenever it is another one. One listener. */
  listen(onProcessContext: OnProcessContext): void {
    this.#onProcessContext = onProcessContext;
  }

  /** A process runs this program now; told again, it changes nothing. */
  started(instance: ProcessInstance): void {
    const known = this.#entries.get(instance.pid);
    if (known !== undefined) {
      if (known.instance.startTime === instance.startTime && known.instance.execId === instance.execId) return;
      this.#forget(known);
      // Another program in the same process, which may look the same, and has published nothing yet.
      if (known.publishedAt !== 0n) this.#tell(known, NOTHING);
    }
    const entry: Entry = {
      instance,
      delay: 0,
      dueMs: 0,
      lookedMs: -Infinity,
      place: undefined,
      keyMap: NO_KEYS,
      publishedAt: 0n,
    };
    this.#entries.set(instance.pid, entry);
    this.#enqueue(entry, 0);
    if (this.#entries.size <= this.#options.maxProcesses) return;
    for (const oldest of this.#entries.values()) {
      this.#counters.evicted++;
      this.#forget(oldest);
      return;
    }
  }

  exited(process: ProcessId): void {
    const entry = this.#entries.get(process.pid);
    if (entry !== undefined && isOf(entry, process)) this.#forget(entry);
  }

  /** Its key map has grown. */
  lookAgain(process: ProcessId): void {
    const entry = this.#entries.get(process.pid);
    if (entry === undefined || !isOf(entry, process) || this.#options.nowMs() - entry.lookedMs < MIN_INTERVAL_MS) return;
    this.#lookSoon(entry);
  }

  /** To be called often: has one process looked at in a turn of its own, if one is due. */
  tick(): void {
    const now = this.#options.nowMs();
    this.#options.watch?.tick(now, this.#changed);
    if (this.#isLooking || now < this.#restsUntilMs || this.#due(now) === undefined) return;
    this.#isLooking = true;
    this.#options.defer(() => {
      this.#isLooking = false;
      if (!this.#isClosed) this.#lookAtNext();
    });
  }

  /** Nothing is looked at any more. The places stay: the kernel side ends with us. */
  close(): void {
    this.#isClosed = true;
  }

  /** Its threads have a place where they say what they are in. */
  isPublishing(process: ProcessId): boolean {
    const entry = this.#entries.get(process.pid);
    return entry !== undefined && isOf(entry, process) && entry.place !== undefined;
  }

  /** Names of the attributes in a process's records, by their index. */
  keyMapOf(process: ProcessId): readonly string[] {
    const entry = this.#entries.get(process.pid);
    return entry !== undefined && isOf(entry, process) ? entry.keyMap : NO_KEYS;
  }

  counters(): ThreadContextCounters {
    return { ...this.#counters };
  }

  readonly #changed = (instance: ProcessInstance): void => {
    const entry = this.#entries.get(instance.pid);
    if (entry?.instance === instance) this.#lookSoon(entry);
  };

  #lookSoon(entry: Entry): void {
    if (entry.delay === 0) return;
    this.#queues[entry.delay]?.delete(entry);
    this.#enqueue(entry, 0);
  }

  /** Some milliseconds, or more for a program that was never seen. */
  #lookAtNext(): void {
    const { locate, nowMs, watch } = this.#options;
    const now = nowMs();
    const entry = this.#due(now);
    if (entry === undefined) return;
    this.#counters.looks++;
    entry.lookedMs = now;
    this.#queues[entry.delay]?.delete(entry);
    const location = locate(entry.instance);
    this.#restsUntilMs = nowMs() + REST * (nowMs() - now);
    if (location === undefined) {
      // Its exit is on the way to us, or was lost.
      this.#forget(entry);
      return;
    }
    const before = entry.publishedAt;
    const place = entry.place;
    const isSettled = this.#apply(entry, location);
    watch?.looked(entry.instance, location.context, entry.publishedAt !== before || entry.place !== place, now);
    const last = DELAYS_MS.length - 1;
    // What the watch would see needs no looking again; what is in the way for now may be over soon.
    this.#enqueue(entry, watch !== undefined && isSettled ? last : Math.min(entry.delay + 1, last));
  }

  /** False: what is published could not be read, or not be kept. */
  #apply(entry: Entry, location: Location): boolean {
    const { places, machine } = this.#options;
    // As it is being changed, nothing else is known of it than before.
    if (location.steps.at(-1)?.reason === 'updating') return false;
    entry.keyMap = location.schema?.keyMap ?? NO_KEYS;
    const { context } = location;
    // What was published once stays when it is withdrawn: an SDK that shuts down may do so, and the last spans are still to come.
    if (context !== undefined && context.publishedAt !== entry.publishedAt) {
      entry.publishedAt = context.publishedAt;
      this.#tell(entry, context.resource);
    }
    const placement = placementOf(location, machine);
    if (placement.kind !== 'place') {
      if (placement.kind === 'refused') this.#counters.unresolved++;
      if (entry.place !== undefined) places.delete(entry.instance.pid);
      entry.place = undefined;
      return placement.kind === 'none';
    }
    const { place } = placement;
    if (entry.place !== undefined && isSame(entry.place, place)) return true;
    try {
      places.set(entry.instance, place);
    } catch {
      // No room: it is tried again with the next look.
      return false;
    }
    entry.place = place;
    this.#counters.located++;
    return true;
  }

  #tell({ instance: { pid, startTime } }: Entry, resource: ProcessContext['resource']): void {
    this.#onProcessContext({ pid, startTime: Number(startTime) }, resource);
  }

  #due(now: number): Entry | undefined {
    for (const queue of this.#queues) {
      for (const entry of queue) {
        if (entry.dueMs <= now) return entry;
        break;
      }
    }
    return undefined;
  }

  #enqueue(entry: Entry, delay: number): void {
    entry.delay = delay;
    entry.dueMs = this.#options.nowMs() + (DELAYS_MS[delay] ?? 0);
    this.#queues[delay]?.add(entry);
  }

  #forget(entry: Entry): void {
    this.#queues[entry.delay]?.delete(entry);
    this.#entries.delete(entry.instance.pid);
    this.#options.watch?.forget(entry.instance.pid);
    if (entry.place !== undefined) this.#options.places.delete(entry.instance.pid);
  }
}

function isSame(a: ContextPlace, b: ContextPlace): boolean {
  if (a.kind === 'goroutine') return b.kind === 'goroutine' && a.current === b.current && a.labels === b.labels;
  if (b.kind === 'goroutine') return false;
  if (a.kind !== b.kind || a.form !== b.form || a.offset !== b.offset) return false;
  if (a.kind === 'static' || b.kind === 'static') return true;
  return a.moduleId === b.moduleId && a.generation === b.generation && a.dtvOffset === b.dtvOffset;
}

function isOf({ instance }: Entry, process: ProcessId): boolean {
  return Number(instance.startTime) === process.startTime;
}
