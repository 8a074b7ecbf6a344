// Of a direction whose frames the kernel follows, a conversation is told as such; the rest of a connection is as ever.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Connection } from '../../receiver/connections/connection.ts';
import { Controls } from '../../receiver/connections/controls.ts';
import { controlLayout } from '../../receiver/kernel/session.ts';
import type { ConnectionInfo } from '../../receiver/model/connection.ts';
import type { Conversation, ConversationSink, ConversationStart, Protocol } from '../../receiver/model/protocol.ts';
import type { IoEvent } from '../../receiver/model/stream-event.ts';
import { Ledger } from '../../receiver/telemetry/ledger.ts';
import { createHttp1 } from '../../receiver/protocols/http1/protocol.ts';
import { connectionInfo, createBench, opener, Socket, WINDOW_SIZE } from './socket.ts';

/** Recognises text that begins with "PRI" or "SET", notes what it is told, and takes all of it for parsed. */
class Recorder implements Protocol {
  readonly name = 'recorder';
  readonly hasFrames = true;
  readonly heard: unknown[] = [];

  recognise(side: 'request' | 'response', bytes: Uint8Array, from: number, to: number): 'yes' | 'no' {
    const text = Buffer.from(bytes.subarray(from, to)).toString('latin1');
    return text.startsWith(side === 'request' ? 'PRI' : 'SET') ? 'yes' : 'no';
  }

  open(_connection: unknown, start: ConversationStart, sink: ConversationSink): Conversation {
    const { heard } = this;
    if (start !== 'beginning') heard.push(['joined', start]);
    const nothing = (): undefined => undefined;
    return {
      data: (side, bytes, from, to, position) => {
        heard.push(['data', side, Buffer.from(bytes.subarray(from, to)).toString('latin1'), position]);
        sink.parsed(to - from);
      },
      framed: (side, bytes, from, to, position, end, toFrame, isInData, isIoStart, otherPosition, reason, time, process) => {
        const text = Buffer.from(bytes.subarray(from, to)).toString('latin1');
        heard.push([side, text, position, end, toFrame, isInData, isIoStart, otherPosition, reason, time, process.pid]);
        sink.parsed(end - position);
      },
      missing: (side, position, end, reason) => {
        heard.push(['missing', side, position, end, reason]);
        sink.lost(reason, end - position);
      },
      threadContext: (side, context) => void heard.push(['context', side, context.position]),
      unordered: nothing,
      chunksWalked: nothing,
      end: nothing,
      close: nothing,
      exchangeAt: nothing,
      openTransactions: () => 0,
      present: () => ({ open: [], last: undefined }),
      inspect: () => ({ protocol: 'recorder', open: 0, last: undefined }) as never,
      abandon: nothing,
    };
  }
}

interface SetUp {
  readonly recorder: Recorder;
  readonly ledger: Ledger;
  readonly connection: Connection;
  /** Makes events; what it tells of them goes nowhere. */
  readonly socket: Socket;
  readonly deliver: (...events: readonly IoEvent[]) => void;
}

function setUp(
  role: 'client' | 'server' | 'unknown',
  more: Partial<ConnectionInfo> = {},
  others: readonly Protocol[] = [],
): SetUp {
  const recorder = new Recorder();
  const ledger = new Ledger();
  const info = connectionInfo(role, more);
  const connection = new Connection(
    { info, sentPosition: 0, receivedPosition: 0, lastFlow: 'unknown', isSecure: false, time: 0 },
    {
      protocols: [...others, recorder],
      controls: new Controls(new ArrayBuffer(controlLayout.words * 8), controlLayout),
      books: ledger,
      windowSize: WINDOW_SIZE,
      onRequest: () => undefined,
      onTransaction: () => undefined,
      onIgnored: () => undefined,
    },
  );
  const socket = new Socket(createBench().table, 1);
  const deliver = (...events: readonly IoEvent[]): void => {
    // The bytes of an event are good for the call alone.
    for (const event of events) {
      connection.io(event);
      event.bytes.fill(0);
    }
  };
  return { recorder, ledger, connection, socket, deliver };
}

const framing = (toFrame: number, isInData = false): { toFrame: number; isInData: boolean } => ({ toFrame, isInData });

test('framed I/O is handed on with all that was told of it', () => {
  const { recorder, ledger, socket, deliver } = setUp('client');
  const context = { position: 108, end: 300, context: {} as never, record: undefined };
  deliver(socket.event(true, 'PRI *', { uncopied: 100, framing: framing(24), time: 5, otherPosition: 0 }));
  deliver({
    ...socket.event(true, 'head', { uncopied: 50, framing: framing(50, true), isIoStart: false, time: 6, otherPosition: 0 }),
    context,
  });
  deliver(socket.event(false, 'SET', { framing: framing(0), time: 7, pid: 30, missing: 'capture_window' }));
  const first = 'PRI *'.length;
  assert.deepEqual(recorder.heard, [
    ['request', 'PRI *', 0, first + 100, 24, false, true, 0, 'unseen_io', 5, opener.pid],
    ['context', 'request', 108],
    ['request', 'head', first + 100, first + 154, 50, true, false, 0, 'unseen_io', 6, opener.pid],
    ['response', 'SET', 0, 3, 0, false, true, first + 154, 'capture_window', 7, 30],
  ]);
  assert.deepEqual([ledger.report().bytes.seen, ledger.report().bytes.parsed], [first + 157, first + 157]);
});

test('framed I/O that waits for the other direction is handed on later as it was', () => {
  const { recorder, socket, deliver } = setUp('server');
  const asked = socket.event(false, 'PRI', { uncopied: 7, framing: framing(24), otherPosition: 0 });
  const answered = socket.event(true, 'SET', { uncopied: 20, framing: framing(9, true), otherPosition: 10 });
  deliver(answered);
  assert.deepEqual(recorder.heard, []);
  deliver(asked);
  assert.deepEqual(
    recorder.heard.map((call) => (call as unknown[]).slice(0, 6)),
    [
      ['request', 'PRI', 0, 10, 24, false],
      ['response', 'SET', 0, 23, 9, true],
    ],
  );
});

test('the role is found by framed first bytes', () => {
  const { recorder, connection, socket, deliver } = setUp('unknown');
  deliver(socket.event(false, 'PRI', { framing: framing(24) }), socket.event(true, 'SET', { framing: framing(0) }));
  assert.equal(connection.info.role, 'server');
  assert.deepEqual(
    recorder.heard.map((call) => (call as unknown[])[0]),
    ['request', 'response'],
  );
});

test('a hole in a framed direction is missing, and so is nothing else; plain bytes go on behind it', () => {
  const { recorder, ledger, socket, deliver } = setUp('client');
  deliver(socket.event(true, 'PRI', { framing: framing(24), otherPosition: 0 }));
  socket.position.sent += 40;
  deliver(
    socket.event(true, 'x', { framing: framing(3), isResumed: true, otherPosition: 0 }),
    socket.event(true, 'y', { otherPosition: 0 }),
  );
  assert.deepEqual(
    recorder.heard.map((call) => (call as unknown[]).slice(0, 5)),
    [
      ['request', 'PRI', 0, 3, 24],
      ['missing', 'request', 3, 43, 'ring_full'],
      ['request', 'x', 43, 44, 3],
      ['data', 'request', 'y', 44],
    ],
  );
  assert.deepEqual(ledger.report().bytes.lost, { ring_full: 40 });
});

test('frames prove what it is where the first bytes are unknown', () => {
  const { recorder, ledger, connection, socket, deliver } = setUp('client', {}, [createHttp1()]);
  socket.position.sent = 100;
  deliver(socket.event(true, 'head', { framing: framing(0), isResumed: true, otherPosition: 0 }));
  assert.deepEqual(
    recorder.heard.map((call) => (call as unknown[]).slice(0, 4)),
    [
      ['joined', 'middle'],
      ['request', 'head', 100, 104],
    ],
  );
  connection.abandon();
  assert.equal(ledger.report().bytes.lost['ring_full'], 100);
});

test('frames of one side change nothing where the bytes of the other have proven the same', () => {
  const { recorder, socket, deliver } = setUp('client', { isFromStart: false }, [createHttp1()]);
  Object.assign(recorder, { proves: () => true });
  deliver(socket.event(true, 'head', { otherPosition: 0 }), socket.event(false, 'SET', { framing: framing(0) }));
  assert.deepEqual(
    recorder.heard.map((call) => (call as unknown[]).slice(0, 2)),
    [
      ['joined', 'middle'],
      ['data', 'request'],
      ['response', 'SET'],
    ],
  );
});

test('an older session whose first frames are seen is complete all the same', () => {
  const { recorder, socket, deliver } = setUp('client', { isFromStart: false }, [createHttp1()]);
  deliver(socket.event(true, 'PRI', { framing: framing(24), otherPosition: 0 }));
  deliver(socket.event(false, 'SET', { framing: framing(0) }));
  assert.deepEqual(
    recorder.heard.map((call) => (call as unknown[]).slice(0, 2)),
    [
      ['request', 'PRI'],
      ['response', 'SET'],
    ],
  );
});

test('frames of an older connection, and nobody to read them: it is given up', () => {
  const { recorder, ledger, socket, deliver } = setUp('client', { isFromStart: false }, [createHttp1()]);
  Object.assign(recorder, { hasFrames: false });
  deliver(socket.event(true, 'head', { framing: framing(0), otherPosition: 0 }));
  assert.deepEqual(recorder.heard, []);
  assert.equal(ledger.report().connections.not_http, 1);
});
