// Process events from the kernel → who a ProcessId is. The ended ones are kept for a while: their spans may still be on the way.
import type { ProcessId, ProcessImage } from '../model/process.ts';
import type { AttributeValue } from '../model/span.ts';
import type { Nanoseconds } from '../model/transaction.ts';

/** How long an ended process is remembered: longer than a transaction may wait for its last bytes in the receiver. */
const DEFAULT_RETENTION_NS = 60e9;
const NOTHING: ReadonlyMap<string, AttributeValue> = new Map();

export interface ProcessesOptions {
  /** Live and ended ones together. */
  readonly maxProcesses: number;
  readonly retentionNs?: number;
}

export interface ProcessCounters {
  /** Images taken in, repetitions not counted. */
  readonly images: number;
  /** Exits of processes that are known here. */
  readonly exits: number;
  /** Changes of what their SDKs have published of them. */
  readonly published: number;
  /** Ended ones removed before their time, to make room. */
  readonly evictedExited: number;
  /** Live ones removed to make room: their next transactions have no process. */
  readonly evictedLive: number;
  /** Look-ups that found nothing. */
  readonly unknown: number;
}

export interface Processes {
  /** At the first observed I/O of a process, and after each exec. */
  readonly onImage: (image: ProcessImage) => void;
  readonly onExit: (process: ProcessId, time: Nanoseconds) => void;
  /** What its SDK has published of it: from now on it is another image, that says so. */
  readonly onPublished: (process: ProcessId, attributes: ReadonlyMap<string, AttributeValue>) => void;
  readonly lookup: (process: ProcessId) => ProcessImage | undefined;
  /** Whether {@link lookup} would find it; not counted. */
  readonly isKnown: (process: ProcessId) => boolean;
  /** Its process has not ended, and has executed nothing else since. */
  readonly isAlive: (image: ProcessImage) => boolean;
  readonly counters: () => ProcessCounters;
}

interface Entry {
  image: ProcessImage;
  /** Time of the end; `undefined` while it lives. */
  endedAt: Nanoseconds | undefined;
  /** Looked up since the eviction last came by. */
  isUsed: boolean;
  /** An ended process that had the same pid before. */
  earlier: Entry | undefined;
}

export function createProcesses(options: ProcessesOptions): Processes {
  const { maxProcesses, retentionNs = DEFAULT_RETENTION_NS } = options;
  const byPid = new Map<number, Entry>();
  // Both in the order in which their entries came in. A Set, because its first element is found and removed without moving the others.
  const live = new Set<Entry>();
  const ended = new Set<Entry>();
  const counters = { images: 0, exits: 0, published: 0, evictedExited: 0, evictedLive: 0, unknown: 0 };
  /** The latest time that an exit told. */
  let latest: Nanoseconds = 0;

  function find(process: ProcessId): Entry | undefined {
    let entry = byPid.get(process.pid);
    while (entry !== undefined && entry.image.startTime !== process.startTime) entry = entry.earlier;
    return entry;
  }

  function end(entry: Entry, time: Nanoseconds): void {
    live.delete(entry);
    entry.endedAt = time;
    ended.add(entry);
  }

  function remove(entry: Entry): void {
    live.delete(entry);
    ended.delete(entry);
    const { pid } = entry.image;
    let at = byPid.get(pid);
    if (at === entry) {
      if (entry.earlier === undefined) byPid.delete(pid);
      else byPid.set(pid, entry.earlier);
      return;
    }
    while (at !== undefined && at.earlier !== entry) at = at.earlier;
    if (at !== undefined) at.earlier = entry.earlier;
  }

  /** Only exits add to what has to be forgotten, so they are the time to forget. */
  function expire(): void {
    for (const entry of ended) {
      if ((entry.endedAt ?? 0) > latest - retentionNs) return;
      remove(entry);
    }
  }

  function makeRoom(): void {
    if (live.size + ended.size < maxProcesses) return;
    for (const entry of ended) {
      remove(entry);
      counters.evictedExited++;
      return;
    }
    // The oldest that was not looked up since the last time here; a used one gets another round at the end of the line.
    for (const entry of live) {
      if (entry.isUsed) {
        entry.isUsed = false;
        live.delete(entry);
        live.add(entry);
        continue;
      }
      remove(entry);
      counters.evictedLive++;
      return;
    }
  }

  return {
    onImage(image) {
      const known = find(image);
      if (known !== undefined) {
        // The kernel may repeat itself. Keeping the object keeps what others made of it.
        if (!isSameImage(known.image, image)) {
          known.image = image;
          counters.images++;
        }
        return;
      }
      counters.images++;
      makeRoom();
      const earlier = byPid.get(image.pid);
      // A pid is not given again before its process has ended, so this one's end was missed.
      if (earlier !== undefined && earlier.endedAt === undefined) end(earlier, latest);
      const entry: Entry = { image, endedAt: undefined, isUsed: false, earlier };
      byPid.set(image.pid, entry);
      live.add(entry);
    },

    onPublished(process, published) {
      const entry = find(process);
      if (entry === undefined || isSameAttributes(entry.image.published ?? NOTHING, published)) return;
      counters.published++;
      entry.image = { ...entry.image, published };
    },

    onExit(process, time) {
      if (time > latest) latest = time;
      expire();
      const entry = find(process);
      if (entry === undefined || entry.endedAt !== undefined) return;
      counters.exits++;
      end(entry, time);
    },

    lookup(process) {
      const entry = find(process);
      if (entry === undefined) {
        counters.unknown++;
        return undefined;
      }
      entry.isUsed = true;
      return entry.image;
    },

    isKnown: (process) => find(process) !== undefined,

    isAlive(image) {
      const entry = find(image);
      return entry?.image === image && entry.endedAt === undefined;
    },

    counters: () => ({ ...counters }),
  };
}

function isSameAttributes(a: ReadonlyMap<string, AttributeValue>, b: ReadonlyMap<string, AttributeValue>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) if (String(b.get(name)) !== String(value)) return false;
  return true;
}

/** The name of a thread may change at any time and says nothing here. */
function isSameImage(a: ProcessImage, b: ProcessImage): boolean {
  if (a.executablePath !== b.executablePath || a.cgroupPath !== b.cgroupPath) return false;
  if (a.args.length !== b.args.length || a.environment.size !== b.environment.size) return false;
  for (let i = 0; i < a.args.length; i++) if (a.args[i] !== b.args[i]) return false;
  for (const [name, value] of a.environment) if (b.environment.get(name) !== value) return false;
  return true;
}
