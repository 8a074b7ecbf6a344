import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Decoder, type EventHandler } from '../../receiver/kernel/decode.ts';
import { formatIpv6 } from '../../receiver/kernel/ipv6.ts';
import { FIRST_SESSION } from '../../receiver/model/connection.ts';
import {
  connectionEvent,
  connOutcome,
  connRole,
  endCause,
  eventHeader,
  eventKind,
  ioFlag,
  lastFlow,
  tlsEvidence,
  tlsLibrary,
  framingFlag,
  missingReason,
  vitalsEvent,
} from '../../receiver/kernel/layout.ts';
import { decodeAllVitals } from '../../receiver/kernel/vitals.ts';
import type { ConnectionVitals } from '../../receiver/model/connection-vitals.ts';
import type { ProcessInstance } from '../../receiver/model/thread-context.ts';
import type { ProcessId, ProcessImage } from '../../receiver/model/process.ts';
import type { EndEvent, IoEvent, OpenEvent, SecuredEvent, WalkEvent } from '../../receiver/model/stream-event.ts';
import { Random } from '../support/random.ts';
import { PID, RecordWriter, START_TIME } from '../support/ring-records.ts';

const AF_UNIX = 1;
const AF_INET6 = 10;
/** Just below a carry between the halves of a 64-bit time. */
const origin = 0x0000_0007_ffff_ff00n;

class Recorder implements EventHandler {
  readonly ios: (Omit<IoEvent, 'bytes' | 'from'> & { readonly text: string })[] = [];
  readonly opens: OpenEvent[] = [];
  readonly ends: EndEvent[] = [];
  readonly walks: WalkEvent[] = [];
  readonly images: ProcessImage[] = [];
  readonly exits: (ProcessId & { readonly time: number })[] = [];
  droppedCount = 0;
  malformedCount = 0;

  io(event: IoEvent): void {
    const { bytes, from, ...rest } = event;
    this.ios.push({ ...rest, text: Buffer.from(bytes.subarray(from, from + event.captured)).toString('latin1') });
  }
  open(event: OpenEvent): void {
    this.opens.push(event);
  }
  end(event: EndEvent): void {
    this.ends.push(event);
  }
  readonly resumedIds: number[] = [];
  resumed(connection: number): void {
    this.resumedIds.push(connection);
  }
  readonly bindings: SecuredEvent[] = [];
  secured(event: SecuredEvent): void {
    this.bindings.push(event);
  }
  walked(event: WalkEvent): void {
    this.walks.push(event);
  }
  processStarted(image: ProcessImage): void {
    this.images.push(image);
  }
  readonly execs: ProcessInstance[] = [];
  executed(instance: ProcessInstance): void {
    this.execs.push(instance);
  }
  processExited(process: ProcessId, time: number): void {
    this.exits.push({ ...process, time });
  }
  readonly vitalsOf: ConnectionVitals[] = [];
  vitals(vitals: ConnectionVitals): void {
    this.vitalsOf.push(vitals);
  }
  dropped(count: number): void {
    this.droppedCount += count;
  }
  malformed(): void {
    this.malformedCount++;
  }
}

function setUp(size = 64 * 1024): { readonly writer: RecordWriter; readonly take: () => number; readonly heard: Recorder } {
  const bytes = new Uint8Array(size);
  const heard = new Recorder();
  const decoder = new Decoder(bytes, origin, 4, heard);
  const writer = new RecordWriter(bytes, origin);
  const take = (): number => {
    const count = decoder.decode(writer.size);
    writer.rewind();
    return count;
  };
  return { writer, take, heard };
}

/** What comes of one connection record. */
function opened(record: Partial<Parameters<RecordWriter['connection']>[0]>): OpenEvent {
  const { writer, take, heard } = setUp();
  writer.connection({ cookie: 1, ...record });
  take();
  const [event] = heard.opens;
  assert.ok(event);
  return event;
}

describe('an I/O', () => {
  test('arrives with all its fields', () => {
    const { writer, take, heard } = setUp();
    writer.io({
      monotonicNs: origin + 5n,
      cookie: 2 ** 40 + 1,
      isSent: true,
      position: 2 ** 33 + 7,
      otherPosition: 2 ** 34,
      payload: Buffer.from('HTTP/1.1 200'),
      size: 100_000,
      missing: missingReason.window,
      flags: ioFlag.start | ioFlag.resumed | ioFlag.blocking,
      residue: 116,
    });
    writer.io({ cookie: 3, isSent: false, position: 0, payload: Buffer.from('x'), flags: ioFlag.unordered });
    assert.equal(take(), 2);
    assert.deepEqual(heard.ios, [
      {
        connection: 2 ** 40 + 1,
        time: 5,
        process: { pid: PID, startTime: START_TIME },
        isSent: true,
        isIoStart: true,
        tid: PID,
        isBlocking: true,
        isUnordered: false,
        isResumed: true,
        position: 2 ** 33 + 7,
        otherPosition: 2 ** 34,
        size: 100_000,
        captured: 12,
        missing: 'capture_window',
        isFramed: false,
        toFrame: 0,
        isInData: false,
        context: undefined,
        text: 'HTTP/1.1 200',
      },
      {
        connection: 3,
        time: 1005,
        process: { pid: PID, startTime: START_TIME },
        isSent: false,
        isIoStart: false,
        tid: PID,
        isBlocking: false,
        isUnordered: true,
        isResumed: false,
        position: 0,
        otherPosition: 0,
        size: 1,
        captured: 1,
        missing: undefined,
        isFramed: false,
        toFrame: 0,
        isInData: false,
        context: undefined,
        text: 'x',
      },
    ]);
  });

  test('of a direction whose frames are followed says where it stands in them', () => {
    const { writer, take, heard } = setUp();
    const payload = Buffer.from('head');
    for (const framing of [framingFlag.frames, framingFlag.frames | framingFlag.inData]) {
      writer.io({ cookie: 1, isSent: true, position: 24, payload, size: 1000, framing, toFrame: 0xffff_fff0 });
    }
    take();
    assert.deepEqual(
      heard.ios.map(({ isFramed, isInData, toFrame, text, size }) => ({ isFramed, isInData, toFrame, text, size })),
      [false, true].map((isInData) => ({ isFramed: true, isInData, toFrame: 0xffff_fff0, text: 'head', size: 1000 })),
    );
  });

  test('names why bytes are missing', () => {
    const { writer, take, heard } = setUp();
    for (const missing of [1, 2, 3, 4, 5]) writer.io({ cookie: 1, isSent: false, position: 0, size: 9, missing });
    take();
    assert.deepEqual(
      heard.ios.map((io) => io.missing),
      ['capture_window', 'not_in_user_memory', 'unreadable_memory', 'compat_task', 'too_many_vectors'],
    );
  });

  test('of one process is given one identity object, and of its successor another', () => {
    const seen: ProcessId[] = [];
    const bytes = new Uint8Array(4096);
    const recorder = new Recorder();
    recorder.io = (event) => seen.push(event.process);
    const decoder = new Decoder(bytes, origin, 1, recorder);
    const writer = new RecordWriter(bytes, origin);
    for (const startTime of [1, 1, 2]) writer.io({ cookie: 1, isSent: false, position: 0, startTime });
    decoder.decode(writer.size);
    assert.equal(seen[0], seen[1]);
    assert.deepEqual(seen[2], { pid: PID, startTime: 2 });
  });
});

test('times are exact across the 32-bit halves, before and after the origin', () => {
  const { writer, take, heard } = setUp();
  const offsets = [0n, 0xffn, 0x100n, 0x101n, -0x100n, -(2n ** 32n), 2n ** 32n, 2n ** 45n + 1n, -origin];
  for (const offset of offsets) writer.io({ cookie: 1, isSent: false, position: 0, monotonicNs: origin + offset });
  take();
  assert.deepEqual(
    heard.ios.map((io) => io.time),
    offsets.map(Number),
  );
});

describe('a connection', () => {
  test('arrives with all its fields', () => {
    const event = opened({
      cookie: 77,
      sentPosition: 10,
      receivedPosition: 2 ** 35,
      netns: 4_026_531_840,
      isFromStart: false,
      last: lastFlow.sent,
      role: 1,
      evidence: 2,
      isSecure: true,
      localPort: 65_535,
      peerPort: 443,
    });
    assert.deepEqual(event, {
      info: {
        id: 77,
        transport: 'tcp',
        ipVersion: 4,
        role: 'client',
        roleEvidence: 'listener',
        local: { address: '127.0.0.1', port: 65_535 },
        peer: { address: '127.0.0.1', port: 443 },
        networkNamespace: 4_026_531_840,
        pair: '',
        isFromStart: false,
        openedBy: { pid: PID, startTime: START_TIME },
      },
      sentPosition: 10,
      receivedPosition: 2 ** 35,
      lastFlow: 'sent',
      isSecure: true,
      time: event.time,
    });
  });

  test('is told of a TLS session that is bound to it', () => {
    const { writer, take, heard } = setUp();
    const since = { sinceNs: Number(origin) + 5000, isAgain: true };
    writer.secure({ session: FIRST_SESSION + 7, cookie: 77, library: tlsLibrary.go, evidence: tlsEvidence.descriptor, ...since });
    writer.secure({ session: FIRST_SESSION + 8, cookie: 0, library: tlsLibrary.openssl, evidence: tlsEvidence.contradiction });
    writer.secure({ session: FIRST_SESSION + 9, cookie: 0, library: tlsLibrary.gnutls, evidence: tlsEvidence.unfollowed });
    take();
    const process = { pid: PID, startTime: START_TIME };
    assert.deepEqual(
      heard.bindings.map(({ time, ...binding }) => ({ ...binding, hasTime: time >= 0 })),
      [
        {
          session: FIRST_SESSION + 7,
          carrier: 77,
          process,
          library: 'go',
          evidence: 'descriptor',
          since: 5000,
          isFirst: false,
          hasTime: true,
        },
        {
          session: FIRST_SESSION + 8,
          carrier: 0,
          process,
          library: 'openssl',
          evidence: 'contradiction',
          since: undefined,
          isFirst: true,
          hasTime: true,
        },
        {
          session: FIRST_SESSION + 9,
          carrier: 0,
          process,
          library: 'gnutls',
          evidence: 'unfollowed',
          since: undefined,
          isFirst: true,
          hasTime: true,
        },
      ],
    );
  });

  test('has the same pair as its other end', () => {
    const isns = [0x89ab_cdef, 0x0000_0123] as const;
    const pairs = [opened({ localIsn: isns[0], peerIsn: isns[1] }), opened({ localIsn: isns[1], peerIsn: isns[0] })];
    assert.deepEqual(
      pairs.map(({ info }) => info.pair),
      ['0000012389abcdef', '0000012389abcdef'],
    );
  });

  test("over a UNIX socket has the pair of the client's cookie, from its start on", () => {
    const server = { family: AF_UNIX, cookie: 20, peerCookie: 17, role: 2 };
    const client = { family: AF_UNIX, cookie: 17, peerCookie: 0, role: 1 };
    assert.equal(opened(server).info.pair, 'unix-11');
    assert.equal(opened(client).info.pair, 'unix-11');
    assert.equal(opened({ ...server, isFromStart: false }).info.pair, '');
    assert.equal(opened({ ...server, peerCookie: 0 }).info.pair, '');
    assert.equal(opened({ ...server, role: 0 }).info.pair, '');
  });

  test('over an IPv6 socket with IPv4-mapped addresses is IPv4', () => {
    const local = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3);
    const { info } = opened({ family: AF_INET6, local });
    assert.deepEqual([info.ipVersion, info.local.address], [4, '10.1.2.3']);
  });

  test('over IPv6 is IPv6', () => {
    const local = Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
    const { info } = opened({ family: AF_INET6, local, peer: local });
    assert.deepEqual([info.ipVersion, info.local.address, info.peer.address], [6, '2001:db8::1', '2001:db8::1']);
  });

  const unixPaths: readonly (readonly [title: string, path: string, address: string])[] = [
    ['a path', '/run/app.sock\0', '/run/app.sock'],
    ['a path without a terminating zero', '/run/app.sock', '/run/app.sock'],
    ['a path outside ASCII', '/run/é.sock\0', '/run/é.sock'],
    ['a path of all its room', `/${'x'.repeat(107)}`, `/${'x'.repeat(107)}`],
    ['an abstract name', '\0app', '@app'],
    ['an abstract name with zeros in it', '\0a\0b', '@a\0b'],
    ['no name', '', ''],
  ];
  for (const [title, path, address] of unixPaths) {
    test(`over a UNIX socket with ${title}`, () => {
      const { info } = opened({ family: AF_UNIX, localPath: path, peerPath: path, role: 0, evidence: 3 });
      assert.deepEqual(
        [info.transport, info.ipVersion, info.role, info.roleEvidence, info.local, info.peer],
        ['unix', undefined, 'unknown', 'unix_address', { address, port: 0 }, { address, port: 0 }],
      );
    });
  }
});

test('IPv6 text follows RFC 5952', () => {
  const rows: readonly (readonly [groups: readonly number[], text: string])[] = [
    [[0, 0, 0, 0, 0, 0, 0, 0], '::'],
    [[0, 0, 0, 0, 0, 0, 0, 1], '::1'],
    [[1, 0, 0, 0, 0, 0, 0, 0], '1::'],
    [[0x2001, 0xdb8, 0, 0, 0, 0, 2, 1], '2001:db8::2:1'], // 4.2.1
    [[0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], '2001:db8:0:1:1:1:1:1'], // 4.2.2: one group is not shortened
    [[0x2001, 0, 0, 1, 0, 0, 0, 1], '2001:0:0:1::1'], // 4.2.3: the longest run
    [[0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], '2001:db8::1:0:0:1'], // 4.2.3: the first of equal ones
    [[0xfe80, 0, 0, 0, 0xabcd, 0xef, 0x0a, 0x0], 'fe80::abcd:ef:a:0'], // 4.1, 4.3
    [[0, 0, 1, 0, 0, 0, 1, 0], '0:0:1::1:0'],
    [[1, 2, 3, 4, 5, 6, 0, 0], '1:2:3:4:5:6::'],
    [[1, 2, 3, 4, 5, 6, 7, 8], '1:2:3:4:5:6:7:8'],
  ];
  for (const [groups, text] of rows) {
    assert.equal(formatIpv6(Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]))), text);
  }
});

describe('an end', () => {
  test('arrives with all its fields', () => {
    const { writer, take, heard } = setUp();
    writer.end({
      monotonicNs: origin + 9n,
      cookie: 5,
      cause: endCause.error,
      flags: ioFlag.sent,
      sentPosition: 2 ** 33,
      receivedPosition: 3,
      error: 104,
      isExiting: true,
    });
    take();
    assert.deepEqual(heard.ends, [
      { connection: 5, time: 9, cause: 'error', sentPosition: 2 ** 33, receivedPosition: 3, error: 104, isExiting: true },
    ]);
  });

  test('names its cause', () => {
    const { writer, take, heard } = setUp();
    for (const cause of [endCause.eof, endCause.shutdown, endCause.closed, endCause.error]) writer.end({ cookie: 1, cause });
    take();
    assert.deepEqual(
      heard.ends.map((end) => end.cause),
      ['eof', 'shutdown', 'closed', 'error'],
    );
  });

  test('is none when a write of nothing returned 0: only a read tells that the peer sends no more', () => {
    const { writer, take, heard } = setUp();
    writer.end({ cookie: 1, cause: endCause.eof, flags: ioFlag.sent });
    assert.equal(take(), 1);
    assert.deepEqual(heard.ends, []);
  });
});

test('a walk arrives with all its fields', () => {
  const { writer, take, heard } = setUp();
  writer.walk({
    monotonicNs: origin + 3n,
    cookie: 5,
    isSent: true,
    position: 100,
    end: 2 ** 34,
    next: 2 ** 34 + 5,
    body: 2 ** 34 - 200,
  });
  writer.walk({ cookie: 5, isSent: false, position: 1, end: 2, next: 3, body: 0 });
  take();
  assert.deepEqual(heard.walks, [
    { connection: 5, time: 3, isSent: true, position: 100, end: 2 ** 34, next: 2 ** 34 + 5, body: 2 ** 34 - 200 },
    { connection: 5, time: 1003, isSent: false, position: 1, end: 2, next: 3, body: 0 },
  ]);
});

test('a program that begins arrives with the instance of its process', () => {
  const { writer, take, heard } = setUp();
  writer.exec({ pid: 7, startTime: 2n ** 53n + 1n, execId: 3 });
  assert.equal(take(), 1);
  assert.deepEqual(heard.execs, [{ pid: 7, startTime: 2n ** 53n + 1n, execId: 3 }]);
});

describe('how a connection fared', () => {
  test('arrives with all its fields', () => {
    const { writer, take, heard } = setUp();
    writer.vitals({
      cookie: 77,
      sent: 2 ** 40 + 1,
      received: 5,
      retransmits: 4_000_000_000,
      rttUs: 12_345,
      error: 104,
      netns: 4_026_531_840,
      localPort: 40_000,
      peerPort: 65_535,
      role: connRole.server,
      outcome: connOutcome.resetReceived,
      isUnsent: true,
      pid: 9,
      startTime: 11,
      peerAddress: Buffer.from('20010db8000000000000000000000001', 'hex'),
    });
    take();
    assert.deepEqual(heard.vitalsOf, [
      {
        connection: 77,
        sent: 2 ** 40 + 1,
        received: 5,
        retransmits: 4_000_000_000,
        rttUs: 12_345,
        role: 'server',
        ipVersion: 6,
        local: { address: '127.0.0.1', port: 40_000 },
        peer: { address: '2001:db8::1', port: 65_535 },
        networkNamespace: 4_026_531_840,
        process: { pid: 9, startTime: 11 },
        outcome: 'reset_received',
        error: 104,
        isUnsent: true,
      },
    ]);
  });

  test('has every outcome by its name, and of pid 0 no process', () => {
    const { writer, take, heard } = setUp();
    for (const outcome of Object.values(connOutcome)) writer.vitals({ cookie: 1, outcome, pid: 0 });
    take();
    assert.deepEqual(
      heard.vitalsOf.map(({ outcome }) => outcome),
      [undefined, 'closed', 'reset_received', 'reset_sent', 'reset', 'failed'],
    );
    assert.ok(heard.vitalsOf.every(({ process, ipVersion }) => process === undefined && ipVersion === 4));
  });

  test('of many arrives as one stretch of memory, of which a part of a record is left', () => {
    const bytes = new Uint8Array(3 * vitalsEvent.sizeOf - 1);
    const view = new DataView(bytes.buffer);
    for (const i of [0, 1]) view.setBigUint64(i * vitalsEvent.sizeOf + vitalsEvent.cookie, BigInt(i + 5), true);
    const connections: number[] = [];
    decodeAllVitals(bytes, ({ connection }) => connections.push(connection));
    assert.deepEqual(connections, [5, 6]);
  });
});

describe('a process', () => {
  test('arrives with all its fields', () => {
    const { writer, take, heard } = setUp();
    writer.process({
      pid: 7,
      startTime: 2 ** 50,
      comm: 'sixteen-letters!',
      executable: '/usr/bin/naïve',
      cgroup: '/system.slice/app.service',
      args: ['naïve', '', '--port', '80'],
      environment: ['OTEL_SERVICE_NAME=shop'],
    });
    take();
    assert.deepEqual(heard.images, [
      {
        pid: 7,
        startTime: 2 ** 50,
        comm: 'sixteen-letters!',
        executablePath: '/usr/bin/naïve',
        cgroupPath: '/system.slice/app.service',
        args: ['naïve', '', '--port', '80'],
        environment: new Map([['OTEL_SERVICE_NAME', 'shop']]),
      },
    ]);
  });

  test('of which the kernel could tell nothing is known by its identity', () => {
    const { writer, take, heard } = setUp();
    writer.process({});
    take();
    assert.deepEqual(heard.images, [
      { pid: PID, startTime: START_TIME, comm: '', executablePath: '', cgroupPath: '', args: [], environment: new Map() },
    ]);
  });

  test('keeps nothing of its environment but OTEL_*', () => {
    const { writer, take, heard } = setUp();
    writer.process({
      environment: [
        'PASSWORD=secret',
        'OTEL_RESOURCE_ATTRIBUTES=a=b,c=d',
        'XOTEL_A=1',
        'OTHER=OTEL_B=2',
        'OTEL_EMPTY=',
        'OTEL_NONE',
        '=OTEL_C',
        '',
        'otel_d=1',
        'OTEL_LAST=é',
      ],
    });
    take();
    assert.deepEqual(
      [...(heard.images[0]?.environment ?? [])],
      [
        ['OTEL_RESOURCE_ATTRIBUTES', 'a=b,c=d'],
        ['OTEL_EMPTY', ''],
        ['OTEL_LAST', 'é'],
      ],
    );
  });

  test('exits', () => {
    const { writer, take, heard } = setUp();
    writer.processExit({ pid: 7, startTime: 8, monotonicNs: origin - 1n });
    take();
    assert.deepEqual(heard.exits, [{ pid: 7, startTime: 8, time: -1 }]);
  });
});

describe('sequence numbers', () => {
  const droppedOf = (...batches: readonly (readonly (readonly [cpu: number, sequence: number])[])[]): number => {
    const { writer, take, heard } = setUp();
    for (const batch of batches) {
      for (const [cpu, sequence] of batch) writer.io({ cookie: 1, isSent: false, position: 0, cpu, sequence });
      take();
    }
    return heard.droppedCount;
  };

  test('without a hole: nothing was lost', () => {
    assert.equal(
      droppedOf(
        [
          [0, 5],
          [1, 9],
          [0, 6],
        ],
        [
          [1, 10],
          [0, 7],
        ],
      ),
      0,
    );
  });
  test('holes are counted by CPU, within a batch and between batches', () => {
    assert.equal(
      droppedOf(
        [
          [0, 5],
          [1, 100],
          [0, 8],
        ],
        [
          [1, 104],
          [0, 9],
        ],
      ),
      2 + 3,
    );
  });
  test('wrap around', () => {
    assert.equal(
      droppedOf([
        [0, 0xffff_ffff],
        [0, 0],
      ]),
      0,
    );
    assert.equal(
      droppedOf([
        [0, 0xffff_fffe],
        [0, 1],
      ]),
      2,
    );
  });
  test('out of order, because one program interrupted another, are no hole', () => {
    assert.equal(
      droppedOf([
        [0, 1],
        [0, 3],
        [0, 2],
        [0, 4],
      ]),
      0,
    );
    assert.equal(
      droppedOf([
        [0, 1],
        [0, 4],
        [0, 2],
        [0, 5],
      ]),
      1,
    );
  });
  test('of a CPU that cannot be do not matter', () => {
    assert.equal(
      droppedOf([
        [500, 1],
        [500, 9],
      ]),
      0,
    );
  });
});

describe('what is no record of ours', () => {
  test('an unknown kind is passed over', () => {
    const { writer, take, heard } = setUp();
    writer.other(99, 0xff, Buffer.alloc(100, 0xff));
    writer.io({ cookie: 1, isSent: false, position: 0, payload: Buffer.from('after') });
    assert.equal(take(), 2);
    assert.deepEqual(
      heard.ios.map((io) => io.text),
      ['after'],
    );
  });

  test('a record too short for its kind is counted and passed over', () => {
    for (const kind of Object.values(eventKind)) {
      const { writer, take, heard } = setUp();
      writer.other(kind, 0, Buffer.alloc(8, 0xff));
      writer.io({ cookie: 1, isSent: false, position: 0 });
      assert.equal(take(), 2);
      assert.deepEqual([heard.malformedCount, heard.ios.length, heard.opens.length, heard.images.length], [1, 1, 0, 0]);
    }
  });

  test('an I/O that claims more bytes than its record has is passed over', () => {
    const { writer, take, heard } = setUp();
    writer.io({ cookie: 1, isSent: false, position: 0, payload: Buffer.from('abc'), size: 9, captured: 9 });
    writer.io({ cookie: 1, isSent: false, position: 0, payload: Buffer.from('abc'), size: 2 });
    // A context of which it has no more than a part.
    const context = { traceId: '1'.repeat(32), spanId: '2'.repeat(16) };
    writer.io({ cookie: 1, isSent: false, position: 0, payload: Buffer.from('abc'), residue: -4, context });
    take();
    assert.deepEqual([heard.malformedCount, heard.ios.length], [3, 0]);
  });

  test('a length beyond what was drained ends the batch', () => {
    const { writer, take, heard } = setUp();
    writer.io({ cookie: 1, isSent: false, position: 0 });
    const second = writer.size;
    writer.io({ cookie: 2, isSent: false, position: 0 });
    for (const length of [0xffff_ffff, 0x7fff_ffff, 65_536]) {
      new DataView(writer.bytes.buffer).setUint32(second, length, true);
      heard.malformedCount = 0;
      const size = writer.size;
      assert.equal(take(), 1);
      assert.equal(heard.malformedCount, 1);
      // The same bytes again.
      writer.rewind();
      while (writer.size < size) writer.io({ cookie: 1, isSent: false, position: 0 });
    }
  });

  test('random bytes neither throw nor loop, and no view leaves the buffer', () => {
    const random = new Random(1);
    const size = 4096;
    for (let round = 0; round < 3000; round++) {
      const { writer, take, heard } = setUp(size);
      while (writer.size < size - 1500) {
        const kind = random.below(7);
        if (kind === 0) writer.io({ cookie: 1, isSent: true, position: 1, payload: Buffer.alloc(random.below(99)) });
        else if (kind === 1) writer.connection({ cookie: 1, localPath: '/a' });
        else if (kind === 2) writer.process({ executable: '/x', args: ['a'], environment: ['OTEL_A=b', 'OT'] });
        else if (kind === 3) writer.end({ cookie: 1, cause: 1 });
        else if (kind === 4) writer.vitals({ cookie: 1 });
        else writer.other(random.below(9), random.below(256), Buffer.alloc(random.below(400), random.below(256)));
      }
      for (let changes = random.below(30); changes > 0; changes--) writer.bytes[random.below(writer.size)] = random.below(256);
      take();
      for (const io of heard.ios) assert.ok(io.captured <= size && io.captured <= io.size && io.text.length === io.captured);
    }
  });

  test('a UNIX path size beyond its room is cut', () => {
    const { writer, take, heard } = setUp();
    writer.connection({ cookie: 1, family: AF_UNIX, localPath: `/${'x'.repeat(107)}`, peerPath: 'p' });
    writer.bytes[8 + connectionEvent.localPathSize] = 255;
    take();
    assert.equal(heard.opens[0]?.info.local.address.length, 108);
  });
});

test('the header that tests write is where the kernel puts it', () => {
  assert.deepEqual(
    [eventHeader.time, eventHeader.sequence, eventHeader.cpu, eventHeader.kind, eventHeader.flags],
    [0, 8, 12, 14, 15],
  );
});
