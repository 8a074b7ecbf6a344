// Real bytes of HTTP/2, of Node.js's client and server: many streams one after the other, ten at a time, on one connection.
import http2 from 'node:http2';
import { tap } from '../../protocols/http2/recording.ts';

const together = 10;

/** `streams`: each a GET of another path with eight fields, and a response of seven fields and 200 bytes. */
export function recordHttp2(streams: number): ReturnType<typeof tap> {
  const server = http2.createServer({ settings: { maxConcurrentStreams: 100 } });
  server.on('stream', (stream) => {
    stream.respond({
      ':status': 200,
      server: 'nginx/1.27.0',
      'content-type': 'application/json; charset=utf-8',
      'content-length': '200',
      'cache-control': 'no-store',
      vary: 'accept-encoding',
    });
    stream.end(Buffer.alloc(200, 0x78));
  });
  return tap(server, {}, async (client) => {
    let started = 0;
    const one = async (): Promise<void> => {
      while (started < streams) {
        const stream = client.request({
          ':path': `/api/items/${String(10_000 + started++)}?expand=all`,
          ':authority': 'shop.example.test:8080',
          'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)',
          accept: 'application/json, text/plain, */*',
          'accept-language': 'en-GB,en;q=0.5',
          cookie: 'session=0123456789abcdef0123456789abcdef',
        });
        stream.resume();
        await new Promise((resolve) => stream.on('close', resolve));
      }
    };
    await Promise.all(Array.from({ length: together }, one));
  });
}
