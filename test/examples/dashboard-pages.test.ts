// The queries of the dashboard against real pages: that of a real Collector, fed by the receiver, and that of the receiver itself.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as net from 'node:net';
import { test } from 'node:test';
import { connectionMetrics } from '../../receiver/model/connection-metrics.ts';
import { httpMetrics } from '../../receiver/model/http-metrics.ts';
import { rpcMetrics } from '../../receiver/model/rpc-metrics.ts';
import { instrumentsAt } from '../../receiver/telemetry/self/instruments.ts';
import { assertBooks, startReceiver } from '../e2e/harness.ts';
import { waitFor } from '../e2e/wait.ts';
import { startCollector } from '../peers/peers.ts';
import { kernelTest } from '../support/kernel.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequest, planRequests } from '../traffic/truth.ts';
import { addDurations, addPage, assertNamesExist, queriesOf, readDashboard, type Vocabulary } from './dashboard.ts';

/** A page for Prometheus at the default level, of the default names. */
const ownPage = 'yaml:service::telemetry::metrics::readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: 0}}}}]';

async function readPage(url: string): Promise<string> {
  const response = await fetch(url);
  assert.equal(response.status, 200, url);
  return response.text();
}

/** A connection that is reset, and one that is refused, of this process. */
async function resetAndRefuse(): Promise<void> {
  const listener = net.createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as net.AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.resetAndDestroy();
  listener.close();
  await once(listener, 'close');
  const refused = net.connect(port, '127.0.0.1');
  await assert.rejects(once(refused, 'connect'), { code: 'ECONNREFUSED' });
}

test('every metric and label that the dashboard names is on the pages', kernelTest(), async (t) => {
  const collector = await startCollector(t);
  const server = await startServer(t, 'node');
  const client = await startClient(t, 'node', server);
  const receiver = await startReceiver(t, {
    usm: {
      collection_interval: '100ms',
      metrics: Object.fromEntries([...httpMetrics, ...connectionMetrics].map(({ name }) => [name, { enabled: true }])),
      filter: { include: [{ local_ports: [server.port] }, { remote_ports: [server.port] }, { pids: [process.pid] }] },
    },
    exporters: { otlp_http: { endpoint: `http://127.0.0.1:${collector.httpPort}` } },
    signals: ['traces', 'metrics'],
    args: ['--config', ownPage],
  });
  const ofReceiver = /"endpoint": "(http:\/\/127\.0\.0\.1:\d+\/metrics)"/.exec(receiver.stderr())?.[1] ?? '';
  await client.run([...planRequests(newRun(), 14, 'plain'), planRequest(newRun(), { status: 500 })]);
  await resetAndRefuse();
  // On a connection that is known to be HTTP, so that it counts while it is open.
  const slow = client.run([planRequest(newRun(), { query: '&delay=3000' })]);
  const http = await waitFor('all metrics of HTTP on the page of the Collector', async () => {
    const page = await readPage(collector.metricsPage);
    const names = ['http_server_active_requests', 'http_client_open_connections', 'usm_connection_count'];
    const isWhole = names.every((name) => page.includes(`\n${name}{`));
    return isWhole && page.includes('error_type="500"') && page.includes('error_type="connection_refused"') ? page : false;
  });
  const own = await waitFor('points on the page of the receiver', async () => {
    const page = await readPage(ofReceiver);
    return /^otelcol_exporter_sent_metric_points\{exporter="otlp_http"\} [1-9]/m.test(page) ? page : false;
  });
  await slow;
  assertBooks(await receiver.stop());

  const vocabulary: Vocabulary = new Map();
  // There are no calls of gRPC in this traffic: what the table makes of the durations of HTTP is on the page, so what it makes of theirs would be.
  const byTable: Vocabulary = new Map();
  addDurations(
    byTable,
    httpMetrics.filter(({ measures }) => measures === 'duration'),
  );
  addPage(vocabulary, http, []);
  for (const [name, labels] of byTable)
    assert.deepEqual(
      [...labels].filter((label) => vocabulary.get(name)?.has(label) !== true),
      [],
      name,
    );
  addDurations(vocabulary, rpcMetrics);
  // What Prometheus knows of the target, since the page does not say it.
  addPage(vocabulary, own, ['job', 'instance']);
  const later: string[] = [];
  for (const { name, attributes } of instrumentsAt('normal')) {
    // Those with a reason begin with the first of its kind.
    if (vocabulary.has(name) || vocabulary.has(`${name}_bucket`)) continue;
    later.push(name);
    vocabulary.set(name, new Set([...attributes, 'job', 'instance']));
  }
  for (const name of later)
    assert.match(name, /_(?:not_exported|shed|unattributed|lost|noticed|dropped|thread_contexts|registrations)$/);
  const queries = queriesOf(readDashboard());
  assert.ok(queries.length > 30, `${queries.length} queries`);
  assertNamesExist(queries, vocabulary);
});
