// V8's heap for a process that makes much, keeps little, and is then quiet: it may grow less between two collections than V8 would let it,
// and what a burst has left is collected when it is over. Set at run time, so that it holds however the receiver is started.
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Of what the last collection has left. By default it can be a hundred megabytes, most of them outside of the heap: requests on their way. */
const GROWTH_PERCENT = 50;
/** V8 that counts what it keeps outside of the heap towards its limits, when asked. */
const FIRST_V8_WITH_EXTERNAL_LIMIT = 13;
/** Less garbage than this is not worth a collection, which takes a tenth of a second. */
const WORTH_BYTES = 6 * 1024 * 1024;
/** A heap that is larger than this takes too long to be collected at once: that is left to V8, which does it bit by bit. */
const MOST_BYTES = 64 * 1024 * 1024;
/** What is kept is moved together, and pages that are free are given back: garbage of a burst lies between what connections keep. */
const COLLECTION = { type: 'major', execution: 'sync', flavor: 'last-resort' } as const;

export interface HeapOptions {
  /** As in process.versions. */
  readonly v8: string;
  /** Somebody has set the size of the nursery at the start. */
  readonly isNurseryLimited: boolean;
}

/** Call once, early. */
export function limitHeap({ v8, isNurseryLimited }: HeapOptions): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
  if (parseInt(v8, 10) >= FIRST_V8_WITH_EXTERNAL_LIMIT) setFlagsFromString('--external-memory-accounted-in-global-limit');
  // How large the nursery may become is decided at the start, and is 128 MB by default: it stays as small as it begins.
  if (!isNurseryLimited) setFlagsFromString('--semi-space-growth-factor=1');
}

/** Makes a function that collects garbage if there may be much of it. V8 itself collects only while somebody allocates. */
export function createCollector(): () => void {
  let collect: ((how: typeof COLLECTION) => unknown) | undefined;
  let kept = 0;
  return () => {
    const used = usedBytes();
    if (used < kept + WORTH_BYTES || used > MOST_BYTES) return;
    if (collect === undefined) {
      setFlagsFromString('--expose-gc');
      collect = runInNewContext('gc') as NonNullable<typeof collect>;
    }
    collect(COLLECTION);
    kept = usedBytes();
  };
}

function usedBytes(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}
