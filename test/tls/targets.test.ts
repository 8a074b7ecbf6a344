// Processes as they come and go → what is probed: the rules, with a procfs that the test writes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding, ProbeSite } from '../../receiver/tls/probes.ts';
import type { Procfs } from '../../receiver/tls/procfs.ts';
import type { TargetFile } from '../../receiver/tls/target-file.ts';
import { TlsTargets } from '../../receiver/tls/targets.ts';

interface FakeFile {
  readonly inode: number;
  version: number;
  /** Default: its own. */
  identity?: string;
  readonly content: 'openssl' | 'stripped' | 'refused' | 'go' | 'none';
}

class Host {
  readonly files = new Map<string, FakeFile>();
  /** By id: the program first, then what else it has mapped. */
  readonly processes = new Map<number, string[]>();
  readonly host: string[] = [];
  readonly attached: string[] = [];
  readonly examined: string[] = [];
  readonly targets = new Set<number>();
  opened = 0;
  refuses = '';
  timeMs = 0;
  #isHurried = false;
  readonly #deferred: (() => void)[] = [];
  readonly targetsOf: TlsTargets;

  constructor() {
    const findings = (path: string): readonly Finding[] => this.#findings(path);
    const { examined } = this;
    this.targetsOf = new TlsTargets({
      procfs: this.#procfs(),
      now: () => this.timeMs * 1e6,
      nowMs: () => (this.#isHurried ? (this.timeMs += 1.5) : this.timeMs),
      defer: (callback) => this.#deferred.push(callback),
      *examine({ path }): Generator<void, readonly Finding[]> {
        examined.push(path);
        yield;
        return findings(path);
      },
      *recognize(read): Generator<void, (Finding & { kind: 'refused' }) | undefined> {
        yield;
        const isStripped = Buffer.from(read(0, 8) ?? []).toString() === 'stripped';
        return isStripped ? { kind: 'refused', library: 'openssl', version: '', reason: 'no symbols', detail: '' } : undefined;
      },
      attach: (program, file, sites) => this.#attach(program, file, sites),
      addTarget: () => {
        const index = this.targets.size;
        this.targets.add(index);
        const name = `active ${String(index)}`;
        const close = (): void => {
          this.targets.delete(index);
          if (this.attached.includes(name)) this.attached.splice(this.attached.indexOf(name), 1);
        };
        return { index, activate: () => void this.attached.push(name), close };
      },
    });
  }

  add(path: string, content: FakeFile['content']): void {
    this.files.set(path, { inode: this.files.size + 1, version: 1, content });
  }

  /** One turn of the event loop, in which time is short. */
  turn(): void {
    this.#isHurried = true;
    this.#deferred.shift()?.();
    this.#isHurried = false;
  }

  run(): void {
    for (let turns = 0; this.#deferred.length > 0; turns++) {
      assert.ok(turns < 10_000, 'it never rests');
      this.#deferred.shift()?.();
    }
  }

  counters(): Readonly<Record<string, number>> {
    return this.targetsOf.counters().refused;
  }

  #findings(path: string): readonly Finding[] {
    const content = this.files.get(path)?.content;
    const site = (program: string, offset: number): ProbeSite => ({
      program,
      offset,
      cookie: 0n,
      description: '',
      isEmulated: true,
    });
    if (content === 'refused') return [{ kind: 'refused', library: 'gnutls', version: '', reason: 'no probe site', detail: '' }];
    if (content === 'go') {
      return [{ kind: 'probes', library: 'go', version: '1.25', sites: [site('tls_go', 1)], target: new Uint8Array(8) }];
    }
    if (content !== 'openssl') return [];
    return [
      {
        kind: 'probes',
        library: 'openssl',
        version: '3',
        sites: [site('tls_enter', 1), site('tls_leave', 2), site('tls_leave', 3)],
      },
    ];
  }

  #attach(program: string, file: string, sites: readonly ProbeSite[]): { close(): void } {
    if (program === this.refuses) throw new Error('the kernel refused it');
    const entry = `${program} ${file} ${sites.map(({ offset, cookie }) => `${String(offset)}:${String(cookie)}`).join(',')}`;
    this.attached.push(entry);
    return { close: () => this.attached.splice(this.attached.indexOf(entry), 1) };
  }

  #open(path: string): TargetFile | undefined {
    const file = this.files.get(path);
    if (file === undefined) return undefined;
    this.opened++;
    let isClosed = false;
    return {
      identity: file.identity ?? `${String(file.inode)} ${String(file.version)}`,
      inode: BigInt(file.inode),
      read: () => Buffer.from(file.content),
      kernelPath: path,
      close: () => {
        if (!isClosed) this.opened--;
        isClosed = true;
      },
    };
  }

  #procfs(): Procfs {
    const program = (path: string): string => {
      const pid = Number(/^program (\d+)$/.exec(path)?.[1]);
      return this.processes.get(pid)?.[0] ?? path;
    };
    return {
      pids: () => [...this.processes.keys()],
      isAlive: (pid) => this.processes.has(pid),
      readMaps: (pid) => {
        const paths = this.processes.get(pid);
        const line = (path: string, at: number): string =>
          `${(at * 4096 + 4096).toString(16)}-${(at * 4096 + 8192).toString(16)} r-xp 00000000 08:01 ${String(this.files.get(path)?.inode)}    ${path}\n`;
        return paths && Buffer.from(paths.map(line).join(''));
      },
      programOf: (pid) => this.processes.get(pid)?.[0],
      programPath: (pid) => `program ${String(pid)}`,
      open: (path) => this.#open(program(path)),
      openMapped: (_pid, { name }) => this.#open(name),
      keyOf: (path) => {
        const file = this.files.get(program(path));
        return file && `08:01 ${String(file.inode)}`;
      },
      hostLibraries: () => this.host,
    };
  }
}

const ssl = ['tls_leave /lib/libssl 2:0,3:0', 'tls_enter /lib/libssl 1:0', 'active 0'];

function setUp(): Host {
  const host = new Host();
  host.add('/bin/sh', 'none');
  host.add('/lib/libc', 'none');
  host.add('/lib/libssl', 'openssl');
  return host;
}

test('the libraries of the host are probed at the start, whether anyone runs them or not, and stay so', () => {
  const host = setUp();
  host.host.push('/lib/libssl', '/lib/gone');
  let isDone = false;
  host.targetsOf.start(() => (isDone = true));
  assert.equal(isDone, false);
  host.run();
  assert.equal(isDone, true);
  assert.deepEqual(host.attached, ssl);
  host.timeMs += 3_600_000;
  host.targetsOf.tick();
  host.run();
  assert.deepEqual(host.attached, ssl);
});

test('what was examined before the kernel side was there is probed at the start, and not examined again', () => {
  const host = setUp();
  host.host.push('/lib/libssl');
  host.processes.set(7, ['/bin/sh', '/lib/libc', '/lib/libssl']);
  host.targetsOf.prepare();
  host.run();
  assert.deepEqual(host.attached, []);
  assert.deepEqual(host.examined, ['/lib/libssl', '/bin/sh', '/lib/libc']);
  host.targetsOf.start(() => undefined);
  host.run();
  assert.deepEqual(host.attached, ssl);
  assert.equal(host.examined.length, 3);
  assert.equal(host.opened, 0);
});

test('an examination that the start overtakes is as good', () => {
  const host = setUp();
  host.processes.set(7, ['/bin/sh', '/lib/libc', '/lib/libssl']);
  host.targetsOf.prepare();
  host.turn();
  let isDone = false;
  host.targetsOf.start(() => (isDone = true));
  host.run();
  assert.equal(isDone, true);
  assert.deepEqual(host.attached, ssl);
  assert.equal(host.opened, 0);
});

test('a file that many processes map is examined once and probed once', () => {
  const host = setUp();
  for (let pid = 1; pid <= 50; pid++) host.processes.set(pid, ['/bin/sh', '/lib/libc', '/lib/libssl']);
  host.targetsOf.start(() => undefined);
  host.run();
  assert.deepEqual(host.attached, ssl);
  assert.deepEqual(host.examined, ['/bin/sh', '/lib/libc', '/lib/libssl']);
  assert.equal(host.opened, 0, 'no file is left open');
  assert.equal(host.targetsOf.counters().sites, 3);
});

test('a file that two containers have from one layer is one file', () => {
  const host = setUp();
  host.add('/container/libssl', 'openssl');
  const copy = host.files.get('/container/libssl');
  assert.ok(copy);
  copy.identity = '3 1';
  host.processes.set(7, ['/bin/sh', '/lib/libssl']);
  host.processes.set(8, ['/bin/sh', '/container/libssl']);
  host.targetsOf.start(() => undefined);
  host.run();
  assert.deepEqual(host.attached, ssl);
  assert.deepEqual(host.examined, ['/bin/sh', '/lib/libssl']);
  // Each of them keeps it probed.
  host.processes.delete(7);
  host.targetsOf.exited({ pid: 7, startTime: 1 });
  host.timeMs = 400_000;
  host.targetsOf.tick();
  host.run();
  assert.deepEqual(host.attached, ssl);
});

test('a file to which two searches come at once is examined by both at most, and probed once', () => {
  const host = setUp();
  host.processes.set(7, ['/bin/sh', '/lib/libssl']);
  host.targetsOf.start(() => undefined);
  // While the examination of the first is under way.
  host.turn();
  host.targetsOf.encrypts({ pid: 7, startTime: 1 });
  host.run();
  assert.deepEqual(host.attached, ssl);
  assert.equal(host.opened, 0);
});

test('a program is looked at as it begins, its file only when it is another than before', () => {
  const host = setUp();
  host.add('/bin/node', 'openssl');
  host.processes.set(7, ['/bin/node']);
  host.targetsOf.executed(7);
  host.run();
  assert.equal(host.attached.length, 3);
  host.processes.set(8, ['/bin/node']);
  host.targetsOf.executed(8);
  host.run();
  assert.deepEqual(host.examined, ['/bin/node']);
  // The file was written anew in place.
  const file = host.files.get('/bin/node');
  assert.ok(file);
  file.version++;
  host.targetsOf.executed(8);
  host.run();
  assert.deepEqual(host.examined, ['/bin/node', '/bin/node']);
  assert.equal(host.attached.length, 3);
  assert.equal(host.opened, 0);
});

test('a program that nobody runs any more is no longer probed, at once', () => {
  const host = setUp();
  host.add('/bin/node', 'openssl');
  host.processes.set(7, ['/bin/node']);
  host.processes.set(8, ['/bin/node']);
  host.targetsOf.executed(7);
  host.run();
  host.processes.delete(7);
  host.targetsOf.exited({ pid: 7, startTime: 1 });
  host.run();
  assert.equal(host.attached.length, 3, 'another process runs it, of which nobody had told');
  host.processes.delete(8);
  host.targetsOf.exited({ pid: 8, startTime: 1 });
  host.run();
  assert.deepEqual(host.attached, []);
  host.processes.set(9, ['/bin/node']);
  host.targetsOf.executed(9);
  host.run();
  assert.equal(host.attached.length, 3);
  assert.deepEqual(host.examined, ['/bin/node'], 'what was found is remembered');
  // Its end was never told.
  host.processes.delete(9);
  host.timeMs += 31_000;
  host.targetsOf.tick();
  host.run();
  assert.deepEqual(host.attached, []);
});

test('a library that nobody maps any more is probed for some minutes', () => {
  const host = setUp();
  host.processes.set(7, ['/bin/sh', '/lib/libssl']);
  host.targetsOf.start(() => undefined);
  host.run();
  host.processes.delete(7);
  host.targetsOf.exited({ pid: 7, startTime: 1 });
  host.timeMs = 60_000;
  host.targetsOf.tick();
  host.run();
  assert.deepEqual(host.attached, ssl);
  host.timeMs = 400_000;
  host.targetsOf.tick();
  host.run();
  assert.deepEqual(host.attached, []);
});

test('a process that encrypts is looked at, and again ever more rarely, until something of it is read', () => {
  const host = setUp();
  host.processes.set(7, ['/bin/sh', '/lib/libc']);
  const process = { pid: 7, startTime: 70 };
  const looks = (): number => host.targetsOf.counters().looks;
  for (let i = 0; i < 5; i++) host.targetsOf.encrypts(process);
  host.run();
  assert.equal(looks(), 1);
  // The library is loaded later.
  host.processes.set(7, ['/bin/sh', '/lib/libc', '/lib/libssl']);
  host.timeMs = 1_500;
  host.targetsOf.encrypts(process);
  host.run();
  assert.equal(looks(), 2);
  assert.deepEqual(host.attached, ssl);
  host.targetsOf.isRead(process);
  host.timeMs = 10_000_000;
  host.targetsOf.encrypts(process);
  host.run();
  assert.equal(looks(), 2);
  // Another process with that id.
  host.targetsOf.encrypts({ pid: 7, startTime: 71 });
  host.run();
  assert.equal(looks(), 3);
});

test('what cannot be read is counted by its library and the reason, each file once', () => {
  const host = setUp();
  host.add('/bin/app', 'stripped');
  host.add('/lib/libgnutls', 'refused');
  const process = { pid: 7, startTime: 70 };
  host.processes.set(7, ['/bin/app', '/lib/libgnutls']);
  host.targetsOf.encrypts(process);
  host.run();
  assert.deepEqual(host.counters(), { 'gnutls: no probe site': 1 });
  host.timeMs = 2_000;
  host.targetsOf.encrypts(process);
  host.targetsOf.encrypts({ pid: 8, startTime: 1 });
  host.run();
  assert.deepEqual(host.counters(), { 'gnutls: no probe site': 1, 'openssl: no symbols': 1 });
  assert.equal(host.opened, 0);
});

test('when the kernel refuses one probe of a file, none of them stays', () => {
  const host = setUp();
  host.refuses = 'tls_enter';
  host.processes.set(7, ['/bin/sh', '/lib/libssl']);
  host.targetsOf.start(() => undefined);
  host.run();
  assert.deepEqual(host.attached, []);
  assert.deepEqual(host.counters(), { 'openssl: not attached': 1 });
});

test('a Go program keeps its entry for as long as it is probed, which tells nothing before all of its probes are there', () => {
  const host = setUp();
  host.add('/bin/first', 'go');
  host.add('/bin/second', 'go');
  host.processes.set(7, ['/bin/first']);
  host.processes.set(8, ['/bin/second']);
  host.targetsOf.start(() => undefined);
  host.run();
  assert.deepEqual(host.attached, ['tls_go /bin/first 1:0', 'active 0', 'tls_go /bin/second 1:65536', 'active 1']);
  host.processes.delete(7);
  host.targetsOf.exited({ pid: 7, startTime: 1 });
  host.run();
  assert.deepEqual([...host.targets], [1]);
});

test('a process that ends while it is looked at is nothing to worry about', () => {
  const host = setUp();
  host.targetsOf.executed(99);
  host.targetsOf.encrypts({ pid: 99, startTime: 1 });
  host.targetsOf.exited({ pid: 99, startTime: 1 });
  host.run();
  assert.deepEqual(host.attached, []);
  host.targetsOf.close();
  host.targetsOf.executed(1);
  host.run();
});
