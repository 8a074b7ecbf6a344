// V8's heap for a process that makes much, keeps little, and is then quiet: it may grow less between two collections than V8 would let it,
// and what a burst has left is collected when it is over. Set at run time, so that it holds however the receiver is started.
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Of what the last collection has left. By default it can be a hundred megabytes, most of them outside of the heap: requests on their way. */
const GROWTH_PERCENT = 50;
/** V8 that counts what it keeps outside of the heap towards its limits, when asked. */
const FIRST_V8_WITH_EXTERNAL_LIMIT = 13;
/** Less garbage than this is not worth a collection, which takes 10 to 20 ms. */
const WORTH_BYTES = 6 * 1024 * 1024;

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
  let collect: (() => unknown) | undefined;
  let kept = 0;
  return () => {
    if (usedBytes() < kept + WORTH_BYTES) return;
    if (collect === undefined) {
      setFlagsFromString('--expose-gc');
      collect = runInNewContext('gc') as () => unknown;
    }
    collect();
    kept = usedBytes();
  };
}

function usedBytes(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}
