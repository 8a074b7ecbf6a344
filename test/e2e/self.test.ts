// What a running receiver tells of itself, with real traffic: metrics that are the ledger, health that is the truth, and where one transaction is.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startCollector } from '../peers/peers.ts';
import { freePort } from '../traffic/listener.ts';
import type { Cleanup } from '../traffic/program.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequest, planRequests } from '../traffic/truth.ts';
import { instruments } from '../../receiver/telemetry/self/instruments.ts';
import { assertTruth, kernelTestSkip, type Receiver, receiverMain, runReceiver, startReceiver } from './harness.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();
/** This process asks the receiver, which is not what is looked at. */
const usm = { filter: { exclude: [{ pids: [process.pid] }] } };
const anyPort = { endpoint: '127.0.0.1:0' };

/** Nothing but connections to these ports: the books are compared to the unit, and others may be busy on this host. */
const only = (...ports: readonly number[]) => ({
  filter: { ...usm.filter, include: [{ local_ports: ports }, { remote_ports: ports }] },
});

/** Without anything to count there is no series: reasons, and exporters of metrics. */
const isOptional = (name: string): boolean =>
  /_(?:metric_points|not_exported|shed|unattributed|lost|noticed|events_dropped|correlations|thread_contexts|registrations)$/.test(
    name,
  );

/** An argument that gives the receiver these readers of its own metrics. */
function readers(...list: readonly object[]): readonly string[] {
  return ['--config', `yaml:service::telemetry::metrics: ${JSON.stringify({ level: 'detailed', readers: list })}`];
}

const prometheus = (port: number) => ({ pull: { exporter: { prometheus: { host: '127.0.0.1', port } } } });

function addressIn(log: string, pattern: RegExp): string {
  const address = pattern.exec(log)?.[1];
  assert.ok(address, `no ${String(pattern)} in:\n${log}`);
  return address;
}

const metricsUrl = (receiver: Receiver): string =>
  addressIn(receiver.stderr(), /"endpoint": "(http:\/\/127\.0\.0\.1:\d+\/metrics)"/);
const extensionUrl = (receiver: Receiver, id: string): string =>
  `http://${addressIn(receiver.stderr(), new RegExp(`"extension": "${id}", "endpoint": "(127\\.0\\.0\\.1:\\d+)"`))}`;

/** A page of Prometheus text: the line before the value → the value. */
async function scrape(url: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(url)).text();
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const space = line.lastIndexOf(' ');
    assert.ok(!values.has(line.slice(0, space)), `${line} is there once`);
    values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return values;
}

async function fetchJson(url: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

test('the metrics of a scrape are the ledger: every name is there, and every number agrees', { skip }, async (t) => {
  const server = await startServer(t, 'node');
  const receiver = await startReceiver(t, { usm: only(server.port), args: readers(prometheus(0)) });
  const url = metricsUrl(receiver);
  const client = await startClient(t, 'node', server);
  const truth = await client.run(planRequests(newRun(), 40, 'plain'), { connections: 4 });
  await client.stop();
  await server.stop();
  const spans = truth.length * 2;
  const values = await waitFor('all spans to be delivered and all connections to be over', async () => {
    const page = await scrape(url);
    const isOver = page.get('otelcol_receiver_usm_connections_tracked') === 0;
    return isOver && page.get('otelcol_exporter_sent_spans{exporter="file"}') === spans ? page : false;
  });
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  const ledger = stopped.ledger!;
  const expected: Readonly<Record<string, number | undefined>> = {
    'otelcol_receiver_accepted_spans{receiver="usm",transport="bpf"}': spans,
    'otelcol_receiver_refused_spans{receiver="usm",transport="bpf"}': 0,
    'otelcol_exporter_send_failed_spans{exporter="file"}': 0,
    'otelcol_exporter_enqueue_failed_spans{exporter="file"}': 0,
    'otelcol_exporter_queue_size{exporter="file",data_type="traces"}': 0,
    otelcol_receiver_usm_transactions_seen: ledger.transactions.seen,
    otelcol_receiver_usm_transactions_exported: ledger.transactions.exported,
    otelcol_receiver_usm_transactions_open: 0,
    otelcol_receiver_usm_transactions_pending: 0,
    otelcol_receiver_usm_connections_seen: ledger.connections?.seen,
    otelcol_receiver_usm_connections_not_http: ledger.connections?.not_http,
    otelcol_receiver_usm_bytes_seen: ledger.bytes?.seen,
    otelcol_receiver_usm_bytes_parsed: ledger.bytes?.parsed,
    otelcol_receiver_usm_bytes_skipped: ledger.bytes?.skipped,
    otelcol_receiver_usm_ring_capacity: 8 * 1024 * 1024,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(values.get(name), value, name);
  const atLeast = (name: string, least: number): void => {
    const value = values.get(name);
    assert.ok(value !== undefined && value >= least, `${name} is ${String(value)}, at least ${least}`);
  };
  atLeast('otelcol_receiver_usm_events_received', spans);
  assert.ok(values.get('otelcol_receiver_usm_events_received')! <= ledger.events!.received!);
  atLeast('otelcol_receiver_usm_decode_lag_count', 1);
  atLeast('otelcol_receiver_usm_acknowledgement_lag_count', 1);
  atLeast('otelcol_receiver_usm_event_loop_delay_count', 1);
  atLeast('otelcol_process_uptime', 0.1);
  atLeast('otelcol_process_cpu_seconds', 0.01);
  atLeast('otelcol_process_memory_rss', 30e6);
  atLeast('otelcol_process_runtime_heap_alloc_bytes', 1e6);
  atLeast('otelcol_process_runtime_total_sys_memory_bytes', 1e6);
  const families = new Set([...values.keys()].map((key) => key.replace(/\{.*/, '').replace(/_(?:bucket|sum|count)$/, '')));
  for (const { name } of instruments) assert.ok(families.has(name) || isOptional(name), `${name} is in the page`);
});

test(
  'metrics are sent with OTLP too, and at the end once more, so that the last values are those of the ledger',
  { skip },
  async (t) => {
    const bodies: string[] = [];
    const backend = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => (body += text));
      request.on('end', () => {
        bodies.push(body);
        response.end('{}');
      });
    }).listen(0, '127.0.0.1');
    t.after(() => backend.close());
    await once(backend, 'listening');
    const { port } = backend.address() as AddressInfo;
    const endpoint = `http://127.0.0.1:${port}`;
    const server = await startServer(t, 'node');
    const receiver = await startReceiver(t, {
      usm: only(server.port),
      args: readers({ periodic: { interval: 3_600_000, exporter: { otlp: { protocol: 'http/json', endpoint } } } }),
    });
    const client = await startClient(t, 'node', server);
    const truth = await client.run(planRequests(newRun(), 20, 'plain'));
    await client.stop();
    const stopped = await receiver.stop();
    assertTruth(stopped, truth);
    assert.equal(bodies.length, 1);
    const { resourceMetrics } = JSON.parse(bodies[0]!) as {
      resourceMetrics: { scopeMetrics: { metrics: { name: string; sum?: { dataPoints: { asDouble: number }[] } }[] }[] }[];
    };
    const metrics = resourceMetrics[0]!.scopeMetrics[0]!.metrics;
    const valueOf = (name: string) => metrics.find((metric) => metric.name === name)?.sum?.dataPoints[0]?.asDouble;
    assert.equal(valueOf('otelcol_receiver_usm_transactions_seen'), truth.length * 2);
    assert.equal(valueOf('otelcol_exporter_sent_spans'), truth.length * 2);
    assert.equal(valueOf('otelcol_receiver_usm_bytes_seen'), stopped.ledger?.bytes?.seen);
  },
);

test('a real Collector takes them over gRPC, all of them', { skip }, async (t) => {
  const collector = await startCollector(t);
  const endpoint = `127.0.0.1:${collector.grpcPort}`;
  const otlp = { protocol: 'grpc', endpoint, insecure: true, compression: 'gzip' };
  const receiver = await startReceiver(t, { usm, args: readers({ periodic: { interval: 200, exporter: { otlp } } }) });
  const names = await waitFor('metrics to arrive', () => {
    const text = existsSync(collector.metricsFile) ? readFileSync(collector.metricsFile, 'utf8') : '';
    const found = [...text.matchAll(/"name":"(otelcol_[a-z_]+)"/g)].map(([, name]) => name!);
    return found.length > 0 && text.endsWith('\n') ? new Set(found) : false;
  });
  for (const { name } of instruments) assert.ok(names.has(name) || isOptional(name), `${name} has arrived`);
  assert.equal((await receiver.stop()).exitCode, 0);
  assert.doesNotMatch(receiver.stderr(), /could not be sent/);
});

test('who asks the receiver on this host makes no spans, and is counted', { skip }, async (t) => {
  const server = await startServer(t, 'node');
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const [scraped, checked, inspected] = ports.map((port) => `127.0.0.1:${port}`);
  const { include } = only(server.port, ...ports).filter;
  const receiver = await startReceiver(t, {
    usm: { filter: { include } },
    args: readers(prometheus(ports[0])),
    extensions: { health_check: { endpoint: checked }, zpages: { endpoint: inspected } },
  });
  const urls = [`http://${scraped}/metrics`, `http://${checked}/`, `http://localhost:${ports[2]}/debug/usm`];
  const client = await startClient(t, 'node', server);
  const truth = await client.run(planRequests(newRun(), 10, 'plain'));
  for (const url of [...urls, ...urls]) assert.equal((await (await fetch(url)).text()).length > 0, true);
  const stopped = await receiver.stop();
  assertTruth(stopped, truth);
  assert.deepEqual(stopped.ledger?.transactions.not_exported, { filtered: 6 });
});

/** A backend for OTLP/HTTP on a port that the test has chosen. */
async function startBackend(cleanup: Cleanup, port: number): Promise<void> {
  const backend = createServer((request, response) => {
    request.resume().on('end', () => response.end('{}'));
  }).listen(port, '127.0.0.1');
  cleanup.after(() => {
    backend.close();
    backend.closeAllConnections();
  });
  await once(backend, 'listening');
}

test('health is 503 while a backend is dead for long, says which, and is 200 when it is back', { skip }, async (t) => {
  const port = await freePort();
  const server = await startServer(t, 'node');
  const receiver = await startReceiver(t, {
    usm: only(server.port),
    exporters: {
      'otlp_http/dead': {
        endpoint: `http://127.0.0.1:${port}`,
        sending_queue: { batch: { flush_timeout: '10ms' } },
        retry_on_failure: { initial_interval: '100ms', max_interval: '100ms' },
      },
    },
    extensions: { health_check: { ...anyPort, exporter_failure_timeout: '1s' } },
  });
  const url = extensionUrl(receiver, 'health_check');
  assert.equal((await fetchJson(url)).status, 200);
  const client = await startClient(t, 'node', server);
  const truth = await client.run(planRequests(newRun(), 10, 'plain'));
  const sick = await waitFor('the health check to fail', async () => {
    const { status, body } = await fetchJson(url);
    return status === 503 ? (body as { problems: { component: string; problem: string }[] }) : false;
  });
  assert.deepEqual(
    sick.problems.map(({ component }) => component),
    ['otlp_http/dead (traces)'],
  );
  assert.match(sick.problems[0]!.problem, /^has delivered nothing for 1\.\d s: 20 in the queue/);
  await startBackend(t, port);
  await waitFor('the health check to succeed', async () => (await fetchJson(url)).status === 200);
  await client.stop();
  assertTruth(await receiver.stop(), truth);
});

test('health is 503 when no events are taken from the kernel, because a full queue holds them there', { skip }, async (t) => {
  const server = await startServer(t, 'node');
  const receiver = await startReceiver(t, {
    usm: only(server.port),
    hasFile: false,
    exporters: {
      otlp_http: {
        endpoint: `http://127.0.0.1:${await freePort()}`,
        sending_queue: {
          queue_size: 4,
          sizer: 'items',
          block_on_overflow: true,
          batch: { min_size: 2, max_size: 2, flush_timeout: '10ms' },
        },
      },
    },
    extensions: { health_check: { ...anyPort, stall_timeout: '1s' } },
  });
  const url = extensionUrl(receiver, 'health_check');
  const client = await startClient(t, 'node', server);
  await client.run(planRequests(newRun(), 20, 'plain'));
  const sick = await waitFor('the health check to fail', async () => {
    const { status, body } = await fetchJson(url);
    return status === 503 ? (body as { problems: { component: string; problem: string }[] }) : false;
  });
  assert.equal(sick.problems[0]?.component, 'capture');
  assert.match(sick.problems[0].problem, /^no events were taken from the kernel for 1\.\d s$/);
  const stopped = await receiver.stop();
  assert.equal(stopped.exitCode, 0);
  assert.equal(stopped.ledger?.balanced, true);
});

interface Inspected {
  readonly connections: {
    readonly tracked: number;
    readonly matching: number;
    readonly shown: readonly {
      readonly connection: number;
      readonly role: string;
      readonly pid: number;
      readonly received: { readonly position: number };
      readonly sent: { readonly position: number };
      readonly conversation?: {
        readonly open: number;
        readonly open_exchanges: readonly { readonly pid: number; readonly age_ms: number; readonly request_position: number }[];
      };
    }[];
  };
}

const run = promisify(execFile);

test('inspect finds the open request of a slow server at both ends, with its process and positions', { skip }, async (t) => {
  const server = await startServer(t, 'node');
  const receiver = await startReceiver(t, { usm, extensions: { zpages: anyPort, pprof: anyPort } });
  const client = await startClient(t, 'node', server);
  const endpoint = extensionUrl(receiver, 'zpages');
  const inspect = async (...args: string[]): Promise<string> =>
    (await run(process.execPath, [receiverMain, 'inspect', '--endpoint', endpoint, ...args])).stdout;
  const first = await client.run([planRequest(newRun(), { size: 10 })]);
  const slow = client.run([planRequest(newRun(), { size: 10, query: '&delay=4000' })]);
  const open = await waitFor('the request to be open at both ends', async () => {
    const { connections } = JSON.parse(await inspect('--port', String(server.port), '--json')) as Inspected;
    return connections.shown.filter(({ conversation }) => conversation?.open === 1).length === 2 ? connections : false;
  });
  assert.equal(open.matching, 2);
  const [serving, asking] = ['server', 'client'].map((role) => open.shown.find((connection) => connection.role === role)!);
  assert.deepEqual([serving!.pid, asking!.pid], [server.pid, client.pid]);
  assert.equal(serving!.received.position, asking!.sent.position, 'all of the request has arrived');
  assert.equal(serving!.sent.position, asking!.received.position);
  for (const { conversation, pid } of [serving!, asking!]) {
    const [exchange] = conversation!.open_exchanges;
    assert.equal(exchange!.pid, pid);
    assert.ok(exchange!.request_position > 0, 'it is the second one');
    assert.ok(exchange!.age_ms < 60_000);
  }
  const { connections: one } = JSON.parse(await inspect('--connection', String(asking!.connection), '--json')) as Inspected;
  assert.deepEqual([one.matching, one.shown[0]?.pid], [1, client.pid]);
  const table = await inspect('--pid', String(server.pid));
  assert.match(table, /1 matching, 1 shown/);
  assert.match(
    table,
    new RegExp(
      `request at ${serving!.conversation!.open_exchanges[0]!.request_position}, .* old, process ${server.pid}: waits for its answer`,
    ),
  );
  assert.doesNotMatch(table, /echo\?|delay/, 'nothing of the request itself');
  const profile = await fetchJson(`${extensionUrl(receiver, 'pprof')}/debug/pprof/profile?seconds=0.1`);
  assert.ok(Array.isArray((profile.body as { nodes: unknown }).nodes));
  const second = await slow;
  const done = JSON.parse(await inspect('--port', String(server.port), '--json')) as Inspected;
  assert.ok(done.connections.shown.every(({ conversation }) => conversation?.open === 0));
  const stopped = await receiver.stop();
  // The command itself is a process of this host that asks a server.
  const asked = new Set([...first, ...second].flatMap(({ client: asker, server: asks }) => [asker?.pid, asks?.pid]));
  const spans = stopped.spans.filter((span) => asked.has(Number(span.resource['process.pid'])));
  assert.equal(spans.length, 4);
});

test(
  'a default port that is taken costs the metrics and nothing else; one that was asked for stops the start',
  { skip },
  async (t) => {
    const taken = createServer().listen(8888, 'localhost');
    // Somebody else may have it: that is as good.
    taken.on('error', () => undefined);
    t.after(() => taken.close());
    const receiver = await startReceiver(t);
    assert.match(
      receiver.stderr(),
      /warn\tThe default port for metrics about usm-receiver is taken; there are none\..*EADDRINUSE/,
    );
    const stopped = await receiver.stop();
    assert.equal(stopped.exitCode, 0);
    const refused = await runReceiver(t, { args: readers(prometheus(8888)) });
    assert.equal(refused.exitCode, 1);
    assert.match(
      refused.stderr,
      /^Error: cannot serve the metrics about usm-receiver on 127\.0\.0\.1:8888: listen EADDRINUSE.*; free the port, or configure another endpoint$/m,
    );
  },
);
