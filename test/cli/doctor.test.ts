import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../../receiver/cli/arguments.ts';
import { doctorExitCode, formatDoctor, formatDoctorJson } from '../../receiver/cli/doctor-text.ts';
import { ReceiverError } from '../../receiver/errors.ts';
import type { DoctorReport, Examination } from '../../receiver/model/examination.ts';

const parse = (line: string) => parseArguments(line.split(' '));

test('arguments say which processes, and how to tell', () => {
  const table: readonly (readonly [string, readonly number[] | 'all', boolean, boolean])[] = [
    ['doctor --pid 5', [5], false, false],
    ['doctor --pid=5 --pid 6 --pid 5 --json', [5, 6], true, false],
    ['doctor --all --values', 'all', false, true],
  ];
  for (const [line, pids, isJson, showsValues] of table) {
    assert.deepEqual(parse(line), { kind: 'doctor', pids, isJson, showsValues }, line);
  }
  assert.deepEqual(parse('doctor --help'), { kind: 'help' });
});

test('arguments that make no sense are refused with what to do', () => {
  const hint = "; run 'usm-receiver --help' for usage";
  const table: readonly (readonly [string, string])[] = [
    ['doctor', '"doctor" needs --pid N or --all'],
    ['doctor --json', '"doctor" needs --pid N or --all'],
    ['doctor --all --pid 1', '--all and --pid exclude each other'],
    ['doctor now', 'unexpected argument "now"'],
    ['doctor --al', 'unknown flag: --al (did you mean "--all"?)'],
    ['doctor --pid', 'flag needs an argument: --pid'],
    ['doctor --pid 0', '--pid must be a process id, found "0"'],
    ['doctor --pid -1', '--pid must be a process id, found "-1"'],
    ['doctor --pid 4194305', '--pid must be a process id, found "4194305"'],
    ['doctor --all=1', '--all takes no value'],
    ['--config a doctor', '"doctor" comes first, and its flags behind it'],
  ];
  for (const [line, expected] of table) {
    assert.throws(
      () => parse(line),
      (error: unknown) => error instanceof ReceiverError && error.code === 'USM_USAGE' && error.message === expected + hint,
      line,
    );
  }
});

const readable: Examination = {
  name: 'thread context',
  verdict: 'readable',
  conclusion: 'It can be read.',
  findings: [
    { step: 'mappings', outcome: 'found', detail: '9' },
    { step: 'symbol', outcome: 'note', detail: 'skipped \x1b[2J' },
  ],
  table: {
    head: ['THREAD', 'NAME'],
    rows: [
      ['7', `worker${'x'.repeat(200)}`],
      ['12345678', ''],
    ],
  },
  facts: { slots: [{ offset: -64 }] },
};
const unreadable: Examination = {
  name: 'thread context',
  verdict: 'unreadable',
  conclusion: 'It cannot be read.',
  findings: [{ step: 'symbol', outcome: 'missing', detail: 'nobody defines it', remedy: 'export it' }],
  table: undefined,
  facts: {},
};
const of = (verdict: Examination['verdict']): Examination => ({ ...unreadable, verdict });

function reportOf(...processes: readonly (readonly Examination[])[]): DoctorReport {
  const host = [{ step: 'kernel', outcome: 'found', detail: 'Linux 6.18' }] as const;
  return {
    version: '1.2.3',
    host,
    processes: processes.map((examinations, index) => ({ pid: index + 1, executable: '/x', examinations })),
  };
}

test('people get a line for each step, with what to do, and nothing that their terminal would obey', () => {
  const text = formatDoctor(reportOf([readable], [unreadable]), true);
  assert.equal(
    text,
    `usm-receiver 1.2.3
  ✓ kernel        Linux 6.18

process 1  /x
  thread context
    ✓ mappings  9
    · symbol    skipped ?[2J
      THREAD    NAME
      7         worker${'x'.repeat(93)}…
      12345678
  ✓ It can be read.

process 2  /x
  thread context
    ✗ symbol  nobody defines it
              → export it
  ✗ It cannot be read.
`,
  );
});

test('of all processes, those that have nothing are one line together', () => {
  const text = formatDoctor(reportOf([of('absent')], [unreadable], [of('absent'), of('absent')]), false);
  assert.doesNotMatch(text, /process [13] /);
  assert.match(text, /process 2 /);
  assert.match(text, /\n2 other processes have nothing to read; --pid N tells more of one\.\n$/);
});

test('programs get the same as JSON, with the facts', () => {
  const parsed = JSON.parse(formatDoctorJson(reportOf([readable]))) as unknown;
  const { name, verdict, conclusion, findings, facts } = readable;
  assert.deepEqual(parsed, {
    version: '1.2.3',
    host: [{ step: 'kernel', outcome: 'found', detail: 'Linux 6.18' }],
    processes: [{ pid: 1, executable: '/x', examinations: [{ name, verdict, conclusion, findings, ...facts }] }],
  });
});

test('the exit code says whether what is there can be read', () => {
  const table: readonly (readonly [DoctorReport, number, number])[] = [
    [reportOf([readable]), 0, 0],
    [reportOf([readable, of('absent')]), 0, 0],
    [reportOf([of('absent')]), 2, 0],
    [reportOf([of('unknown')]), 2, 0],
    [reportOf([unreadable]), 2, 2],
    [reportOf([readable, unreadable]), 2, 2],
    [reportOf([readable], [of('absent')]), 2, 0],
    [reportOf(), 0, 0],
  ];
  for (const [index, [report, named, all]] of table.entries()) {
    assert.deepEqual([doctorExitCode(report, false), doctorExitCode(report, true)], [named, all], String(index));
  }
});
