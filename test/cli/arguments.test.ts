import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Command } from '../../receiver/cli/arguments.ts';
import { parseArguments } from '../../receiver/cli/arguments.ts';
import { formatComponents } from '../../receiver/cli/components.ts';
import { product, version } from '../../receiver/cli/version.ts';
import { parseYaml } from '../../receiver/config/tree.ts';
import { ReceiverError } from '../../receiver/errors.ts';

test('commands and flags come in any order and both spellings', () => {
  const table: readonly (readonly [string, Command])[] = [
    ['', { kind: 'run', sources: [], sets: [] }],
    ['--config a --config=b --set c=d=e --set=f=g', { kind: 'run', sources: ['a', 'b'], sets: ['c=d=e', 'f=g'] }],
    ['validate --config a', { kind: 'validate', sources: ['a'], sets: [] }],
    ['--config a validate', { kind: 'validate', sources: ['a'], sets: [] }],
    ['--config validate', { kind: 'run', sources: ['validate'], sets: [] }],
    ['--config=', { kind: 'run', sources: [''], sets: [] }],
    ['components', { kind: 'components' }],
    ['help', { kind: 'help' }],
    ['-h', { kind: 'help' }],
    ['validate --help', { kind: 'help' }],
    ['--version', { kind: 'version' }],
    ['-v', { kind: 'version' }],
    [
      'attach --set b=c --config a --receiver=usm/x',
      { kind: 'attach', sources: ['a'], sets: ['b=c'], isSupervised: false, receiver: 'usm/x' },
    ],
    ['attach --supervised', { kind: 'attach', sources: [], sets: [], isSupervised: true, receiver: undefined }],
    ['attach --help', { kind: 'help' }],
  ];
  for (const [line, expected] of table) assert.deepEqual(parseArguments(line === '' ? [] : line.split(' ')), expected, line);
});

test('what is unknown is refused with a near match', () => {
  const hint = "; run 'usm-receiver --help' for usage";
  const table: readonly (readonly [string, string])[] = [
    ['--confg a', 'unknown flag: --confg (did you mean "--config"?)'],
    ['-c a', 'unknown flag: -c'],
    ['--sett=a', 'unknown flag: --sett (did you mean "--set"?)'],
    ['--', 'unknown flag: --'],
    ['--config', 'flag needs an argument: --config'],
    ['--set', 'flag needs an argument: --set'],
    ['valdate', 'unknown command "valdate" for "usm-receiver" (did you mean "validate"?)'],
    ['serve', 'unknown command "serve" for "usm-receiver"'],
    ['config.yaml', 'unknown command "config.yaml" for "usm-receiver" (did you mean "--config=config.yaml"?)'],
    ['validate config.yaml', 'unexpected argument "config.yaml"'],
    ['components --config a', '"components" takes no --config and no --set'],
    ['--config a attach', '"attach" comes first, and its flags behind it'],
    ['attach x', 'unexpected argument "x"'],
    ['attach --confg a', 'unknown flag: --confg (did you mean "--config"?)'],
    ['attach --receiver', 'flag needs an argument: --receiver'],
    ['attach --supervised=true', '--supervised takes no value'],
    ['attach --supervised --config a', '--supervised takes its configuration from standard input, and no --config and no --set'],
    ['--feature-gates=a,-b', '--feature-gates is not supported: usm-receiver has no feature gates, found "a,-b"'],
  ];
  for (const [line, expected] of table) {
    assert.throws(
      () => parseArguments(line.split(' ')),
      (error: unknown) => error instanceof ReceiverError && error.code === 'USM_USAGE' && error.message === expected + hint,
      line,
    );
  }
});

test('the version is that of the package', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Record<string, unknown>;
  assert.deepEqual([product, version], [manifest['name'], manifest['version']]);
});

test('components are YAML with every type, its aliases and its stability', () => {
  const parsed = parseYaml(formatComponents());
  assert.equal(parsed.kind, 'parsed');
  assert.equal(
    formatComponents()
      .replace(/\n {6}stability:\n {8}logs: Undefined\n {8}metrics: Development\n {8}traces: Development/g, '')
      .replace(/\n {6}stability:\n {8}extension: Development/g, ''),
    `buildinfo:
    command: usm-receiver
    description: OpenTelemetry receiver for HTTP transactions seen with eBPF
    version: ${version}
receivers:
    - name: usm
processors: []
exporters:
    - name: debug
    - name: file
    - name: otlp_grpc
      aliases: [otlp]
    - name: otlp_http
      aliases: [otlphttp]
connectors: []
extensions:
    - name: file_storage
    - name: health_check
    - name: pprof
    - name: zpages
providers:
    - scheme: env
    - scheme: file
    - scheme: yaml
`,
  );
});
