// Cost of one keep-alive exchange through a conversation: a 200-byte GET with 8 fields, a 350-byte response head, a 200-byte body.
// node test/bench/http1-parse.bench.ts [exchanges] [rounds] prints nanoseconds per transaction, one line per round, and the median.
import type { ConnectionInfo } from '../../receiver/model/connection.ts';
import type { ConversationSink } from '../../receiver/model/protocol.ts';
import { createHttp1 } from '../../receiver/protocols/http1/protocol.ts';

const exchanges = Number(process.argv[2] ?? 1_000_000);
const rounds = Number(process.argv[3] ?? 7);

const request = sized(
  200,
  'GET /api/items/12345?expand=all HTTP/1.1\r\nHost: shop.example.test:8080\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n' +
    'Accept-Encoding: gzip\r\nAccept-Language: en\r\nCookie: a=b\r\nConnection: keep-alive\r\nX-Fill: ',
);
const head = sized(
  350,
  'HTTP/1.1 200 OK\r\nServer: nginx/1.27.0\r\nDate: Tue, 01 Jul 2025 10:00:00 GMT\r\nContent-Type: application/json; charset=utf-8\r\n' +
    'Content-Length: 200\r\nConnection: keep-alive\r\nCache-Control: no-store\r\nVary: Accept-Encoding\r\nETag: "0123456789abcdef"\r\nX-Fill: ',
);
const response = Buffer.concat([head, Buffer.alloc(200, 0x78)]);

let transactions = 0;
const nothing = (): undefined => undefined;
const sink: ConversationSink = {
  transaction: () => {
    transactions++;
  },
  requested: nothing,
  seen: nothing,
  dropped: nothing,
  parsed: nothing,
  skipped: nothing,
  lost: nothing,
  count: nothing,
  stepOver: nothing,
  stepOverChunks: nothing,
  followFrames: nothing,
  handOver: nothing,
  giveUp: nothing,
};

const info: ConnectionInfo = {
  id: 1,
  transport: 'tcp',
  ipVersion: 4,
  role: 'server',
  roleEvidence: 'tcp_state',
  local: { address: '127.0.0.1', port: 80 },
  peer: { address: '127.0.0.1', port: 40000 },
  networkNamespace: 1,
  pair: '',
  isFromStart: true,
  openedBy: { pid: 1, startTime: 1 },
};
/** Exchanges per connection, over several connections in turn, as a busy server sees them. */
const connections = 64;
const figures: number[] = [];
for (let round = 0; round < rounds; round++) {
  const http1 = createHttp1();
  const open = Array.from({ length: connections }, () => http1.open(info, 'beginning', sink));
  const before = transactions;
  const start = process.hrtime.bigint();
  let sent = 0;
  let received = 0;
  for (let done = 0; done < exchanges;) {
    for (const conversation of open) {
      conversation.data('request', request, 0, request.length, received, true, sent, done, info.openedBy);
      conversation.data('response', response, 0, response.length, sent, true, received + request.length, done, info.openedBy);
      done++;
    }
    received += request.length;
    sent += response.length;
  }
  const elapsed = Number(process.hrtime.bigint() - start);
  const each = elapsed / (transactions - before);
  figures.push(each);
  console.log(`${each.toFixed(0)} ns per transaction`);
}
figures.sort((a, b) => a - b);
console.log(`median ${(figures[figures.length >> 1] as number).toFixed(0)} ns, least ${(figures[0] as number).toFixed(0)} ns`);

function sized(size: number, text: string): Buffer {
  return Buffer.from(text.padEnd(size - 4, 'x') + '\r\n\r\n');
}
