// A process or worker that uses the addon and ends in the way that its argument names. lifetime.test.ts looks at what is left.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { openProbe, openProbeInBackground, orderFlags, setOrder, trigger } from './probe.ts';

const [ending, target] = (isMainThread ? process.argv.slice(2) : (workerData as string[])) as [string, string];

const report = (word: string): void => {
  if (isMainThread) process.stdout.write(`${word}\n`);
  else parentPort?.postMessage(word);
};

if (ending === 'opening') {
  // Gone before they are open, or when some are.
  for (let count = 0; count < 20; count++) void openProbeInBackground(Number(target));
  report('opening');
}
const object = openProbe(Number(target));
object.attach();
const ring = object.ring('ring');
setOrder(object, 8, 1, orderFlags.forceWakeup);

switch (ending) {
  case 'return':
    // Nothing is closed and a watch is open: neither may hold the loop.
    ring.onReadable(() => undefined);
    report('ready');
    break;
  case 'throw': {
    const keepAlive = setTimeout(() => undefined, 30_000);
    ring.onReadable(() => {
      clearTimeout(keepAlive);
      throw new Error('from the callback');
    });
    trigger(Number(target));
    break;
  }
  case 'busy':
    // Wakes itself without end until somebody ends it.
    ring.onReadable(() => {
      ring.drain(new Uint8Array(1024));
      trigger(Number(target));
      report('turn');
    });
    setInterval(() => undefined, 1000);
    report(`program ${String(object.programs()[0]?.id)}`);
    trigger(Number(target));
    break;
  case 'close-exit':
    ring.onReadable(() => undefined);
    object.close();
    process.exit(0);
}
