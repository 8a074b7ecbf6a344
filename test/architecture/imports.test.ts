// Which folder may import what. The table is the rule; docs/architecture.md says why.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSources, type Source } from './sources.ts';

interface Rule {
  /** Files or folders, from the top; the first row that matches a file is its rule. A `*` stands for one folder. */
  readonly of: string;
  /** What it may import besides its own folder (the one that `of` matched). */
  readonly files: readonly string[];
  /** Packages; 'node:' means all of Node.js. */
  readonly packages: readonly string[];
}

const common = ['receiver/model/', 'receiver/bytes/', 'receiver/errors.ts', 'receiver/clock.ts'];
const outbound = ['receiver/model/', 'receiver/errors.ts', 'receiver/clock.ts'];
const everything = ['receiver/', 'native/index.ts', 'otel-thread-context/reader/index.ts'];

const rules: readonly Rule[] = [
  { of: 'receiver/model/', files: [], packages: [] },
  { of: 'receiver/bytes/', files: [], packages: [] },
  // What HTTP means, whatever the version; it knows of no framing.
  {
    of: 'receiver/protocols/http/',
    files: ['receiver/model/', 'receiver/bytes/'],
    packages: ['@opentelemetry/semantic-conventions'],
  },
  { of: 'receiver/protocols/*/', files: ['receiver/model/', 'receiver/bytes/', 'receiver/protocols/http/'], packages: [] },
  { of: 'receiver/connections/', files: common, packages: [] },
  {
    of: 'receiver/attribution/',
    files: [...common, 'otel-thread-context/reader/index.ts'],
    packages: ['node:', '@opentelemetry/semantic-conventions'],
  },
  {
    of: 'receiver/tls/',
    files: [...common, 'receiver/kernel/layout.ts', 'otel-thread-context/reader/index.ts'],
    packages: ['node:'],
  },
  { of: 'receiver/kernel/', files: [...common, 'native/index.ts'], packages: ['node:'] },
  {
    of: 'receiver/telemetry/self/',
    files: [...outbound, 'receiver/telemetry/ledger.ts'],
    packages: [
      'node:',
      '@grpc/grpc-js',
      '@opentelemetry/api',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-metrics',
      '@opentelemetry/exporter-metrics-otlp-grpc',
      '@opentelemetry/exporter-metrics-otlp-http',
      '@opentelemetry/exporter-metrics-otlp-proto',
    ],
  },
  { of: 'receiver/telemetry/', files: outbound, packages: ['node:'] },
  { of: 'receiver/extensions/', files: outbound, packages: ['node:'] },
  { of: 'receiver/export/', files: outbound, packages: ['node:', '@grpc/grpc-js'] },
  { of: 'receiver/config/', files: common, packages: ['node:', 'yaml'] },
  { of: 'receiver/cli/', files: [...common, 'receiver/config/'], packages: [] },
  { of: 'receiver/errors.ts', files: [], packages: [] },
  { of: 'receiver/clock.ts', files: [], packages: [] },
  { of: 'receiver/heap.ts', files: [], packages: ['node:'] },
  { of: 'receiver/log.ts', files: ['receiver/errors.ts'], packages: ['node:'] },
  // Only these join stages.
  { of: 'receiver/pipeline.ts', files: everything, packages: [] },
  { of: 'receiver/exporters.ts', files: everything, packages: ['node:'] },
  { of: 'receiver/receiver.ts', files: everything, packages: ['node:'] },
  { of: 'receiver/operations.ts', files: everything, packages: ['node:'] },
  { of: 'receiver/self-observation.ts', files: everything, packages: [] },
  { of: 'receiver/doctor.ts', files: everything, packages: ['node:'] },
  { of: 'receiver/main.ts', files: everything, packages: ['node:'] },
  { of: 'receiver/index.ts', files: everything, packages: [] },
  // These know nothing of the receiver.
  { of: 'native/', files: [], packages: ['node:'] },
  { of: 'otel-thread-context/reader/', files: [], packages: ['node:'] },
];

/** The part of the path that the rule's `of` covers, or undefined. */
function coveredBy(rule: Rule, path: string): string | undefined {
  const pattern = new RegExp(`^${rule.of.replace('*', '[^/]+')}`);
  return pattern.exec(path)?.[0];
}

function isAllowed(rule: Rule, covered: string, imported: string, source: Source): boolean {
  const isFile = /^(receiver|native|otel-thread-context|test|scripts|build|bpf)\//.test(imported);
  if (!isFile) return rule.packages.some((name) => (name.endsWith(':') ? imported.startsWith(name) : imported === name));
  if (covered.endsWith('/') && imported.startsWith(covered)) return true;
  return (
    imported === source.path ||
    rule.files.some((allowed) => (allowed.endsWith('/') ? imported.startsWith(allowed) : imported === allowed))
  );
}

const sources = readSources(['receiver/**/*.ts', 'native/**/*.ts', 'otel-thread-context/**/*.ts']);

test('every source has a rule', () => {
  assert.ok(sources.length > 20, 'the sources were found');
  const without = sources.filter((source) => !rules.some((rule) => coveredBy(rule, source.path) !== undefined));
  assert.deepEqual(
    without.map((source) => source.path),
    [],
  );
});

test('every import is one that the table allows', () => {
  const violations: string[] = [];
  for (const source of sources) {
    const rule = rules.find((candidate) => coveredBy(candidate, source.path) !== undefined);
    if (rule === undefined) continue;
    const covered = coveredBy(rule, source.path) ?? '';
    for (const imported of source.imports) {
      if (!isAllowed(rule, covered, imported, source)) violations.push(`${source.path} imports ${imported}`);
    }
  }
  assert.deepEqual(violations, []);
});

test('a forbidden import would be noticed', () => {
  const judge = (path: string, imported: string): boolean => {
    const rule = rules.find((candidate) => coveredBy(candidate, path) !== undefined);
    assert.ok(rule);
    return isAllowed(rule, coveredBy(rule, path) ?? '', imported, { path, text: '', imports: [imported] });
  };
  assert.equal(judge('receiver/model/span.ts', 'receiver/model/resource.ts'), true);
  assert.equal(judge('receiver/model/span.ts', 'receiver/bytes/ascii.ts'), false);
  assert.equal(judge('receiver/model/span.ts', 'node:fs'), false);
  assert.equal(judge('receiver/protocols/http1/parse.ts', 'receiver/protocols/http1/head.ts'), true);
  assert.equal(judge('receiver/protocols/http1/parse.ts', 'receiver/protocols/http2/frames.ts'), false);
  assert.equal(judge('receiver/protocols/http2/frames.ts', 'receiver/protocols/http1/head.ts'), false);
  assert.equal(judge('receiver/protocols/http1/match.ts', 'receiver/protocols/http/target.ts'), true);
  assert.equal(judge('receiver/protocols/http/describe.ts', 'receiver/protocols/http1/head.ts'), false);
  assert.equal(judge('receiver/protocols/http1/parse.ts', 'receiver/errors.ts'), false);
  assert.equal(judge('receiver/export/otlp-grpc.ts', 'receiver/config/types.ts'), false);
  assert.equal(judge('receiver/kernel/session.ts', 'native/index.ts'), true);
  assert.equal(judge('receiver/kernel/session.ts', 'native/error.ts'), false);
  assert.equal(judge('native/index.ts', 'receiver/errors.ts'), false);
});

test('the addon includes nothing of the BPF programs', () => {
  const violations = readSources(['native/*.cc', 'native/*.h']).flatMap((source) =>
    [...source.text.matchAll(/^#include "([^"]+)"/gm)]
      .filter(([, name = '']) => name.includes('/'))
      .map(([line]) => `${source.path}: ${line}`),
  );
  assert.deepEqual(violations, []);
});
