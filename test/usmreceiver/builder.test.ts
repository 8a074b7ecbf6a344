// The Collector that is built (otelcol/) is the one that builder.yaml describes, and its `components` know usm.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { failureOf, loadFrom } from '../config/load-from.ts';
import { buildPeer } from '../peers/peers.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const module = path.join(repository, 'receiver/usmreceiver');
const read = (name: string): string => readFileSync(path.join(module, name), 'utf8');

interface Manifest {
  readonly dist: { readonly name: string; readonly module: string; readonly version: string; readonly description: string };
  readonly [kind: string]: unknown;
}

const kinds = ['receivers', 'processors', 'exporters', 'extensions', 'connectors'] as const;

function modulesOf(manifest: Manifest, kind: string): readonly { readonly name: string; readonly version: string }[] {
  return ((manifest[kind] ?? []) as readonly { readonly gomod: string }[]).map(({ gomod }) => {
    const [name = '', version = ''] = gomod.split(' ');
    return { name, version };
  });
}

const manifest = parse(read('builder.yaml')) as Manifest;

test('otelcol/ is generated from builder.yaml: the same modules, versions and factories', () => {
  const components = read('otelcol/components.go');
  const goMod = read('otelcol/go.mod');
  const main = read('otelcol/main.go');
  const direct = [...goMod.matchAll(/^\t(\S+) (v\S+)$/gm)].map(([, name, version]) => `${name} ${version}`);
  for (const kind of [...kinds, 'providers']) {
    for (const { name, version } of modulesOf(manifest, kind)) {
      assert.ok(direct.includes(`${name} ${version}`), `${name} ${version} in otelcol/go.mod`);
      const source = kind === 'providers' ? main : components;
      assert.ok(source.includes(`"${name}"`), `${name} in otelcol`);
      assert.ok(source.includes(`${path.basename(name)}.NewFactory()`), `the factory of ${name}`);
    }
  }
  const factories = new Set([...components.matchAll(/^\t\t(\w+)\.NewFactory\(\),$/gm)].map(([, name]) => name));
  const expected = new Set(kinds.flatMap((kind) => modulesOf(manifest, kind).map(({ name }) => path.basename(name))));
  assert.deepEqual([...factories].sort(), [...expected].sort());
  assert.match(goMod, new RegExp(`^module ${manifest.dist.module}$`, 'm'));
  assert.ok(main.includes(`"${manifest.dist.name}"`) && main.includes(`"${manifest.dist.version}"`));
});

test('the Collector that it makes knows usm, and takes the configuration that runs standalone', () => {
  const binary = buildPeer('collector');
  const components = parse(execFileSync(binary, ['components'], { encoding: 'utf8' })) as {
    readonly receivers: readonly { readonly name: string; readonly stability: Readonly<Record<string, string>> }[];
  };
  const usm = components.receivers.find(({ name }) => name === 'usm');
  assert.deepEqual(usm?.stability, { traces: 'Development', metrics: 'Development', logs: 'Undefined' });
  // Silent and 0 when it is good.
  const config = path.join(repository, 'collector-config.yaml');
  assert.equal(execFileSync(binary, ['validate', '--config', config], { encoding: 'utf8' }), '');
});

/** Each with the number of its problems. */
const blocks: readonly (readonly [block: string, problems: number])[] = [
  ['', 0],
  ['{sampling: {ratio: "${env:HALF}"}, collection_interval: "${env:SECONDS_5}"}', 0],
  ['{sampling: {ratio: 3}, redactoin: 1, redaction: {query_keys: [7, "${env:SEVEN}"]}}', 3],
  ['{collector: {socket: "${env:NOTHING}", mode: "${env:MODE:-attach}"}}', 0],
  ['{collector: {socket: collector.sock, mode: "${env:SEVEN}", restart: {initial_interval: 7}}}', 3],
  ['{collector: {restart: {initial_interval: 2m}}}', 1],
  ['{thread_context: {enabled: true, registration: {endpoint: /run/a.sock, mode: "${env:OCTAL}"}}}', 0],
  ['{thread_context: {registration: {endpoint: /run/a.sock, mode: 0660}}}', 1],
  ['{filter: {include: [{local_ports: ["${env:SEVEN}", 0, "9-8"], cidrs: "10.0.0.0/8, nowhere"}, {}]}}', 4],
  ['{tls: {enabled: "${env:SEVEN}"}, filter: null, overload: []}', 2],
  // What YAML makes of numbers and words, and what a Collector makes of double colons.
  ['{capture: {max_connections: 1_000}, overload: {max_share: 5e-1}, aggregation: {max_size: 0b11, cardinality_limit: 0X1F}}', 0],
  ['{capture: {max_connections: 0b0}, overload: {max_share: 1_0.5}, aggregation: {max_size: -0x1F, cardinality_limit: 1.0}}', 4],
  ['{tls: {enabled: yes}, filter: {loopback: on, otlp: True}, overload: {max_share: .inf}}', 3],
  ['{redaction: {query_keys: [yes, 2026-11-21, 0b2, 1_0s, ~]}, shutdown_timeout: 1:30}', 2],
  ['{"metrics::http.server.request.duration::enabled": false, "filter::loopback": false, filter: {otlp: true}}', 0],
  ['{filter: {"include::x": 1, exclude: [{"pids::x": 1}]}, "capture::max_connections": 0}', 3],
];

test('what one of the two refuses the other refuses, in the same words', () => {
  const binary = buildPeer('collector');
  const env = { HALF: '0.5', SECONDS_5: '5s', SEVEN: '7', NOTHING: '', OCTAL: '0660' };
  for (const [block, count] of blocks) {
    const text = `{receivers: {usm: ${block}}, exporters: {debug: {}}, service: {pipelines: {traces: {receivers: [usm], exporters: [debug]}}}}`;
    const { status, stderr } = spawnSync(binary, ['validate', '--config', `yaml:${text}`], { encoding: 'utf8', env });
    if (count === 0) {
      assert.equal(status, 0, `${block}: ${stderr}`);
      loadFrom(text, { env });
      continue;
    }
    assert.equal(status, 1, block);
    const theirs = stderr
      .trim()
      .replace(/^Error: (invalid configuration: )?receivers::usm: /, '')
      .split('\n');
    const ours = failureOf(() => loadFrom(text, { env }))
      .message.replace(/^.*?invalid configuration: (\d+ problems:\n)?/, '')
      .split('\n')
      .map((line) => line.trim().replace(/receivers::usm(::)?/, ''));
    assert.deepEqual(theirs, ours, block);
    assert.equal(ours.length, count, block);
  }
});
