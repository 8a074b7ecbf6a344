// What goes through a pipeline that is measured: records as the kernel side would write them.
import type { RecordWriter } from '../../support/ring-records.ts';
import { recordHttp2 } from './http2-recording.ts';

/** Fills the writer's buffer with records. */
export type Fill = () => void;

const HTTP1_CONNECTIONS = 64;
const HTTP2_CONNECTIONS = 16;
const STREAMS = 5000;
const MAX_RECORD = 4096;
const request = Buffer.from(
  'GET /api/v1/items/1234?color=blue&size=xl HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n' +
    'Accept-Encoding: gzip, br\r\nX-Request-Id: 7f9c2ba4e88f827d\r\nCookie: session=abcdef\r\nConnection: keep-alive\r\n\r\n',
);
const response = Buffer.from(
  'HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 08:00:00 GMT\r\nContent-Type: application/json\r\n' +
    `Content-Length: 200\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n\r\n${'x'.repeat(200)}`,
);

export function http1Load(writer: RecordWriter, capacity: number): Fill {
  const received = new Array<number>(HTTP1_CONNECTIONS).fill(0);
  const sent = new Array<number>(HTTP1_CONNECTIONS).fill(0);
  for (let c = 0; c < HTTP1_CONNECTIONS; c++) writer.connection({ cookie: c + 1 });
  return () => {
    for (let c = 0; writer.size < capacity - MAX_RECORD; c = (c + 1) % HTTP1_CONNECTIONS) {
      writer.io({ cookie: c + 1, isSent: false, position: received[c] ?? 0, otherPosition: sent[c] ?? 0, payload: request });
      received[c] = (received[c] ?? 0) + request.length;
      writer.io({ cookie: c + 1, isSent: true, position: sent[c] ?? 0, otherPosition: received[c] ?? 0, payload: response });
      sent[c] = (sent[c] ?? 0) + response.length;
    }
  };
}

/** Several connections in turn, as a busy server sees them; when they have had all their streams, as many new ones. */
export async function http2Load(writer: RecordWriter, capacity: number): Promise<Fill> {
  const chunks = await recordHttp2(STREAMS);
  const largest = Math.max(...chunks.map(({ bytes }) => bytes.length)) + MAX_RECORD;
  let first = 1;
  let next = 0;
  let turn = 0;
  let positions: { request: number; response: number }[] = [];
  return () => {
    while (writer.size < capacity - largest) {
      if (next === 0 && turn === 0) {
        positions = Array.from({ length: HTTP2_CONNECTIONS }, () => ({ request: 0, response: 0 }));
        for (let c = 0; c < HTTP2_CONNECTIONS; c++) writer.connection({ cookie: first + c });
      }
      const { side, bytes } = chunks[next]!;
      const position = positions[turn]!;
      const otherPosition = position[side === 'request' ? 'response' : 'request'];
      writer.io({ cookie: first + turn, isSent: side === 'response', position: position[side], otherPosition, payload: bytes });
      position[side] += bytes.length;
      turn = (turn + 1) % HTTP2_CONNECTIONS;
      if (turn === 0 && ++next === chunks.length) {
        next = 0;
        first += HTTP2_CONNECTIONS;
      }
    }
  };
}
