// A context belongs to the I/O that it was told before, by connection, direction and position; to no other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Decoder, type EventHandler } from '../../receiver/kernel/decode.ts';
import type { IoContext } from '../../receiver/model/thread-context.ts';
import { RecordWriter } from '../support/ring-records.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const nothing = (): void => undefined;

/** The contexts of the I/Os among what is written. */
function contextsOf(write: (writer: RecordWriter) => void): (IoContext | undefined)[] {
  const bytes = new Uint8Array(64 * 1024);
  const contexts: (IoContext | undefined)[] = [];
  const handler: EventHandler = {
    io: ({ context }) => contexts.push(context),
    open: nothing,
    end: nothing,
    walked: nothing,
    secured: nothing,
    resumed: nothing,
    processStarted: nothing,
    processExited: nothing,
    executed: nothing,
    vitals: nothing,
    dropped: () => assert.fail('a record is missing'),
    malformed: () => assert.fail('a record is malformed'),
  };
  const writer = new RecordWriter(bytes, 0n);
  write(writer);
  new Decoder(bytes, 0n, 2, handler).decode(writer.size);
  return contexts;
}

const told = { cookie: 7, isSent: true, position: 100, size: 50, traceId, spanId };
const payload = Buffer.from('GET /');

test('the I/O has the ids, and the flags of a span that is exported', () => {
  const [plain, random] = contextsOf((writer) => {
    writer.context(told);
    writer.io({ cookie: 7, isSent: true, position: 100, payload });
    writer.context({ ...told, flags: 0xfe });
    writer.io({ cookie: 7, isSent: true, position: 100, payload });
  });
  assert.deepEqual(plain, {
    position: 100,
    end: 150,
    context: { traceId, spanId, flags: 1, traceState: '' },
    record: undefined,
  });
  assert.equal(random?.context.flags, 3);
});

test('a long I/O has it in each of its records, and it is the same object', () => {
  const [first, last, next] = contextsOf((writer) => {
    writer.context(told);
    writer.io({ cookie: 7, isSent: true, position: 100, payload });
    writer.io({ cookie: 7, isSent: true, position: 149, payload });
    writer.io({ cookie: 7, isSent: true, position: 150, payload });
  });
  assert.notEqual(first, undefined);
  assert.equal(first, last);
  assert.equal(next, undefined);
});

test('an I/O may have it in its own record, behind its bytes and whatever else is there', () => {
  const [within, next] = contextsOf((writer) => {
    writer.io({ cookie: 7, isSent: true, position: 100, payload, residue: 7, context: { traceId, spanId, flags: 2 } });
    writer.io({ cookie: 7, isSent: true, position: 102, payload });
  });
  assert.deepEqual(within, {
    position: 100,
    end: 105,
    context: { traceId, spanId, flags: 3, traceState: '' },
    record: undefined,
  });
  assert.equal(next, undefined);
});

test('another connection, direction, position or CPU has none of it', () => {
  const contexts = contextsOf((writer) => {
    writer.context(told);
    writer.io({ cookie: 8, isSent: true, position: 100, payload });
    writer.io({ cookie: 7, isSent: false, position: 100, payload });
    writer.io({ cookie: 7, isSent: true, position: 99, payload });
    writer.io({ cookie: 7, isSent: true, position: 100, payload, cpu: 1 });
    writer.io({ cookie: 7, isSent: true, position: 100, payload });
  });
  assert.deepEqual(
    contexts.map((context) => context !== undefined),
    [false, false, false, false, true],
  );
});

test('the record is kept with its attributes, if those were copied', () => {
  const attributes = Uint8Array.of(0, 2, 0x61, 0x62);
  const [with4, without, with1] = contextsOf((writer) => {
    writer.context({ ...told, attributes });
    writer.io({ cookie: 7, isSent: true, position: 100, payload });
    writer.context({ ...told, attributes, hasNoAttributes: true });
    writer.io({ cookie: 7, isSent: true, position: 100, payload });
    writer.context({ ...told, attributes: Uint8Array.of(9) });
    writer.io({ cookie: 7, isSent: true, position: 100, payload });
  });
  assert.equal(Buffer.from(with4?.record ?? []).toString('hex'), `${traceId}${spanId}0100040000026162`);
  assert.equal(without?.record, undefined);
  assert.equal(with1?.record?.length, 29);
});
