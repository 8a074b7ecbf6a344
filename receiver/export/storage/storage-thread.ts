// The storage thread: requests → databases → answers, so that neither a slow disk nor fsync holds up the receiver's event loop.
// An entry point of its own, like main.ts: it is run, not imported.
import { parentPort } from 'node:worker_threads';
import { messageOf } from '../../errors.ts';
import { PayloadDatabase } from './payload-database.ts';
import type { OpenRequest, Rebound, ThreadAnswer, ThreadRequest } from './thread-messages.ts';

interface OpenDatabase {
  readonly database: PayloadDatabase;
  readonly timer: NodeJS.Timeout | undefined;
}

async function serve(): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('storage-thread is no module to import');
  const sqlite = await import('node:sqlite');
  const databases = new Map<number, OpenDatabase>();

  const answer = (message: ThreadAnswer, body?: Uint8Array<ArrayBuffer>): void => {
    port.postMessage(message, body === undefined ? [] : [body.buffer]);
  };

  const open = ({ database: number, request, options, rebound }: OpenRequest): void => {
    try {
      const notice = (message: string): void => {
        answer({ kind: 'notice', message });
      };
      const database = new PayloadDatabase(sqlite, options, notice);
      databases.set(number, { database, timer: rebound && watchRebound(database, rebound, notice) });
      answer({ kind: 'opened', request, stored: database.list() });
    } catch (error) {
      answer({ kind: 'failed', request, message: `${options.path}: ${messageOf(error)}` });
    }
  };

  const handle = (message: ThreadRequest): void => {
    const opened = databases.get(message.database);
    switch (message.kind) {
      case 'open':
        open(message);
        return;
      case 'put': {
        const { request, id, items, body } = message;
        try {
          if (opened === undefined) throw new Error('it is closed');
          opened.database.put(id, items, body);
          answer({ kind: 'put', request, result: { kind: 'stored', body } }, body);
        } catch (error) {
          answer({ kind: 'put', request, result: { kind: 'failed', body, message: messageOf(error) } }, body);
        }
        return;
      }
      case 'read': {
        const result = opened?.database.read(message.id) ?? { kind: 'unreadable', message: 'the storage is closed' };
        answer({ kind: 'read', request: message.request, result }, result.kind === 'payload' ? result.body : undefined);
        return;
      }
      case 'delete':
        opened?.database.delete(message.id);
        return;
      case 'close':
        clearInterval(opened?.timer);
        opened?.database.close();
        databases.delete(message.database);
        answer({ kind: 'closed', request: message.request });
    }
  };
  port.on('message', handle);
}

/** Compacts when the file has been larger than one threshold and what is in use falls below the other. */
function watchRebound(database: PayloadDatabase, rebound: Rebound, notice: (message: string) => void): NodeJS.Timeout {
  const timer = setInterval(() => {
    try {
      const { fileBytes, usedBytes } = database.size();
      if (fileBytes >= rebound.neededBytes && usedBytes < rebound.triggerBytes) database.compact();
    } catch (error) {
      notice(`cannot compact: ${messageOf(error)}`);
    }
  }, rebound.checkIntervalMs);
  return timer.unref();
}

await serve();
