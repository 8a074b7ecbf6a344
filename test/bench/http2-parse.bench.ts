// Cost of one stream through an HTTP/2 conversation with warm tables: real bytes of Node.js's client and server, ten streams at a time, each a GET of
// another path with eight fields, and a response of seven fields and 200 bytes. And what an idle connection holds.
// node test/bench/http2-parse.bench.ts [streams] [rounds] prints nanoseconds per stream, one line per round, and the median.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ConnectionInfo } from '../../receiver/model/connection.ts';
import type { Conversation, ConversationSink } from '../../receiver/model/protocol.ts';
import { createHttp2 } from '../../receiver/protocols/http2/protocol.ts';
import { recordHttp2 } from './support/http2-recording.ts';

const streams = Number(process.argv[2] ?? 1_000_000);
const rounds = Number(process.argv[3] ?? 7);
const connections = 16;
const recorded = 5000;

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
  giveUp: (reason) => {
    throw new Error(reason);
  },
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

const chunks = await recordHttp2(recorded);

/** One connection's bytes from the chunk `first` up to `last`. */
function play(conversation: Conversation, first: number, last: number, position: { request: number; response: number }): void {
  for (let i = first; i < last; i++) {
    const { side, bytes } = chunks[i] as (typeof chunks)[number];
    const other = position[side === 'request' ? 'response' : 'request'];
    conversation.data(side, bytes, 0, bytes.length, position[side], true, other, i, info.openedBy);
    position[side] += bytes.length;
  }
}

const figures: number[] = [];
for (let round = 0; round < rounds; round++) {
  const protocol = createHttp2();
  const before = transactions;
  const start = process.hrtime.bigint();
  while (transactions - before < streams) {
    // Several connections in turn, as a busy server sees them.
    const open = Array.from({ length: connections }, () => ({
      conversation: protocol.open(info, 'beginning', sink),
      position: { request: 0, response: 0 },
    }));
    for (let i = 0; i < chunks.length; i++) {
      for (const { conversation, position } of open) play(conversation, i, i + 1, position);
    }
  }
  const elapsed = Number(process.hrtime.bigint() - start);
  const each = elapsed / (transactions - before);
  figures.push(each);
  console.log(`${each.toFixed(0)} ns per stream`);
}
figures.sort((a, b) => a - b);
const median = figures[figures.length >> 1] as number;
const least = figures[0] as number;
console.log(`median ${median.toFixed(0)} ns, least ${least.toFixed(0)} ns: ${Math.round(1e9 / median).toString()} streams/s`);

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const idleProtocol = createHttp2();
const idle: Conversation[] = [];
const count = 5000;
collect();
const empty = process.memoryUsage();
for (let i = 0; i < count; i++) {
  const conversation = idleProtocol.open(info, 'beginning', sink);
  // Of the first hundreds of streams: the tables are full. The end is not among them.
  play(conversation, 0, Math.min(200, chunks.length - 10), { request: 0, response: 0 });
  conversation.settle?.(10e9);
  idle.push(conversation);
}
collect();
const full = process.memoryUsage();
const bytes = full.heapUsed + full.external - empty.heapUsed - empty.external;
console.log(`${(bytes / idle.length / 1024).toFixed(1)} KiB per idle connection`);
