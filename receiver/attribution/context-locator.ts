// A process → where its threads have their contexts, by the reader; but only of the very process that the kernel side spoke of: /proc may be another
// pid namespace's, where the same id is another one's.
import {
  ImageCache,
  locate,
  type LocateOptions,
  type Location,
  openProcess,
  publishedAt,
  threadSymbols,
} from '../../otel-thread-context/reader/index.ts';
import type { Clock } from '../clock.ts';
import type { ProcessInstance } from '../model/thread-context.ts';
import { startTicks, ticksOf } from './process-start.ts';
import { PublicationWatch, type PublicationWatchOptions } from './publication-watch.ts';
import { ThreadContexts, type ThreadContextsOptions } from './thread-contexts.ts';

/** As many as the kernel side keeps. */
const MAX_PROCESSES = 32_768;
const NS_PER_MS = 1e6;

/** `places` undefined: only what processes publish of themselves is looked for. `arch`: of this machine, as Node.js calls it. */
export function createThreadContexts(
  places: ThreadContextsOptions['places'] | undefined,
  readText: (path: string) => string | undefined,
  arch: string,
  clock: Clock,
  visitSizes: PublicationWatchOptions['visitSizes'] | undefined,
  hasGoLabels: boolean,
): ThreadContexts {
  return new ThreadContexts({
    locate: createContextLocator(readText, { until: places === undefined ? 'process context' : 'slot', hasGoLabels }),
    places: places ?? nowhere,
    machine: arch === 'arm64' ? 'aarch64' : 'x86-64',
    nowMs: () => clock.now() / NS_PER_MS,
    maxProcesses: MAX_PROCESSES,
    watch: visitSizes === undefined ? undefined : new PublicationWatch({ visitSizes, publishedAt: publishedAtOf }),
    defer: setImmediate,
  });
}

function publishedAtOf(pid: number, address: number): bigint | undefined {
  const process = openProcess(pid);
  try {
    return publishedAt(process.readMemory, address);
  } finally {
    process.close();
  }
}

const nowhere: ThreadContextsOptions['places'] = { set: () => undefined, delete: () => undefined };

/** `readText`: a file of procfs, undefined when it cannot be read. */
export function createContextLocator(
  readText: (path: string) => string | undefined,
  options: LocateOptions = {},
): (instance: ProcessInstance) => Location | undefined {
  const cache = new ImageCache(threadSymbols);
  return ({ pid, startTime }) => {
    if (startTicks(readText(`/proc/${String(pid)}/stat`) ?? '') !== ticksOf(startTime)) return undefined;
    const process = openProcess(pid);
    try {
      return locate(process, cache, options);
    } finally {
      process.close();
    }
  };
}
