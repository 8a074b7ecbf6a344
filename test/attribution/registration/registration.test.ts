// Real sockets; in the kernel's place, claims that are proven or not as the test says.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { openRegistration, type Registration } from '../../../receiver/attribution/registration/registration.ts';
import type { ClaimBook, Outcome, Peer } from '../../../receiver/attribution/registration/conversation.ts';
import type { ClaimVerdict, ContextPlace } from '../../../receiver/model/thread-context.ts';
import { waitFor } from '../../e2e/wait.ts';

class MemoryClaims implements ClaimBook {
  readonly open = new Map<bigint, { readonly place: ContextPlace; readonly nonce: Uint8Array }>();
  room = Infinity;
  /** In turn; the last one stays. */
  verdicts: ClaimVerdict[] = [{ kind: 'proven', pid: 77 }];
  asked = 0;

  add(cookie: bigint, place: ContextPlace, nonce: Uint8Array): void {
    if (this.open.size >= this.room) throw new Error('no room');
    this.open.set(cookie, { place, nonce: nonce.slice() });
  }

  verdict(): ClaimVerdict {
    const index = Math.min(this.asked++, this.verdicts.length - 1);
    return this.verdicts[index] ?? { kind: 'unseen' };
  }

  delete(cookie: bigint): void {
    this.open.delete(cookie);
  }
}

interface SetUp {
  readonly file: string;
  readonly claims: MemoryClaims;
  readonly registration: Registration;
  readonly outcomes: Outcome[];
  connect(): Client;
}

interface Client {
  readonly socket: net.Socket;
  send(text: string): void;
  /** The next line, or undefined: the connection has ended. */
  line(): Promise<string | undefined>;
}

function connectTo(t: TestContext, file: string): Client {
  const socket = net.connect(file);
  let text = '';
  let isOver = false;
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined).on('close', () => (isOver = true));
  t.after(() => socket.destroy());
  return {
    socket,
    send: (line) => void socket.write(line),
    async line() {
      await waitFor('a line', () => text.includes('\n') || isOver);
      const end = text.indexOf('\n');
      if (end < 0) return undefined;
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      return line;
    },
  };
}

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-register-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

async function setUp(
  t: TestContext,
  options: Partial<Parameters<typeof openRegistration>[0]> = {},
  file = path.join(newFolder(t), 'register.sock'),
): Promise<SetUp> {
  const claims = new MemoryClaims();
  const outcomes: Outcome[] = [];
  let cookie = 0n;
  const registration = await openRegistration({
    file: { path: file, mode: 0o600, gid: undefined },
    claims,
    peerOf: (): Peer => ({ pid: 4711, uid: 1000, cookie: ++cookie }),
    machine: 'x86-64',
    fillRandom: (bytes) => bytes.fill(0xab),
    nowMs: () => 0,
    onOutcome: (_, outcome) => outcomes.push(outcome),
    ...options,
  });
  t.after(() => {
    registration.close();
  });
  return { file, claims, registration, outcomes, connect: () => connectTo(t, file) };
}

const claim = 'otel-thread-context 1 register static -72\n';
const challenge = `challenge ${'ab'.repeat(16)}`;

/** Counters that are not 0. */
function counted({ registration }: SetUp): Record<string, number> {
  return Object.fromEntries(Object.entries(registration.counters()).filter(([, count]) => count > 0));
}

test('claim, challenge, proof, ok', async (t) => {
  const all = await setUp(t);
  const client = all.connect();
  client.send(claim);
  assert.equal(await client.line(), challenge);
  assert.deepEqual(
    [...all.claims.open],
    [[1n, { place: { kind: 'static', offset: -72 }, nonce: new Uint8Array(16).fill(0xab) }]],
  );
  client.send('proof\n');
  assert.deepEqual([await client.line(), await client.line()], ['ok', undefined]);
  assert.deepEqual([all.outcomes, counted(all), all.claims.open.size], [[{ kind: 'registered', pid: 77 }], { registered: 1 }, 0]);
});

test('lines may come byte by byte', async (t) => {
  const all = await setUp(t);
  const client = all.connect();
  for (const byte of claim) client.send(byte);
  assert.equal(await client.line(), challenge);
  for (const byte of 'proof\n') client.send(byte);
  assert.equal(await client.line(), 'ok');
});

test('the kernel may see the proof a moment after the line has come', async (t) => {
  const all = await setUp(t);
  all.claims.verdicts = [{ kind: 'unseen' }, { kind: 'unseen' }, { kind: 'unseen' }, { kind: 'proven', pid: 78 }];
  const client = all.connect();
  client.send(claim);
  await client.line();
  client.send('proof\n');
  assert.equal(await client.line(), 'ok');
  assert.equal(all.claims.asked, 4);
});

test('each verdict but one is refused, with the code and the reason', async (t) => {
  const all = await setUp(t);
  const expected = {
    unseen: 'proof',
    stranger: 'identity',
    unreadable: 'proof',
    no_nonce: 'proof',
    compat: 'unsupported',
    no_room: 'limit',
  } as const;
  for (const [kind, code] of Object.entries(expected)) {
    all.claims.verdicts = [{ kind: kind as keyof typeof expected }];
    const client = all.connect();
    client.send(claim);
    await client.line();
    client.send('proof\n');
    assert.match((await client.line()) ?? '', new RegExp(`^error ${code} [ -~]+$`), kind);
    assert.equal(await client.line(), undefined);
  }
  assert.deepEqual(counted(all), { refused_proof: 3, refused_identity: 1, refused_unsupported: 1, refused_limit: 1 });
  assert.equal(all.claims.open.size, 0);
});

test('what is no line of the protocol ends the connection with the reason', async (t) => {
  const all = await setUp(t);
  const cases = [
    ['hello\n', 'syntax'],
    ['\n', 'syntax'],
    ['otel-thread-context 2 register static -72\n', 'version'],
    ['otel-thread-context 1 register static 72\n', 'claim'],
    [`${'x'.repeat(511)}\n`, 'syntax'],
    ['x'.repeat(512), 'syntax'],
    ['x'.repeat(100_000), 'syntax'],
    [`${claim}proof\n`, 'syntax'],
    [`${claim}p`, 'syntax'],
    ['\0'.repeat(20) + '\n', 'syntax'],
  ] as const;
  for (const [text, code] of cases) {
    const client = all.connect();
    client.send(text);
    // 512 bytes without a newline may still become a line of 512: only the next byte tells.
    if (text.length === 512 && !text.endsWith('\n')) client.send('x');
    assert.match((await client.line()) ?? '', new RegExp(`^error ${code} [ -~]{10,}$`), JSON.stringify(text.slice(0, 60)));
    assert.equal(await client.line(), undefined);
  }
  for (const text of ['proof', 'prove\n', 'ok\n', claim, 'proof\nproof\n']) {
    const client = all.connect();
    client.send(claim);
    assert.equal(await client.line(), challenge);
    client.send(text);
    if (text === 'proof') client.send(' \n');
    assert.match((await client.line()) ?? '', /^error syntax /, text);
  }
  assert.equal(all.claims.open.size, 0);
  assert.deepEqual(counted(all), { refused_syntax: 13, refused_version: 1, refused_claim: 1 });
});

test('more while the kernel is asked is refused, and counts once', async (t) => {
  const all = await setUp(t);
  all.claims.verdicts = [{ kind: 'unseen' }];
  const client = all.connect();
  client.send(claim);
  await client.line();
  client.send('proof\n');
  await waitFor('the kernel to be asked', () => all.claims.asked > 0);
  client.send('proof\n');
  assert.match((await client.line()) ?? '', /^error syntax /);
  assert.deepEqual([counted(all), all.claims.open.size], [{ refused_syntax: 1 }, 0]);
});

test('a process that is not visible is refused before it has said anything', async (t) => {
  const all = await setUp(t, { peerOf: () => ({ pid: 0, uid: 65534, cookie: 5n }) });
  const client = all.connect();
  assert.match((await client.line()) ?? '', /^error identity /);
  assert.deepEqual(counted(all), { refused_identity: 1 });
});

test('a connection whose peer cannot be told is closed', async (t) => {
  const all = await setUp(t, { peerOf: () => undefined });
  assert.equal(await all.connect().line(), undefined);
  assert.deepEqual(counted(all), {});
});

test('whoever takes too long, at any step, is refused and forgotten', async (t) => {
  const all = await setUp(t, { timeoutMs: 100 });
  const silent = all.connect();
  const half = all.connect();
  half.send('otel-thread-context 1 reg');
  const challenged = all.connect();
  challenged.send(claim);
  assert.equal(await challenged.line(), challenge);
  for (const client of [silent, half, challenged]) {
    assert.match((await client.line()) ?? '', /^error limit .*100 ms/);
    assert.equal(await client.line(), undefined);
  }
  assert.deepEqual([counted(all), all.claims.open.size], [{ timed_out: 3 }, 0]);
});

test('whoever leaves, at any step, is counted as gone', async (t) => {
  const all = await setUp(t);
  all.connect().socket.on('connect', function (this: net.Socket) {
    this.destroy();
  });
  const half = all.connect();
  half.send('otel-thread-context 1 reg');
  half.socket.end();
  const challenged = all.connect();
  challenged.send(claim);
  assert.equal(await challenged.line(), challenge);
  challenged.socket.destroy();
  await waitFor('all to be gone', () => all.registration.counters().abandoned === 3);
  assert.equal(all.claims.open.size, 0);
});

test('no room with the kernel is a limit', async (t) => {
  const all = await setUp(t);
  all.claims.room = 0;
  const client = all.connect();
  client.send(claim);
  assert.match((await client.line()) ?? '', /^error limit /);
});

test('of a user, so many connections and not one more; they come free again', async (t) => {
  const limits = { connections: 10, connectionsOfUser: 3, burst: 100, perSecond: 1 };
  const all = await setUp(t, { limits });
  const held = [all.connect(), all.connect(), all.connect()];
  for (const client of held) {
    client.send(claim);
    assert.equal(await client.line(), challenge);
  }
  assert.match((await all.connect().line()) ?? '', /^error limit /);
  held[0]?.socket.destroy();
  await waitFor('it to be gone', () => all.registration.counters().abandoned === 1);
  const next = all.connect();
  next.send(claim);
  assert.equal(await next.line(), challenge);
});

test('a user who comes too often is refused, others are not', async (t) => {
  let cookie = 0n;
  let uid = 1;
  const all = await setUp(t, {
    limits: { connections: 10, connectionsOfUser: 5, burst: 2, perSecond: 1 },
    peerOf: () => ({ pid: 1, uid, cookie: ++cookie }),
  });
  for (let round = 0; round < 2; round++) {
    const client = all.connect();
    client.send('x\n');
    assert.match((await client.line()) ?? '', /^error syntax/);
  }
  assert.match((await all.connect().line()) ?? '', /^error limit /);
  uid = 2;
  const other = all.connect();
  other.send(claim);
  assert.equal(await other.line(), challenge);
});

test('when all connections are taken, the oldest of who has most makes room', async (t) => {
  let cookie = 0n;
  let uid = 1;
  const all = await setUp(t, {
    limits: { connections: 4, connectionsOfUser: 4, burst: 100, perSecond: 1 },
    peerOf: () => ({ pid: 1, uid, cookie: ++cookie }),
  });
  const greedy: Client[] = [];
  for (let round = 0; round < 4; round++) {
    const client = all.connect();
    client.send(claim);
    assert.equal(await client.line(), challenge);
    greedy.push(client);
  }
  uid = 2;
  const modest = all.connect();
  modest.send(claim);
  assert.equal(await modest.line(), challenge);
  assert.match((await greedy[0]?.line()) ?? '', /^error limit /);
  greedy[1]?.send('proof\n');
  assert.equal(await greedy[1]?.line(), 'ok');
});

test('five hundred in a flood are each answered, and none holds anything', async (t) => {
  const all = await setUp(t, { limits: { connections: 8, connectionsOfUser: 8, burst: 1000, perSecond: 1000 } });
  const answers: (string | undefined)[] = [];
  const registerOften = async (times: number): Promise<void> => {
    for (let time = 0; time < times; time++) {
      const client = all.connect();
      client.send(claim);
      const first = await client.line();
      if (first === challenge) client.send('proof\n');
      answers.push(first === challenge ? await client.line() : first);
    }
  };
  // No more at a time than wait in the backlog.
  await Promise.all(Array.from({ length: 100 }, () => registerOften(5)));
  const ok = answers.filter((answer) => answer === 'ok').length;
  const refused = answers.filter((answer) => answer?.startsWith('error limit ')).length;
  assert.deepEqual([ok + refused, ok > 0, all.claims.open.size], [500, true, 0]);
  assert.deepEqual(counted(all), refused === 0 ? { registered: ok } : { registered: ok, refused_limit: refused });
});

test('the socket has its mode, alone in its folder, and goes at the end', async (t) => {
  const all = await setUp(t, {});
  assert.equal(statSync(all.file).mode & 0o7777, 0o600);
  assert.deepEqual(readdirSync(path.dirname(all.file)), ['register.sock']);
  all.registration.close();
  all.registration.close();
  assert.deepEqual(readdirSync(path.dirname(all.file)), []);
});

test('a mode is the mode, whatever the umask', async (t) => {
  const file = path.join(newFolder(t), 'r.sock');
  await setUp(t, { file: { path: file, mode: 0o666, gid: process.getgid?.() } }, file);
  assert.equal(statSync(file).mode & 0o7777, 0o666);
});

test('closing ends what is under way', async (t) => {
  const all = await setUp(t);
  const client = all.connect();
  client.send(claim);
  await client.line();
  all.registration.close();
  assert.equal(await client.line(), undefined);
  await waitFor('its end', () => all.registration.counters().abandoned === 1);
  assert.equal(all.claims.open.size, 0);
});

test('a socket that nobody listens on any more is replaced', async (t) => {
  const file = path.join(newFolder(t), 'register.sock');
  const earlier = net.createServer().listen(`${file}.old`);
  await once(earlier, 'listening');
  // As a process leaves it that was killed: closing removes only the name that it was given.
  renameSync(`${file}.old`, file);
  earlier.close();
  await once(earlier, 'close');
  assert.ok(existsSync(file));
  const all = await setUp(t, {}, file);
  const client = all.connect();
  client.send(claim);
  assert.equal(await client.line(), challenge);
});

test('what is in use, or no socket, or in no folder, is left alone', async (t) => {
  const folder = newFolder(t);
  const used = await setUp(t, {}, path.join(folder, 'used.sock'));
  const file = path.join(folder, 'file');
  writeFileSync(file, 'precious');
  symlinkSync(used.file, path.join(folder, 'link'));
  const cases = [
    [used.file, 'another process listens there'],
    [file, 'something else, which is no socket'],
    [path.join(folder, 'link'), 'something else, which is no socket'],
    [path.join(folder, 'no', 'folder.sock'), 'ENOENT'],
    [path.join(folder, 'x'.repeat(120)), 'more than 107 bytes'],
  ] as const;
  for (const [where, why] of cases) {
    await assert.rejects(
      setUp(t, {}, where),
      (error: Error & { code?: string }) => error.code === 'USM_REGISTRATION_LISTEN' && error.message.includes(why),
      where,
    );
  }
  assert.equal(statSync(file).size, 8);
  const client = used.connect();
  client.send(claim);
  assert.equal(await client.line(), challenge);
  assert.deepEqual(readdirSync(folder).sort(), ['file', 'link', 'used.sock']);
});

test('at the end, a socket that another one has put there since stays', async (t) => {
  const file = path.join(newFolder(t), 'register.sock');
  const first = await setUp(t, {}, file);
  rmSync(file);
  const second = await setUp(t, {}, file);
  first.registration.close();
  const client = second.connect();
  client.send(claim);
  assert.equal(await client.line(), challenge);
});
