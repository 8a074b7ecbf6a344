// Two ends of one connection that play bytes by hand (node/raw-peer.mjs), step by step, so that a test decides the order.
import path from 'node:path';
import { startProgram, type Cleanup, type Program, type StartOptions } from './program.ts';

const script = path.join(import.meta.dirname, 'node/raw-peer.mjs');

export interface RawPeer {
  readonly pid: number;
  readonly service: 'raw-peer';
  readonly port: number;
  readonly program: Program;
  open(): Promise<void>;
  send(text: string): Promise<void>;
  sendBytes(bytes: Uint8Array): Promise<void>;
  /** Waits for that many more bytes, or until that text was seen. */
  expect(what: number | string): Promise<void>;
  /** Waits for the peer's FIN or reset. */
  expectEnd(): Promise<void>;
  /** Shuts the writing half down. */
  end(): Promise<void>;
  close(): Promise<void>;
  reset(): Promise<void>;
  /** Ends the process, and with it its sockets. */
  exit(): Promise<void>;
}

async function startPeer(cleanup: Cleanup, side: 'listen' | 'connect', target: string, options: StartOptions): Promise<RawPeer> {
  const program = startProgram(cleanup, process.execPath, [script, side, target], options);
  const line = await program.next(side === 'listen' ? 'listening' : 'ready');
  const step = async (what: Readonly<Record<string, unknown>>): Promise<void> => {
    program.send(JSON.stringify(what));
    const answer = await program.next('step');
    if (answer['error'] !== undefined)
      throw new Error(`${JSON.stringify(what).slice(0, 200)}: ${JSON.stringify(answer['error'])}`);
  };
  return {
    pid: program.pid,
    service: 'raw-peer',
    port: Number(line['port'] ?? 0),
    program,
    open: () => step({ do: 'open' }),
    send: (text) => step({ do: 'send', text }),
    sendBytes: (bytes) => step({ do: 'send', base64: Buffer.from(bytes).toString('base64') }),
    expect: (what) => step({ do: 'expect', ...(typeof what === 'number' ? { bytes: what } : { text: what }) }),
    expectEnd: () => step({ do: 'expectEnd' }),
    end: () => step({ do: 'end' }),
    close: () => step({ do: 'close' }),
    reset: () => step({ do: 'reset' }),
    async exit() {
      program.send(JSON.stringify({ do: 'exit' }));
      await program.exited;
    },
  };
}

export function startRawServer(cleanup: Cleanup, options: StartOptions & { target?: string } = {}): Promise<RawPeer> {
  return startPeer(cleanup, 'listen', options.target ?? '127.0.0.1:0', options);
}

export function startRawClient(cleanup: Cleanup, target: string, options: StartOptions = {}): Promise<RawPeer> {
  return startPeer(cleanup, 'connect', target, options);
}

/** A listening and a connecting end, connected. */
export async function startRawPair(cleanup: Cleanup): Promise<{ server: RawPeer; client: RawPeer }> {
  const server = await startRawServer(cleanup);
  const client = await startRawClient(cleanup, `127.0.0.1:${server.port}`);
  await client.open();
  await server.open();
  return { server, client };
}
