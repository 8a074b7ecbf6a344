// Whatever the kernel tells, in whatever order, with whatever missing: nothing throws, the books balance, no answer goes to another's question.
// STREAM_ROUNDS and STREAM_SEED choose how many rounds of traffic and which.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IoEvent } from '../../receiver/model/stream-event.ts';
import { Random } from '../protocols/http1/random.ts';
import { type Bench, createBench, Socket } from './socket.ts';

const rounds = Number(process.env['STREAM_ROUNDS'] ?? 1500);
const seed = Number(process.env['STREAM_SEED'] ?? 7);
const reasons = ['not_in_user_memory', 'unreadable_memory', 'capture_window', 'ring_full'] as const;
const causes = ['closed', 'error', 'eof', 'shutdown'] as const;

/** How far from the ideal a round is: of a thousand, how often. */
interface Weather {
  readonly lost: number;
  readonly cut: number;
  readonly late: number;
  readonly unordered: number;
  readonly ended: number;
  readonly pipelined: number;
}
const calm: Weather = { lost: 0, cut: 0, late: 0, unordered: 0, ended: 0, pipelined: 0 };

interface Exchange {
  readonly status: number;
  readonly requestSize: number;
  readonly responseSize: number;
}

/** Text that looks like a message where it is none. */
const decoys = ['GET /decoy HTTP/1.1\r\n\r\n', 'HTTP/1.1 299 Decoy\r\nContent-Length: 0\r\n\r\n', '0\r\n\r\n', '\r\n', 'x'];

function body(random: Random, limit: number): string {
  let text = '';
  for (let parts = random.below(4); parts > 0; parts--) text += random.oneOf(decoys).repeat(random.below(limit) + 1);
  return text;
}

function framed(random: Random, start: string, content: string): string {
  if (random.below(3) > 0) return `${start}Content-Length: ${content.length}\r\n\r\n${content}`;
  let chunks = '';
  for (let at = 0; at < content.length;) {
    const size = Math.min(content.length - at, random.below(200) + 1);
    chunks += `${size.toString(16)}\r\n${content.slice(at, at + size)}\r\n`;
    at += size;
  }
  return `${start}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`;
}

class Traffic {
  readonly bench: Bench = createBench(30);
  readonly exchanges = new Map<string, Exchange>();
  readonly #random: Random;
  readonly #weather: Weather;
  moved = 0;
  /** An I/O whose thread was overtaken by another one of the same direction, perhaps. */
  #overtaken: { readonly socket: Socket; readonly event: IoEvent } | undefined;
  time = 0;
  /** A send whose thread was stopped before it could tell: what it caused may be told first. */
  #late: (() => IoEvent) | undefined;

  constructor(random: Random, weather: Weather) {
    this.#random = random;
    this.#weather = weather;
  }

  #happens(perMille: number): boolean {
    return this.#random.below(1000) < perMille;
  }

  run(): void {
    const sockets: { socket: Socket; isServer: boolean }[] = [];
    let id = 0;
    for (let step = 0; step < 40; step++) {
      if (sockets.length === 0 || this.#random.below(8) === 0) {
        const isServer = this.#random.below(2) === 0;
        const socket = new Socket(this.bench.table, ++id);
        const isRoleKnown = this.#random.below(4) > 0;
        socket.open(isRoleKnown ? (isServer ? 'server' : 'client') : 'unknown', {
          isFromStart: this.#random.below(5) > 0,
          transport: isRoleKnown ? 'tcp' : 'unix',
        });
        sockets.push({ socket, isServer });
      }
      const { socket, isServer } = this.#random.oneOf(sockets);
      this.#exchange(socket, isServer);
      if (this.#random.below(10) === 0) this.#passTime(this.#random.oneOf([1e3, 60e6, 700e6, 3e9]));
      if (this.#happens(this.#weather.ended)) {
        this.#flushLate();
        socket.time = this.time;
        socket.end(this.#random.oneOf(causes), { error: this.#random.oneOf([0, 104]), isExiting: this.#random.below(4) === 0 });
        sockets.splice(
          sockets.findIndex((entry) => entry.socket === socket),
          1,
        );
      }
      if (this.#happens(this.#weather.ended)) this.bench.table.sweep(new Set(sockets.map((entry) => entry.socket.id)), this.time);
    }
    this.#flushLate();
    this.#passTime(60e6);
    for (let i = 0; i < 6; i++) this.#passTime(600e6);
    this.bench.table.close();
  }

  #passTime(amount: number): void {
    this.#flushLate();
    this.time += amount;
    this.bench.table.tick(this.time);
  }

  #exchange(socket: Socket, isServer: boolean): void {
    const random = this.#random;
    const count = this.#happens(this.#weather.pipelined) ? random.below(3) + 2 : 1;
    const answers: string[] = [];
    for (let i = 0; i < count; i++) {
      const target = `/${socket.id}/${this.exchanges.size}`;
      const status = random.oneOf([200, 201, 202, 203, 206, 400, 404, 500, 503]);
      const asked = random.below(3) === 0 ? body(random, 100) : '';
      const told = body(random, random.oneOf([3, 1000]));
      this.exchanges.set(target, { status, requestSize: asked.length, responseSize: told.length });
      this.#move(socket, !isServer, framed(random, `POST ${target} HTTP/1.1\r\nHost: a\r\n`, asked));
      if (count === 1 && random.below(20) === 0) this.#move(socket, isServer, 'HTTP/1.1 100 Continue\r\n\r\n');
      answers.push(framed(random, `HTTP/1.1 ${status} X\r\n`, told));
    }
    for (const answer of answers) this.#move(socket, isServer, answer);
  }

  /** Moves a text in a few I/Os. */
  #move(socket: Socket, isSent: boolean, text: string): void {
    const random = this.#random;
    for (let at = 0; at < text.length;) {
      const size = random.below(3) === 0 ? random.below(text.length - at) + 1 : text.length - at;
      this.#io(socket, isSent, text.slice(at, at + size));
      at += size;
    }
  }

  #io(socket: Socket, isSent: boolean, text: string): void {
    const random = this.#random;
    this.moved += text.length;
    this.time += random.below(1000) + 1;
    if (this.#happens(this.#weather.lost)) {
      socket.unseen(isSent ? 'sent' : 'received', text.length);
      return;
    }
    const copied = this.#happens(this.#weather.cut) ? random.below(text.length + 1) : text.length;
    // One thread sends, one receives: sends are told in their order.
    if (isSent) this.#flushLate();
    const event = socket.event(isSent, text.slice(0, copied), {
      time: this.time,
      isResumed: this.#happens(this.#weather.lost),
      uncopied: text.length - copied,
      missing: random.oneOf(reasons),
    });
    if (isSent && this.#happens(this.#weather.late)) {
      this.#late = () => {
        event.time = this.time += 500;
        event.otherPosition = socket.position.received;
        return event;
      };
      return;
    }
    const overtaken = this.#overtaken;
    this.#overtaken = undefined;
    if (overtaken === undefined && this.#happens(this.#weather.unordered)) {
      this.#overtaken = { socket, event };
      return;
    }
    this.#tell(event);
    if (overtaken !== undefined) {
      // The kernel gives it the place before where its direction stands by now, whether or not it was there.
      const { event: earlier, socket: at } = overtaken;
      const end = at.position[earlier.isSent ? 'sent' : 'received'];
      this.#tell({
        ...earlier,
        time: (this.time += 10),
        position: Math.max(0, end - earlier.size),
        isUnordered: end > earlier.position + earlier.size,
      });
    }
    if (random.below(2) === 0) this.#flushLate();
  }

  #tell(event: IoEvent): void {
    this.bench.table.io(event);
    // The bytes are the ring's, and the next record's soon.
    event.bytes.fill(0x21);
  }

  #flushLate(): void {
    const late = this.#late;
    this.#late = undefined;
    if (late !== undefined) this.#tell(late());
  }

  /** What is wrong, if anything. */
  verdict(): string | undefined {
    const report = this.bench.ledger.report();
    if (!report.balanced) return `unbalanced: ${JSON.stringify(report)}`;
    if (report.transactions.seen > this.exchanges.size)
      return `${report.transactions.seen} of ${this.exchanges.size} transactions`;
    if (this.bench.table.size > 0) return 'connections are left';
    const { lost, late, unordered, pipelined } = this.#weather;
    return lost > 0 && late + unordered + pipelined > 0 ? undefined : this.#wrongPair();
  }

  /** Not asked where bytes are lost and order is not kept: which answer is whose can then be beyond proof. */
  #wrongPair(): string | undefined {
    const told = new Set<string>();
    for (const { request, response, start, end, abort } of this.bench.transactions) {
      const exchange = this.exchanges.get(request.target);
      if (exchange === undefined) return `${request.target} was never asked`;
      if (told.has(request.target)) return `${request.target} was told twice`;
      told.add(request.target);
      if (response !== undefined && response.statusCode !== exchange.status) return `${request.target} got another's answer`;
      if (abort === undefined && response?.bodySize !== undefined && response.bodySize !== exchange.responseSize) {
        return `${request.target}: ${response.bodySize} of ${exchange.responseSize} bytes answered`;
      }
      if (request.bodySize !== undefined && request.bodySize !== exchange.requestSize) {
        return `${request.target}: ${request.bodySize} of ${exchange.requestSize} bytes asked`;
      }
      if (end < start) return `${request.target} ends before it starts`;
    }
    return undefined;
  }
}

function runAll(weather: Weather, check: (traffic: Traffic) => string | undefined): { exchanges: number; transactions: number } {
  const random = new Random(seed);
  const sum = { exchanges: 0, transactions: 0 };
  for (let round = 0; round < rounds; round++) {
    const roundSeed = random.below(2 ** 31);
    const traffic = new Traffic(new Random(roundSeed), weather);
    traffic.run();
    const problem = traffic.verdict() ?? check(traffic);
    assert.equal(problem, undefined, `round ${round} (seed ${roundSeed})`);
    sum.exchanges += traffic.exchanges.size;
    sum.transactions += traffic.bench.transactions.length;
  }
  return sum;
}

const nothingMore = (): undefined => undefined;

test('in calm weather every exchange from the start is a transaction, and every byte is accounted for', () => {
  const { exchanges, transactions } = runAll(calm, ({ bench, moved }) => {
    const { bytes } = bench.ledger.report();
    return bytes.seen === moved ? undefined : `${bytes.seen} of ${moved} bytes`;
  });
  assert.ok(transactions > exchanges * 0.9, `${transactions} of ${exchanges}`);
});

test('with events that come late, pipelining and closes', () => {
  const { exchanges, transactions } = runAll({ ...calm, late: 50, ended: 50, pipelined: 100 }, nothingMore);
  assert.ok(transactions > exchanges * 0.3, `${transactions} of ${exchanges}`);
});

test('with lost and uncopied bytes', () => {
  const { exchanges, transactions } = runAll({ ...calm, lost: 20, cut: 20, ended: 20 }, nothingMore);
  assert.ok(transactions > exchanges * 0.2, `${transactions} of ${exchanges}`);
});

test('with I/O of two threads in one direction', () => {
  const { exchanges, transactions } = runAll({ ...calm, unordered: 20, late: 20, ended: 20 }, nothingMore);
  assert.ok(transactions > exchanges * 0.2, `${transactions} of ${exchanges}`);
});

test('with everything at once', () => {
  runAll({ lost: 50, cut: 50, late: 100, unordered: 50, ended: 100, pipelined: 200 }, nothingMore);
});
