// Real backends: an OpenTelemetry Collector and a Jaeger receive from us and are asked through their own means.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { startCollector, startJaeger, type JaegerSpan, type JaegerTrace } from '../peers/peers.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequests, type Exchange } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { assertBooks, assertTruth, kernelTestSkip, repository, startReceiver } from './harness.ts';
import { pidOf, readSpans } from './spans.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();

for (const [name, exporter] of [
  ['otlp_grpc', (ports: { grpcPort: number }) => ({ endpoint: `127.0.0.1:${ports.grpcPort}`, tls: { insecure: true } })],
  ['otlp_http', (ports: { httpPort: number }) => ({ endpoint: `http://127.0.0.1:${ports.httpPort}` })],
  [
    'otlp_http/json',
    (ports: { httpPort: number }) => ({ endpoint: `http://127.0.0.1:${ports.httpPort}`, encoding: 'json', compression: 'none' }),
  ],
] as const) {
  test(`a Collector gets by ${name} exactly the truth, and our export is not traced at either end`, { skip }, async (t) => {
    const collector = await startCollector(t);
    const receiver = await startReceiver(t, { exporters: { [name]: exporter(collector) } });
    const server = await startServer(t, 'node');
    const client = await startClient(t, 'go', server);
    const run = newRun();
    const truth: Exchange[] = [];
    // Several rounds, each seen at the Collector before the next: were our own export traced, it would show in later ones.
    for (let round = 0; round < 3; round++) {
      truth.push(...(await client.run(planRequests(`${run}-${round}`, 28, 'plain'), { connections: 3 })));
      await waitFor('the round at the Collector', () => compareTruth(truth, readSpans(collector.file)) === undefined);
    }
    const stopped = await receiver.stop();
    await collector.stop();
    const received = readSpans(collector.file);
    const silentPids = [receiver.pid, collector.pid];
    assertTruth(stopped, truth, { silentPids });
    assert.equal(compareTruth(truth, received, { silentPids }), undefined);
    // What we wrote to our file and what the Collector wrote to its own is the same, attribute by attribute.
    const byId = new Map(received.map((span) => [span.spanId, span]));
    assert.equal(received.length, stopped.spans.length);
    for (const span of stopped.spans) assert.deepEqual(byId.get(span.spanId), span);
  });
}

function tag(span: JaegerSpan, key: string): unknown {
  return span.tags.find((one) => one.key === key)?.value;
}

function processPid(trace: JaegerTrace, span: JaegerSpan): unknown {
  return trace.processes[span.processID]?.tags.find((one) => one.key === 'process.pid')?.value;
}

test(
  'collector-config.yaml with a real Jaeger: its API shows the traces, and standard output a line for each',
  { skip },
  async (t) => {
    const jaeger = await startJaeger(t);
    const receiver = await startReceiver(t, {
      configFile: path.join(repository, 'collector-config.yaml'),
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: `127.0.0.1:${jaeger.grpcPort}` },
    });
    const server = await startServer(t, 'python');
    const client = await startClient(t, 'node', server);
    const truth = await client.run(planRequests(newRun(), 14, 'all'), { connections: 2 });
    const find = async (service: string, pid: number): Promise<JaegerSpan[]> => {
      const traces = await jaeger.traces(service);
      return traces.flatMap((trace) => trace.spans.filter((span) => processPid(trace, span) === pid));
    };
    const [servers, clients] = await waitFor('both ends in Jaeger', async () => {
      const found = [await find('echo_server', server.pid), await find('echo-client', client.pid)] as const;
      return found.every((spans) => spans.length >= truth.length) && found;
    });
    const expected = truth
      .map((exchange) => `${exchange.method === 'PURGE' ? 'HTTP' : exchange.method} ${exchange.status} ${exchange.target}`)
      .sort();
    const ofServers = servers.map(
      (span) =>
        `${span.operationName} ${String(tag(span, 'http.response.status_code'))} ${String(tag(span, 'url.path'))}?${String(tag(span, 'url.query'))}`,
    );
    assert.deepEqual(ofServers.sort(), expected);
    const ofClients = clients.map((span) => {
      const url = new URL(String(tag(span, 'url.full')));
      return `${span.operationName} ${String(tag(span, 'http.response.status_code'))} ${url.pathname}${url.search}`;
    });
    assert.deepEqual(ofClients.sort(), expected);
    const stopped = await receiver.stop();
    assert.equal(stopped.exitCode, 0);
    assert.equal(stopped.ledger?.balanced, true);
    for (const exchange of truth) {
      const lines = stopped.stdout.split('\n').filter((line) => line.includes(`id=${exchange.id}&`));
      assert.equal(lines.length, 2, `a line for each end of ${exchange.id}:\n${lines.join('\n')}`);
    }
  },
);

test('a Collector that hands on over OTLP/HTTP: telemetry on its way makes no telemetry', { skip }, async (t) => {
  const backend = await startCollector(t);
  const collector = await startCollector(t, {
    exporters: { otlphttp: { endpoint: `http://127.0.0.1:${backend.httpPort}`, compression: 'none' } },
  });
  const receiver = await startReceiver(t, {
    exporters: { otlp_grpc: { endpoint: `127.0.0.1:${collector.grpcPort}`, tls: { insecure: true } } },
  });
  const server = await startServer(t, 'go');
  const client = await startClient(t, 'python', server);
  const truth = await client.run(planRequests(newRun(), 14, 'plain'));
  const stopped = await receiver.stop();
  assertBooks(stopped);
  assert.equal(compareTruth(truth, stopped.spans, { silentPids: [receiver.pid, collector.pid, backend.pid] }), undefined);
});

test('a Collector that hands on to Jaeger: no loop', { skip }, async (t) => {
  const jaeger = await startJaeger(t);
  const collector = await startCollector(t, {
    exporters: { otlp: { endpoint: `127.0.0.1:${jaeger.grpcPort}`, tls: { insecure: true } } },
  });
  const receiver = await startReceiver(t, { exporters: { otlp_http: { endpoint: `http://127.0.0.1:${collector.httpPort}` } } });
  const server = await startServer(t, 'go');
  const client = await startClient(t, 'python', server);
  const truth = await client.run(planRequests(newRun(), 14, 'plain'));
  await waitFor('both ends in Jaeger', async () => {
    const services = await jaeger.services();
    return services.includes('go-peer') && services.includes('echo_client');
  });
  const stopped = await receiver.stop();
  assertBooks(stopped);
  // Jaeger's API is asked over HTTP, by this test: that is traffic like any other. What is sent to it and to the Collector is ours.
  assert.equal(compareTruth(truth, stopped.spans, { silentPids: [receiver.pid, collector.pid] }), undefined);
  const ours = stopped.spans.filter(
    (span) => pidOf(span) === jaeger.pid && !String(span.attributes['url.path']).startsWith('/api/'),
  );
  assert.deepEqual(ours, []);
});
