// `usm-receiver doctor` as a user runs it, on programs that publish in known ways and tell what each of their threads says.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { listThreads } from '../../receiver/kernel/threads.ts';
import { buildFixtures, fixtures, startPublisher } from '../otel-thread-context/reader/publisher.ts';
import { kernelTest } from '../support/kernel.ts';

const main = fileURLToPath(new URL('../../receiver/main.ts', import.meta.url));
const glibc = `${fixtures}glibc/`;

before(buildFixtures);

interface ReportedThread {
  readonly tid: number;
  readonly state: string;
  readonly reason?: string;
  readonly trace_id?: string;
  readonly attributes?: unknown;
}

interface Report {
  readonly processes: readonly {
    readonly pid: number;
    readonly examinations: readonly {
      readonly verdict: string;
      readonly findings: readonly { readonly step: string; readonly outcome: string; readonly remedy?: string }[];
      readonly threads: readonly ReportedThread[];
    }[];
  }[];
}

function doctor(...args: readonly string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  return spawnSync(process.execPath, [main, 'doctor', ...args], { encoding: 'utf8', timeout: 60_000 });
}

function report(...args: readonly string[]): { readonly status: number | null; readonly report: Report } {
  const { status, stdout, stderr } = doctor(...args, '--json');
  assert.equal(stderr, '');
  return { status, report: JSON.parse(stdout) as Report };
}

const shapes = {
  'of the program': [`${glibc}exported`],
  'through the DTV': [`${glibc}host`, '--library', `${glibc}general-dynamic.so`],
  'by a descriptor, static': [`${glibc}static-pie`],
} as const;

for (const [name, command] of Object.entries(shapes)) {
  test(`all threads of a publisher are told with the very ids that they have: ${name}`, kernelTest(), async () => {
    await using publisher = await startPublisher(command);
    const { status, report: told } = report('--pid', String(publisher.pid));
    assert.equal(status, 0);
    const [examined] = told.processes;
    assert.deepEqual([told.processes.length, examined?.pid], [1, publisher.pid]);
    const [examination] = examined?.examinations ?? [];
    assert.equal(examination?.verdict, 'readable');
    const threads = examination.threads;
    const byState = (state: string): ReportedThread[] => threads.filter((thread) => thread.state === state);
    const expected = publisher.threads.map(({ traceId }) => traceId).filter((id) => id !== '');
    assert.deepEqual(
      byState('context')
        .map(({ trace_id }) => trace_id)
        .sort(),
      [...expected].sort(),
    );
    assert.equal(byState('none').length, threads.length - expected.length);
    // Of attributes only the names.
    for (const { attributes } of byState('context')) assert.deepEqual(attributes, ['thread_name']);
  });
}

test('values of attributes are told only when asked for', kernelTest(), async () => {
  await using publisher = await startPublisher(shapes['of the program']);
  const pid = String(publisher.pid);
  const main = publisher.threads.find(({ thread }) => thread === 'main');
  assert.ok(main);
  const without = doctor('--pid', pid);
  assert.match(without.stdout, /in a span .* thread_name\n/);
  assert.doesNotMatch(without.stdout, /thread_name=/);
  assert.match(doctor('--pid', pid, '--values').stdout, /thread_name="main"\n/);
});

test('what is in the way is named, with what to do', kernelTest(), async () => {
  await using stripped = await startPublisher([`${glibc}stripped`]);
  await using silent = await startPublisher([`${glibc}exported`, '--schema', 'none']);
  await using strange = await startPublisher([`${glibc}exported`, '--schema', 'tls_v99']);
  // Of Node.js itself the TLS can be read, and nothing else is in the way.
  const table: readonly (readonly [number, string, string, number])[] = [
    [stripped.pid, 'unreadable', 'symbol', 2],
    [silent.pid, 'absent', 'schema', 2],
    [strange.pid, 'unreadable', 'schema', 2],
    [process.pid, 'absent', 'process context', 0],
  ];
  for (const [pid, verdict, step, exitCode] of table) {
    const { status, report: told } = report('--pid', String(pid));
    assert.equal(status, exitCode, step);
    const [examination] = told.processes[0]?.examinations ?? [];
    assert.equal(examination?.verdict, verdict);
    const last = examination.findings.at(-1);
    assert.equal(last?.step, step);
    assert.notEqual(last.outcome, 'found');
    assert.ok(last.remedy, `${step} has a remedy`);
  }
});

test('all processes are examined, without the one that asks', kernelTest(), async () => {
  await using publisher = await startPublisher(shapes['through the DTV']);
  await using stripped = await startPublisher([`${glibc}stripped`]);
  const { status, report: told } = report('--all');
  assert.equal(status, 2);
  const verdicts = new Map(told.processes.map(({ pid, examinations }) => [pid, examinations[0]?.verdict]));
  assert.equal(verdicts.get(publisher.pid), 'readable');
  assert.equal(verdicts.get(stripped.pid), 'unreadable');
  assert.equal(verdicts.get(process.pid), 'absent');
});

test('a process that is not there is an error, and nothing is printed', () => {
  const { status, stdout, stderr } = doctor('--pid', '4194304');
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /^Error: cannot examine process 4194304: there is no such process; give the id/);
});

test('threads are listed with the pointers that they have themselves', kernelTest(), async () => {
  await using publisher = await startPublisher(shapes['of the program']);
  const list = listThreads(publisher.pid);
  assert.equal(list.kind, 'threads');
  const pointers = list.threads.map(({ threadPointer }) => threadPointer).sort();
  assert.deepEqual(pointers, publisher.threads.map(({ threadPointer }) => threadPointer).sort());
  assert.equal(new Set(list.threads.map(({ pid, startTime }) => `${String(pid)} ${String(startTime)}`)).size, 1);
});
