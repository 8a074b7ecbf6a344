// Every conversation as written, split at every byte, byte by byte, with each chunk lost, and cut at every byte.
// UPDATE_CONVERSATIONS=1 rewrites the expected parts; read the difference before you commit it.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Transaction } from '../../../receiver/model/transaction.ts';
import { createHttp1 } from '../../../receiver/protocols/http1/protocol.ts';
import { type Outcome, play, Player, print, printTransaction, readScripts, type Script, type Step } from './replay.ts';

const scripts = readScripts(new URL('conversations/', import.meta.url));
/** Splitting a body of a megabyte at every byte shows nothing new: of long chunks these many bytes at both ends. */
const EDGE = 300;

for (const script of scripts) {
  describe(script.title, () => {
    test('as written', () => {
      const outcome = play(script, script.steps);
      if (process.env['UPDATE_CONVERSATIONS'] === '1') {
        writeFileSync(script.file, `${script.source}---\n${print(outcome)}`);
      } else {
        assert.equal(print(outcome), script.expected);
      }
      assertBalanced(outcome);
    });

    test('split at every byte', () => {
      const whole = essence(play(script, script.steps));
      for (const [index, step] of script.steps.entries()) {
        if (step.kind !== 'data') continue;
        for (const at of cuts(step.bytes.length)) {
          const outcome = play(script, script.steps.toSpliced(index, 1, ...split(step, at)));
          assert.equal(essence(outcome), whole, `step ${String(index + 1)} split at ${String(at)}`);
          assertBalanced(outcome);
        }
      }
    });

    test('byte by byte', () => {
      const whole = essence(play(script, script.steps));
      const outcome = play(script, script.steps.flatMap(bytewise));
      assert.equal(essence(outcome), whole);
      assertBalanced(outcome);
    });

    test('byte by byte, with two seconds of silence after each', () => {
      const whole = essence(play(script, script.steps));
      const naps = script.steps.flatMap(bytewise).flatMap((step): Step[] => [step, { kind: 'nap', time: step.time }]);
      const outcome = play(script, naps);
      assert.equal(essence(outcome), whole);
      assertBalanced(outcome);
    });

    test('with any chunk lost, nothing wrong', { skip: script.skipped.includes('loss') }, () => {
      const expected = play(script, script.steps).recorder.transactions;
      for (const [index, step] of script.steps.entries()) {
        if (step.kind !== 'data') continue;
        const lost: Step = {
          kind: 'missing',
          side: step.side,
          size: step.bytes.length,
          reason: 'ring_full',
          time: step.time,
          pid: step.pid,
        };
        const outcome = play(script, script.steps.toSpliced(index, 1, lost));
        assertBalanced(outcome);
        for (const transaction of outcome.recorder.transactions) {
          assert.ok(
            isAlsoTrue(transaction, script) || expected.some((one) => isSame(transaction, one)),
            `without step ${String(index + 1)}: ${printTransaction(transaction)}`,
          );
        }
      }
    });

    test('cut at every byte, nothing wrong', { skip: script.skipped.includes('cut') }, () => {
      const expected = play(script, script.steps).recorder.transactions;
      for (const [index, step] of script.steps.entries()) {
        if (step.kind !== 'data') continue;
        for (const at of [0, ...cuts(step.bytes.length)]) {
          const time = script.steps.length + 1;
          const before = at === 0 ? [] : [{ ...step, bytes: step.bytes.subarray(0, at) }];
          const outcome = play(script, [
            ...script.steps.slice(0, index),
            ...before,
            { kind: 'close', cause: 'connection_closed', time },
          ]);
          assertBalanced(outcome);
          for (const transaction of outcome.recorder.transactions) {
            assert.ok(
              isAlsoTrue(transaction, script) ||
                expected.some((one) => isSame(transaction, one) || isCut(transaction, one, script)),
              `step ${String(index + 1)} cut at ${String(at)}: ${printTransaction(transaction)}`,
            );
          }
        }
      }
    });
  });
}

function assertBalanced({ recorder, conversation, given }: Outcome): void {
  assert.equal(recorder.accounted, given, 'bytes');
  assert.equal(recorder.seenCount, recorder.transactions.length + recorder.droppedCount, 'transactions');
  assert.equal(conversation.openTransactions(), 0);
}

/** What must not depend on how bytes are cut into chunks. */
test('conversations side by side do not know of each other', () => {
  const protocol = createHttp1();
  const plain = scripts.filter(({ options }) => Object.keys(options).length === 0);
  for (const shape of [(step: Step) => [step], bytewise]) {
    const players = plain.map((script) => ({ script, player: new Player(script, protocol), steps: script.steps.flatMap(shape) }));
    const longest = Math.max(...players.map(({ steps }) => steps.length));
    for (let at = 0; at < longest; at++) {
      for (const { player, steps } of players) {
        const step = steps[at];
        if (step !== undefined) player.play(step);
      }
    }
    for (const { script, player } of players) {
      const outcome = player.end();
      const alone = play(script, script.steps.flatMap(shape));
      assert.equal(print(outcome), print(alone), script.title);
      assertBalanced(outcome);
    }
  }
});

function essence({ recorder }: Outcome): string {
  const figures = [...recorder.figures]
    .filter(([name]) => /^(seen|dropped|count)/.test(name))
    .map(([name, count]) => `${name} ${String(count)}`);
  return [...recorder.transactions.map(printTransaction), ...figures.sort(), `gave up: ${recorder.gaveUp ?? 'no'}`].join('\n');
}

function cuts(length: number): number[] {
  const all: number[] = [];
  for (let at = 1; at < length; at++) if (at < EDGE || at > length - EDGE) all.push(at);
  return all;
}

function split(step: Step & { kind: 'data' }, at: number): Step[] {
  return [
    { ...step, bytes: step.bytes.subarray(0, at) },
    { ...step, bytes: step.bytes.subarray(at), isIoStart: false },
  ];
}

function bytewise(step: Step): Step[] {
  if (step.kind !== 'data') return [step];
  return [...step.bytes].map((byte, index) => ({
    ...step,
    bytes: Uint8Array.of(byte),
    isIoStart: step.isIoStart && index === 0,
  }));
}

function isAlsoTrue(transaction: Transaction, script: Script): boolean {
  const text = printTransaction(transaction);
  return script.alsoTrue.some((pattern) => pattern.test(text));
}

/** Sizes may be unknown; everything else is the same. */
function isSame(actual: Transaction, expected: Transaction): boolean {
  return printTransaction(withSizesOf(actual, expected)) === printTransaction(expected);
}

function withSizesOf(actual: Transaction, expected: Transaction): Transaction {
  return {
    ...actual,
    request: { ...actual.request, bodySize: actual.request.bodySize ?? expected.request.bodySize },
    response:
      actual.response === undefined
        ? undefined
        : { ...actual.response, bodySize: actual.response.bodySize ?? expected.response?.bodySize },
  };
}

/** The same exchange, ended early. */
function isCut(actual: Transaction, expected: Transaction, script: Script): boolean {
  const isEnded = actual.abort !== undefined || script.canCompleteByClose;
  const isSameStatus = actual.response === undefined || actual.response.statusCode === expected.response?.statusCode;
  const isSmaller =
    actual.response?.bodySize === undefined || actual.response.bodySize <= (expected.response?.bodySize ?? Infinity);
  const request = { ...actual.request, bodySize: expected.request.bodySize };
  const sameRequest = { ...expected, request };
  return (
    isEnded &&
    isSameStatus &&
    isSmaller &&
    actual.requestPosition === expected.requestPosition &&
    actual.start === expected.start &&
    printTransaction(sameRequest) === printTransaction(expected)
  );
}
