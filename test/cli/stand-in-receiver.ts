// A receiver without a kernel, for tests of signals and exit codes. How it behaves comes from the environment variable BEHAVIOUR.
import { ReceiverError } from '../../receiver/errors.ts';
import type { Receiver, ReceiverOptions } from '../../receiver/receiver.ts';

export function startReceiver({ logger, write }: ReceiverOptions): Promise<Receiver> {
  const behaviour = process.env['BEHAVIOUR'];
  if (behaviour === 'refuses') {
    return Promise.reject(
      new ReceiverError('USM_KERNEL_TOO_OLD', { attempted: 'observe this host', happened: 'this is Linux 4.19' }),
    );
  }
  const alive = setInterval(() => {
    if (behaviour === 'talks') write('a transaction\n');
  }, 1);
  if (behaviour === 'breaks') {
    setTimeout(() => {
      throw new Error('a bug');
    }, 1);
  }
  logger.info('Everything is ready. Begin running and processing data.');
  return Promise.resolve({
    logLedger: () => undefined,
    stop: () => {
      if (behaviour === 'hangs') return new Promise<void>(() => undefined);
      // On purpose still alive after stopping: what a library leaves open must not keep the process.
      alive.ref();
      return behaviour === 'fails' ? Promise.reject(new Error('cannot stop')) : Promise.resolve();
    },
  });
}
