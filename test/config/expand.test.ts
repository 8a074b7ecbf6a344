import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expandTree } from '../../receiver/config/expand.ts';
import type { ConfigWarning } from '../../receiver/config/sources.ts';
import type { Tree } from '../../receiver/config/tree.ts';
import { ExpandedValue } from '../../receiver/config/tree.ts';
import type { OtlpGrpcExporterConfig } from '../../receiver/config/types.ts';
import type { World } from './load-from.ts';
import { around, loadFrom, problemsOf } from './load-from.ts';

const env = {
  NAME: 'value',
  EMPTY: '',
  NUMBER: '0123',
  WHICH: 'NAME',
  INNER: 'a ${env:NAME} b',
  DOLLARS: 'pa$$word',
  MAP: '{ a: [1, "${env:NAME}"] }',
  QUOTED: '"quoted"',
  NOT_YAML: '{ a: ',
  LOOP: '${env:LOOP}',
  GROW: '${env:GROW}${env:GROW}',
};
const files: Readonly<Record<string, string>> = { 'a.txt': 'from file\n', 'self.yaml': 'self: ${file:self.yaml}' };

function expand(written: Tree): {
  readonly tree: Tree;
  readonly problems: readonly string[];
  readonly warnings: readonly ConfigWarning[];
} {
  const warnings: ConfigWarning[] = [];
  const readFile = (path: string): string => files[path] ?? assert.fail(path);
  return { ...expandTree(written, { readFile, env }, warnings), warnings };
}

test('references inside a text are replaced by text', () => {
  const table: readonly (readonly [string, string])[] = [
    ['x ${env:NAME} y', 'x value y'],
    ['x ${NAME} y', 'x value y'],
    ['${NAME}${NAME}', 'valuevalue'],
    ['n=${NUMBER}', 'n=0123'],
    ['[${EMPTY}]', '[]'],
    ['[${env:UNSET:-default}]', '[default]'],
    ['[${env:UNSET:-}]', '[]'],
    ['[${env:EMPTY:-default}]', '[]'],
    ['[${env:UNSET:-a:-b}]', '[a:-b]'],
    ['${env:${env:WHICH}}!', 'value!'],
    ['${env:UNSET:-${env:NAME}}!', 'value!'],
    ['[${INNER}]', '[a value b]'],
    ['<${file:a.txt}>', '<from file\n>'],
    ['<${yaml:text}>', '<text>'],
  ];
  for (const [written, expected] of table) assert.deepEqual(expand(written).tree, expected, written);
});

test('a dollar is escaped by another, and alone it is a dollar', () => {
  const table: readonly (readonly [string, string])[] = [
    ['$$', '$'],
    ['a$b', 'a$b'],
    ['$NAME', '$NAME'],
    ['$${NAME}', '${NAME}'],
    ['$$${NAME}', '$value'],
    ['$$$${NAME}', '$${NAME}'],
    ['$${NAME} ${NAME}', '${NAME} value'],
    ['${NAME', '${NAME'],
    ['NAME}', 'NAME}'],
    ['${DOLLARS}!', 'pa$word!'],
  ];
  for (const [written, expected] of table) assert.deepEqual(expand(written).tree, expected, written);
});

test('a reference that is a whole value is typed, and keeps its text', () => {
  assert.deepEqual(expand('${NUMBER}').tree, new ExpandedValue(83, '0123'));
  assert.deepEqual(expand('${env:UNSET:-true}').tree, new ExpandedValue(true, 'true'));
  assert.deepEqual(expand('${EMPTY}').tree, new ExpandedValue(null, ''));
  assert.deepEqual(expand('${MAP}').tree, new ExpandedValue(new Map([['a', [1, 'value']]]), env.MAP));
  assert.equal(expand('${QUOTED}').tree, '"quoted"');
  assert.equal(expand('${NOT_YAML}').tree, '{ a: ');
  assert.equal(expand('${INNER}').tree, 'a value b');
});

test('values in maps and lists are expanded, keys are not', () => {
  assert.deepEqual(expand(new Map([['${NAME}', ['${NAME}!', 1, null]]])).tree, new Map([['${NAME}', ['value!', 1, null]]]));
});

test('an unset variable without a default is nothing, with one warning per name', () => {
  const { tree, warnings } = expand(['${UNSET}', 'x${env:UNSET}', '${OTHER}', '${env:FINE:-1}', '${EMPTY}']);
  assert.deepEqual((tree as Tree[]).slice(0, 2), [new ExpandedValue(null, ''), 'x']);
  const message = 'Configuration references unset environment variable';
  assert.deepEqual(warnings, [
    { message, fields: { name: 'UNSET' } },
    { message, fields: { name: 'OTHER' } },
  ]);
});

test('references that cannot be resolved are listed with their paths', () => {
  const table: readonly (readonly [string, string])[] = [
    ['${env:1X}', 'environment variable "1X" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$'],
    ['${}', 'environment variable "" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$'],
    [
      '${NAME:-default}',
      'scheme "NAME" is not supported for uri "NAME:-default" (did you mean "env:NAME:-default"?); supported are [env file yaml]',
    ],
    ['${vault:x}', 'scheme "vault" is not supported for uri "vault:x"; supported are [env file yaml]'],
    [
      '${https://h/x}',
      'cannot use the configuration https://h/x: usm-receiver reads no configuration over https; download it and give the file',
    ],
    ['${env:a$b}', `the uri "env:a$b" contains unsupported characters ('$')`],
    ['${LOOP}', 'too many recursive expansions in "${LOOP}"'],
    ['x${GROW}', 'too many recursive expansions in "x${GROW}"'],
    ['${file:self.yaml}', 'too many recursive expansions in "${file:self.yaml}"'],
  ];
  for (const [written, expected] of table) {
    const [problem, ...more] = expand(new Map([['a', [written]]])).problems;
    assert.deepEqual(more, []);
    assert.match(problem ?? '', /^a::0/);
    assert.equal(problem?.replace(/^a::0(?:::self)*: /, ''), expected);
  }
});

test('what a setting takes decides what a whole reference is', () => {
  const world: World = {
    env: { ID: '0123', COUNT: '7', METHODS: 'GET,PUT', OFF: 'false', RULE: '{ pids: [1] }' },
    files: { 'ca.pem': 'PEM\n' },
  };
  const { usm, exporters } = loadFrom(
    around({
      usm: 'capture: { max_connections: "${COUNT}" }\nhttp: { known_methods: "${METHODS}" }\nfilter: { loopback: "${OFF}", include: ["${RULE}", { local_ports: ["${COUNT}"] }] }',
      exporters:
        'otlp: { endpoint: "h:1", user_agent: "${ID}", headers: { id: "${env:ID}" }, tls: { ca_pem: "${file:ca.pem}" } }',
      service: 'pipelines: { traces: { receivers: [usm], exporters: [otlp] } }',
    }),
    world,
  ).config;
  const otlp = exporters[0] as OtlpGrpcExporterConfig;
  assert.equal(usm.capture.maxConnections, 7);
  assert.deepEqual(usm.http.knownMethods, ['GET', 'PUT']);
  assert.equal(usm.filter.loopback, false);
  assert.deepEqual(usm.filter.include[0]?.pids, [1]);
  assert.deepEqual(usm.filter.include[1]?.localPorts, [{ first: 7, last: 7 }]);
  assert.equal(otlp.userAgent, '0123');
  assert.deepEqual(otlp.headers, { id: '0123' });
  assert.equal(otlp.tls.caPem, 'PEM\n');
});

test('whole blocks may come from references', () => {
  const text = 'receivers: ${file:r.yaml}\nexporters: { debug: "${env:DEBUG}" }\nservice: ${file:s.yaml}';
  const { config, warnings } = loadFrom(text, {
    files: {
      'r.yaml': 'usm: { shutdown_timeout: "${T}" }',
      's.yaml': 'pipelines: { traces: { receivers: [usm], exporters: [debug] } }',
    },
    env: { T: '9s' },
  });
  assert.equal(config.usm.shutdownTimeoutMs, 9000);
  assert.deepEqual(warnings, [{ message: 'Configuration references unset environment variable', fields: { name: 'DEBUG' } }]);
});

test('all references that cannot be resolved are told at once', () => {
  assert.deepEqual(problemsOf(around({ usm: 'shutdown_timeout: ${a:b}\nhttp: ${x-y}' })), [
    'receivers::usm::shutdown_timeout: scheme "a" is not supported for uri "a:b"; supported are [env file yaml]',
    'receivers::usm::http: environment variable "x-y" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$',
  ]);
});
