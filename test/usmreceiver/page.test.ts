// What a Collector's own page of metrics says of its receiver usm: of a real Collector, and of what `usm-receiver attach` sends with.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { openOtlpGrpcExporter } from '../../receiver/export/otlp-grpc.ts';
import { defaultTls } from '../../receiver/export/tls.ts';
import { waitFor } from '../e2e/wait.ts';
import { makeSocketPath, openSending, push } from '../export/collector-sending.ts';
import { scope } from '../export/spans.ts';
import { buildPeer } from '../peers/peers.ts';
import { freePort } from '../traffic/listener.ts';

interface Page {
  /** The value of a series, as it is written before its value: `name{label="value"}`, whatever other labels it has. */
  value(name: string, labels?: Readonly<Record<string, string>>): Promise<number | undefined>;
}

/** Starts a Collector with this receiver, which throws away what it gets. */
async function startCollector(t: TestContext, collector: object): Promise<Page> {
  const port = await freePort();
  const config = {
    receivers: { usm: { collector } },
    exporters: { debug: { verbosity: 'basic' } },
    service: {
      pipelines: { traces: { receivers: ['usm'], exporters: ['debug'] } },
      // With the names that a Collector has by default.
      telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: '127.0.0.1', port, ...defaultNames } } } }] } },
    },
  };
  const child = spawn(buildPeer('collector'), ['--config', `yaml:${JSON.stringify(config)}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const closed = once(child, 'close');
  t.after(async () => {
    child.kill('SIGTERM');
    await closed;
  });
  await waitFor(
    'the Collector to be ready',
    () => {
      assert.equal(child.exitCode, null, log);
      return log.includes('Everything is ready');
    },
    30_000,
  );
  const read = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return {
    value: async (name, labels = {}) => {
      const wanted = Object.entries({ receiver: 'usm', ...labels }).map(([label, value]) => `${label}="${value}"`);
      const line = (await read())
        .split('\n')
        .find((one) => one.startsWith(`${name}{`) && wanted.every((label) => one.includes(label)));
      return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ')));
    },
  };
}

const tls = { ...defaultTls, insecure: true };

const defaultNames = { without_scope_info: true, without_type_suffix: true, without_units: true };

test('usm-receiver that comes, goes, and is refused', async (t) => {
  const socket = makeSocketPath(t);
  const page = await startCollector(t, { socket });
  assert.equal(await page.value('otelcol_receiver_usm_connected'), 0);
  assert.equal(await page.value('otelcol_receiver_usm_connects'), 0);
  const sending = await openSending(t, socket);
  push(sending, 0, 100);
  assert.equal(await sending.path.flush(10_000), true);
  assert.equal(await page.value('otelcol_receiver_usm_connected'), 1);
  assert.equal(await page.value('otelcol_receiver_usm_connects'), 1);
  assert.equal(await page.value('otelcol_receiver_accepted_spans', { transport: 'grpc' }), 100);
  assert.equal(await page.value('otelcol_receiver_refused_spans', { transport: 'grpc' }), 0);
  assert.equal(await page.value('otelcol_receiver_usm_restarts'), undefined);
  const other = await openOtlpGrpcExporter(
    {
      id: 'other',
      endpoint: `unix:${socket}`,
      tls,
      headers: {},
      compression: 'none',
      keepalive: undefined,
      userAgent: undefined,
      timeoutMs: 5_000,
    },
    'traces',
    scope,
  );
  const answer = await other.export({ items: 0, body: new Uint8Array(0) });
  await other.close();
  assert.equal(answer.kind, 'retryable');
  assert.equal(await page.value('otelcol_receiver_usm_refused_requests', { reason: 'not_usm_receiver' }), 1);
  await sending.path.close(0);
  await waitFor('nobody', async () => (await page.value('otelcol_receiver_usm_connected')) === 0, 30_000);
  assert.equal(await page.value('otelcol_receiver_accepted_spans'), 100);
});

test('usm-receiver that ends again and again', async (t) => {
  const socket = makeSocketPath(t);
  const executable = path.join(path.dirname(socket), 'usm-receiver');
  writeFileSync(executable, '#!/bin/sh\nexit 3\n', { mode: 0o755 });
  const page = await startCollector(t, { mode: 'supervise', socket, executable, restart: { initial_interval: '100ms' } });
  await waitFor('a second restart', async () => ((await page.value('otelcol_receiver_usm_restarts')) ?? 0) >= 2);
  assert.equal(await page.value('otelcol_receiver_usm_connected'), 0);
});
