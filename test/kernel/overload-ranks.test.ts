// Which connections the kernel side leaves out for a share, by the rank that each has (bpf/overload.h).
import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { Decoder } from '../../receiver/kernel/decode.ts';
import { bound } from '../../receiver/kernel/layout.ts';
import { type KernelSession, loadPrograms } from '../../receiver/kernel/session.ts';
import { kernelTest } from '../support/kernel.ts';
import { type Program, startProgram } from '../traffic/program.ts';

const script = path.join(import.meta.dirname, 'overload-pairs.mjs');
const ASKED = 18;
const ANSWERED = 27;
const PER_END = ASKED + ANSWERED;
/** Both ends of each. */
const TCP_PAIRS = 100;
const UNIX_PAIRS = 40;
const ENDS = 2 * (TCP_PAIRS + UNIX_PAIRS);

interface End {
  readonly id: number;
  readonly pair: string;
  readonly transport: string;
}

interface Heard {
  isResumed: boolean;
  bytes: number;
  /** Positions of its first bytes of each direction. */
  received: number | undefined;
  sent: number | undefined;
}

interface Kernel {
  readonly session: KernelSession;
  readonly program: Program;
  readonly ends: Map<number, End>;
  /** What the I/Os since the last call were, by connection. */
  readonly drain: () => Map<number, Heard>;
  readonly exchange: () => Promise<Map<number, Heard>>;
}

async function start(t: TestContext, tcpPairs: number, unixPairs: number): Promise<Kernel> {
  // Our own pipes to a child are sockets, which would be two more connections of its.
  const command = `cat | "$0" "$@" | cat`;
  const program = startProgram(t, '/bin/sh', ['-c', command, process.execPath, script, String(tcpPairs), String(unixPairs)]);
  const pids = [Number((await program.next('ready'))['pid'])];
  const rule = { localPorts: [], remotePorts: [], cidrs: [], pids, executables: [], cgroups: [] };
  const programs = await loadPrograms({
    filter: { include: [rule], exclude: [], loopback: true },
    ringBufferSizeBytes: 8 * 1024 * 1024,
  });
  const session = programs.attach();
  t.after(() => session.close());
  await order(program, 'open');
  const ends = new Map<number, End>();
  let heard = new Map<number, Heard>();
  const buffer = new Uint8Array(1024 * 1024);
  const decoder = new Decoder(buffer, 0n, 512, {
    io: (event) => {
      const known = heard.get(event.connection);
      const entry = known ?? { isResumed: event.isResumed, bytes: 0, received: undefined, sent: undefined };
      entry.bytes += event.captured;
      if (event.isSent) entry.sent ??= event.position;
      else entry.received ??= event.position;
      heard.set(event.connection, entry);
    },
    open: ({ info }) => void ends.set(info.id, { id: info.id, pair: info.pair, transport: info.transport }),
    end: () => {},
    walked: () => {},
    secured: () => {},
    resumed: () => {},
    processStarted: () => {},
    processExited: () => {},
    executed: () => {},
    vitals: () => {},
    dropped: () => assert.fail('the ring was full'),
    malformed: () => assert.fail('a record could not be read'),
  });
  const drain = (): Map<number, Heard> => {
    for (let size = session.drain(buffer); size > 0; size = session.drain(buffer)) decoder.decode(size);
    const result = heard;
    heard = new Map();
    return result;
  };
  const exchange = async (): Promise<Map<number, Heard>> => {
    await order(program, 'ask');
    await order(program, 'answer');
    return drain();
  };
  return { session, program, ends, drain, exchange };
}

async function order(program: Program, step: 'open' | 'ask' | 'answer'): Promise<void> {
  program.send(step);
  await program.next('done');
}

const WORD = (1n << 64n) - 1n;

/** Of what both ends have: mix() of bpf/overload.h. */
function mix(a: bigint, b: bigint): number {
  const [low, high] = a < b ? [a, b] : [b, a];
  let hash = (high * 0x9e3779b97f4a7c15n + low) & WORD;
  hash ^= hash >> 33n;
  hash = (hash * 0xff51afd7ed558ccdn) & WORD;
  hash ^= hash >> 33n;
  hash = (hash * 0xc4ceb9fe1a85ec53n) & WORD;
  return Number(hash >> 48n);
}

/** By connection. */
function ranksOf(ends: ReadonlyMap<number, End>): ReadonlyMap<number, number> {
  const ranks = new Map<number, number>();
  for (const { id, pair, transport } of ends.values()) {
    if (transport === 'tcp') {
      ranks.set(id, mix(BigInt(`0x${pair.slice(0, 8)}`), BigInt(`0x${pair.slice(8)}`)));
      continue;
    }
    const both = [...ends.values()].filter((other) => other.pair === pair);
    assert.equal(both.length, 2, `both ends of ${pair}`);
    ranks.set(id, mix(BigInt(both[0]!.id), BigInt(both[1]!.id)));
  }
  return ranks;
}

const sorted = (ids: Iterable<number>): number[] => [...ids].sort((a, b) => a - b);

test(
  'exactly the connections whose rank is below the share are left out, at both ends, and come back',
  kernelTest(),
  async (t) => {
    const { session, ends, exchange } = await start(t, TCP_PAIRS, UNIX_PAIRS);
    assert.equal((await exchange()).size, ENDS);
    assert.equal(ends.size, ENDS);
    const ranks = ranksOf(ends);
    const outAt = (share: number): number[] => sorted(ends.keys()).filter((id) => ranks.get(id)! < share * bound.shedAll);

    let exchanges = 1;
    let shed = 0;
    let lostBytes = 0;
    let before: readonly number[] = [];
    for (const share of [0.25, 0.5, 0.9, 0.9, 0.4, 1 / 16, 0, 1, 0]) {
      session.leaveOut(share);
      const heard = await exchange();
      const out = outAt(share);
      assert.deepEqual(
        sorted(heard.keys()),
        sorted(ends.keys()).filter((id) => !out.includes(id)),
        `share ${share}`,
      );
      for (const [id, { isResumed, bytes, received, sent }] of heard) {
        assert.equal(isResumed, before.includes(id), `a connection that was out says so, at share ${share}`);
        assert.equal(bytes, PER_END);
        assert.deepEqual(sorted([received!, sent!]), sorted([exchanges * ASKED, exchanges * ANSWERED]));
      }
      shed += out.filter((id) => !before.includes(id)).length;
      lostBytes += out.length * PER_END;
      const counters = session.counters();
      assert.deepEqual(
        [counters.shedOverload, counters.shed, counters.lostBytes, counters.ringFull],
        [shed, 0, lostBytes, 0],
        `share ${share}`,
      );
      before = out;
      exchanges++;
    }
  },
);

test(
  'what both ends have in common is well mixed: a share leaves out about as many, and always both ends',
  kernelTest(),
  async (t) => {
    const { session, ends, exchange } = await start(t, 500, 0);
    await exchange();
    session.leaveOut(0.3);
    const heard = await exchange();
    const pairs = new Map<string, number>();
    for (const id of heard.keys()) pairs.set(ends.get(id)!.pair, (pairs.get(ends.get(id)!.pair) ?? 0) + 1);
    assert.deepEqual(new Set(pairs.values()), new Set([2]));
    // 500 × 0.7, and five standard deviations.
    assert.ok(Math.abs(pairs.size - 350) < 52, `${pairs.size} of 500 are followed`);
  },
);

test('an exchange that has begun is followed to its end', kernelTest(), async (t) => {
  const { session, program, drain } = await start(t, 20, 20);
  await order(program, 'ask');
  session.leaveOut(1);
  await order(program, 'answer');
  const heard = drain();
  assert.equal(heard.size, 80);
  for (const { bytes, isResumed } of heard.values()) assert.deepEqual([bytes, isResumed], [PER_END, false]);
  await order(program, 'ask');
  await order(program, 'answer');
  assert.equal(drain().size, 0);
  assert.equal(session.counters().shedOverload, 80);
});
