// GET /debug/pprof/… → profiles of the receiver by V8, taken while it works: where CPU time goes, and where memory is allocated.
// They hold names of functions and sizes, no data. Chrome DevTools and https://www.speedscope.app read them.
// https://nodejs.org/api/inspector.html#cpu-profiler
import type { Session } from 'node:inspector/promises';
import { type HttpAnswer, type HttpHandler, text } from './http-server.ts';

const DEFAULT_SECONDS = 30;
const MAX_SECONDS = 300;
const SAMPLING_INTERVAL_US = 500;

const index = `Profiles of usm-receiver, by V8

/debug/pprof/profile?seconds=N   CPU time of the event loop during N seconds (default ${DEFAULT_SECONDS}, at most ${MAX_SECONDS}): save as .cpuprofile
/debug/pprof/heap?seconds=N      what was allocated during N seconds and lives: save as .heapprofile

One at a time. The BPF programs run in the observed processes and are not in here.
`;

/** `after` resolves when the time is over or the signal is aborted. */
export function createPprofHandler(after: (milliseconds: number, signal: AbortSignal) => Promise<void>): HttpHandler {
  let isBusy = false;
  const exclusively = async (profile: () => Promise<HttpAnswer>): Promise<HttpAnswer> => {
    if (isBusy) return text(409, 'a profile is being taken already\n');
    isBusy = true;
    try {
      return await profile();
    } finally {
      isBusy = false;
    }
  };
  return ({ path, query, signal }) => {
    if (path === '/debug/pprof' || path === '/debug/pprof/') return text(200, index);
    if (path !== '/debug/pprof/profile' && path !== '/debug/pprof/heap') return text(404, index);
    const seconds = Number(query.get('seconds') ?? DEFAULT_SECONDS);
    if (!(seconds > 0 && seconds <= MAX_SECONDS)) return text(400, `seconds must be more than 0 and at most ${MAX_SECONDS}\n`);
    const wait = (): Promise<void> => after(seconds * 1000, signal);
    return path === '/debug/pprof/profile'
      ? exclusively(() => withSession((session) => profileCpu(session, wait)))
      : exclusively(() => withSession((session) => profileHeap(session, wait)));
  };
}

async function withSession(take: (session: Session) => Promise<HttpAnswer>): Promise<HttpAnswer> {
  const inspector = await import('node:inspector/promises');
  const session = new inspector.Session();
  session.connect();
  try {
    return await take(session);
  } finally {
    session.disconnect();
  }
}

async function profileCpu(session: Session, wait: () => Promise<void>): Promise<HttpAnswer> {
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL_US });
  await session.post('Profiler.start');
  await wait();
  const { profile } = await session.post('Profiler.stop');
  return file('usm-receiver.cpuprofile', profile);
}

async function profileHeap(session: Session, wait: () => Promise<void>): Promise<HttpAnswer> {
  await session.post('HeapProfiler.startSampling');
  await wait();
  const { profile } = await session.post('HeapProfiler.stopSampling');
  return file('usm-receiver.heapprofile', profile);
}

function file(name: string, profile: object): HttpAnswer {
  return {
    status: 200,
    contentType: 'application/json',
    body: JSON.stringify(profile),
    headers: { 'content-disposition': `attachment; filename="${name}"` },
  };
}
