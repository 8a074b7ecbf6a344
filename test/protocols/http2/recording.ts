// Real HTTP/2 over loopback, between Node.js's client and server: what each said, byte by byte in its order, and what each knows of it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import type { Side } from '../../../receiver/model/protocol.ts';
import type { Random } from '../../support/random.ts';

export interface Chunk {
  readonly side: Side;
  readonly bytes: Buffer;
}

/** What the peers know of a stream. */
export interface Truth {
  readonly fields: Readonly<Record<string, string>>;
  readonly sent: number;
  status: number;
  got: number;
  reset: string | undefined;
}

export interface Recording {
  readonly chunks: readonly Chunk[];
  /** By path, which is everyone's own. */
  readonly truths: ReadonlyMap<string, Truth>;
}

export interface Talk {
  readonly requests: number;
  readonly concurrent: number;
  readonly padding?: number;
  /** SETTINGS_HEADER_TABLE_SIZE that the client and the server allow, and again at each of `resizes` requests. */
  readonly clientTable?: number;
  readonly serverTable?: number;
  readonly resizes?: readonly number[];
  readonly encoderTable?: number;
  readonly hasResets?: boolean;
  readonly bodyLimit?: number;
}

const NAMES = ['accept', 'x-a', 'x-b', 'cookie', 'x-request-id', 'accept-language', 'x-long-name-of-a-field', 'authorization'];
const AGENTS = ['curl/8.1', 'Mozilla/5.0 (X11; Linux)', 'grpc-go/1.60'];

function someText(random: Random): string {
  const length = random.below(4) === 0 ? random.below(600) : random.below(40);
  return Array.from({ length }, () => String.fromCharCode(0x21 + random.below(0x5e))).join('');
}

export async function record(random: Random, talk: Talk): Promise<Recording> {
  const truths = new Map<string, Truth>();
  const { padding = 0, encoderTable, bodyLimit = 5000 } = talk;
  const options = {
    paddingStrategy: padding,
    ...(encoderTable === undefined ? {} : { maxDeflateDynamicTableSize: encoderTable }),
  };
  const server = http2.createServer({
    ...options,
    settings: { headerTableSize: talk.serverTable ?? 4096, maxConcurrentStreams: 1000 },
  });
  server.on('sessionError', () => undefined);
  server.on('stream', (stream, headers) => {
    const path = String(headers[':path']);
    const truth = truths.get(path);
    assert.ok(truth);
    stream.on('error', () => undefined);
    stream.resume();
    stream.on('end', () => {
      if (truth.reset !== undefined && Number(path.slice(1).split('/')[0]) % 2 === 0) {
        stream.close(http2.constants[`NGHTTP2_${truth.reset}` as 'NGHTTP2_CANCEL']);
        return;
      }
      const fields = Object.fromEntries([0, 1].map(() => [random.oneOf(NAMES), someText(random)]));
      stream.respond({ ':status': truth.status, 'content-type': random.oneOf(['text/plain', 'text/html']), ...fields });
      if (truth.got === 0) stream.end();
      else stream.end(Buffer.alloc(truth.got, 0x62));
    });
  });
  const sessions: http2.ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  const chunks = await tap(server, { ...options, settings: { headerTableSize: talk.clientTable ?? 4096 } }, async (client) => {
    let started = 0;
    const one = async (): Promise<void> => {
      while (started < talk.requests) {
        const number = started++;
        if (talk.resizes?.includes(number) === true) {
          const headerTableSize = random.oneOf([0, 60, 300, 4096, 20_000, 65_536]);
          client.settings({ headerTableSize });
          for (const session of sessions) session.settings({ headerTableSize });
        }
        await ask(client, number);
      }
    };
    await Promise.all(Array.from({ length: talk.concurrent }, one));
  });
  return { chunks, truths };

  async function ask(client: http2.ClientHttp2Session, number: number): Promise<void> {
    const isReset = talk.hasResets === true && random.below(8) === 0;
    // The server never sees the end of those that the client resets.
    const isResetHere = isReset && number % 2 === 1;
    const sent = isResetHere ? 1 : random.below(3) === 0 ? random.below(bodyLimit) : 0;
    const fields: Record<string, string> = {
      ':method': random.oneOf(['GET', 'POST', 'PUT', 'PROPFIND']),
      ':path': `/${String(number)}/${random.below(3) === 0 ? someText(random) : ''}`,
      ':scheme': random.oneOf(['http', 'https']),
      ':authority': random.oneOf(['a.example', 'b.example:8080']),
      'user-agent': random.oneOf(AGENTS),
    };
    if (random.below(3) === 0) fields['traceparent'] = `00-${someText(random)}`;
    if (random.below(5) === 0) fields['content-type'] = random.oneOf(['application/json', 'text/plain']);
    if (random.below(5) === 0) fields['x-forwarded-for'] = '10.0.0.1';
    for (let count = random.below(4); count > 0; count--) fields[random.oneOf(NAMES)] = someText(random);
    const truth: Truth = {
      fields,
      sent,
      status: random.oneOf([200, 200, 200, 204, 404, 500, 201, 429]),
      got: random.below(2) === 0 ? random.below(bodyLimit) : 0,
      reset: isReset ? random.oneOf(['CANCEL', 'INTERNAL_ERROR', 'ENHANCE_YOUR_CALM']) : undefined,
    };
    if (truth.status === 204) truth.got = 0;
    truths.set(fields[':path'] as string, truth);
    const secret = random.below(4) === 0 ? { [http2.sensitiveHeaders]: ['cookie', 'traceparent'] } : {};
    const stream = client.request({ ...fields, ...secret }, { endStream: sent === 0 });
    stream.on('error', () => undefined);
    stream.resume();
    if (isResetHere) {
      // What is reset before it is written is not written at all.
      stream.write('x', () => {
        stream.close(http2.constants[`NGHTTP2_${truth.reset ?? ''}` as 'NGHTTP2_CANCEL']);
      });
    } else if (sent > 0) {
      stream.end(Buffer.alloc(sent, 0x61));
    }
    // `once` would take its error for ours.
    await new Promise((resolve) => stream.on('close', resolve));
  }
}

/** What passes between `server` and a client that does `talk`. */
export async function tap(
  server: http2.Http2Server,
  options: http2.ClientSessionOptions,
  talk: (client: http2.ClientHttp2Session) => Promise<void>,
): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const proxy = net.createServer((down) => {
    const up = net.connect(port, '127.0.0.1');
    down.on('data', (bytes) => {
      chunks.push({ side: 'request', bytes: Buffer.from(bytes as Buffer) });
      up.write(bytes);
    });
    up.on('data', (bytes) => {
      chunks.push({ side: 'response', bytes: Buffer.from(bytes as Buffer) });
      down.write(bytes);
    });
    down.on('end', () => up.end());
    up.on('end', () => down.end());
    down.on('error', () => undefined);
    up.on('error', () => undefined);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const client = http2.connect(`http://127.0.0.1:${String((proxy.address() as net.AddressInfo).port)}`, options);
  try {
    await once(client, 'connect');
    await talk(client);
    client.close();
    await once(client, 'close');
  } finally {
    client.destroy();
    proxy.close();
    server.close();
  }
  return chunks;
}
