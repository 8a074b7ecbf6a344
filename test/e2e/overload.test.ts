// More than the receiver can take: what is lost is counted, what is reported is right, and nothing is kept of what is over.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { newRun, startClient, startServer, type EchoClient } from '../traffic/traffic.ts';
import { closing, planRequests, type Exchange } from '../traffic/truth.ts';
import { assertBooks, assertTruth, kernelTestSkip, startReceiver, type Stopped } from './harness.ts';
import { compareTruth } from './compare.ts';
import { lastPoints } from './metric-points.ts';
import { targetOf } from './spans.ts';
import { throttle } from './throttle.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();

/** As scripts/start.sh starts it: memory is measured here. */
const env = { NODE_OPTIONS: '--max-semi-space-size=2' };

function residentMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

function sum(counts: Readonly<Record<string, number>> | undefined): number {
  return Object.values(counts ?? {}).reduce((total, count) => total + count, 0);
}

/** What never became an exchange (docs/telemetry.md, What is counted); all else is in the histograms of durations. */
const unmeasured = ['bytes_lost', 'malformed_message', 'head_too_large', 'header_unknown', 'too_many_pipelined', 'open_at_exit'];

function assertMetricsAgree({ points, ledger }: Stopped): void {
  const { seen, not_exported = {} } = ledger!.transactions;
  const measured = lastPoints(points).filter(({ metric }) => metric.endsWith('.duration'));
  assert.equal(
    measured.reduce((total, { count }) => total + count, 0),
    seen - unmeasured.reduce((total, reason) => total + (not_exported[reason] ?? 0), 0),
    JSON.stringify(ledger),
  );
}

test('a receiver that is held up sheds and counts, says nothing wrong, and recovers', { skip }, async (t) => {
  const server = await startServer(t, 'go');
  // Two keep their connections, one opens one for each request.
  const clients = await Promise.all(Array.from({ length: 3 }, () => startClient(t, 'go', server)));
  const filter = { include: [{ pids: [server.pid, ...clients.map(({ pid }) => pid)] }] };
  const receiver = await startReceiver(t, {
    env,
    usm: { filter, capture: { ring_buffer_size: '1MiB' }, overload: { enabled: false } },
    signals: ['traces', 'metrics'],
  });
  const truth: Exchange[] = [];
  const ask = async (client: EchoClient, count: number): Promise<Exchange[]> => {
    const requests = planRequests(newRun(), count, 'bodiless');
    const exchanges = await client.run(client === clients[2] ? closing(requests) : requests, { connections: 4 });
    truth.push(...exchanges);
    return exchanges;
  };
  await Promise.all(clients.map((client) => ask(client, 400)));

  let isHeldUp = true;
  const load = clients.map(async (client) => {
    while (isHeldUp) await ask(client, 200);
  });
  receiver.signal('SIGSTOP');
  const until = performance.now() + 2000;
  await waitFor('two seconds under load', () => performance.now() > until);
  receiver.signal('SIGCONT');
  isHeldUp = false;
  await Promise.all(load);

  // Recovered: what is asked now is reported.
  await waitFor('a span of new traffic', async () => {
    const [exchange] = await ask(clients[2]!, 1);
    return waitFor('its span', () => receiver.spans().some((span) => targetOf(span) === exchange!.target), 500).catch(
      () => false,
    );
  });
  const found: Exchange[] = [];
  found.push(...(await ask(clients[2]!, 200)));
  for (const client of clients.slice(0, 2)) {
    await ask(client, 40); // several turns of each old connection, to be found again at
    found.push(...(await ask(client, 200)));
  }
  // Connections whose ends were among what was lost are noticed every 5 seconds.
  const swept = performance.now() + 6000;
  await waitFor('a sweep', () => performance.now() > swept);
  receiver.signal('SIGTERM');
  const stopped = await receiver.stop();
  const wrong = compareTruth(truth, stopped.spans, { mayMiss: true });
  assert.equal(wrong, undefined, wrong);
  assertBooks(stopped);
  assertMetricsAgree(stopped);
  const { connections, events, bytes } = stopped.ledger!;
  assert.equal(connections?.shed?.['overload'], undefined, 'it is switched off');
  assert.ok(sum(events?.dropped) > 0 && sum(connections?.shed) > 0 && sum(bytes?.lost) > 0, JSON.stringify(stopped.ledger));
  const targets = new Set(found.map(({ target }) => target));
  const missing = compareTruth(
    found,
    stopped.spans.filter((span) => targets.has(targetOf(span))),
  );
  assert.equal(missing, undefined, missing);
});

test(
  'more traffic than the receiver can take leaves out whole connections, and all are followed again within 10 s',
  { skip },
  async (t) => {
    const connections = 16;
    const server = await startServer(t, 'go');
    const clients = await Promise.all([startClient(t, 'go', server), startClient(t, 'go', server)]);
    const readers = [{ pull: { exporter: { prometheus: { host: '127.0.0.1', port: 0 } } } }];
    const receiver = await startReceiver(t, {
      env,
      usm: { filter: { include: [{ pids: [server.pid, ...clients.map(({ pid }) => pid)] }] } },
      signals: ['traces', 'metrics'],
      args: ['--config', `yaml:service::telemetry::metrics: ${JSON.stringify({ level: 'basic', readers })}`],
    });
    const metrics = /"endpoint": "(http:\/\/127\.0\.0\.1:\d+\/metrics)"/.exec(receiver.stderr())![1]!;
    const readShare = async (): Promise<number> => {
      const text = await (await fetch(metrics)).text();
      return Number(/^otelcol_receiver_usm_overload_share (\S+)$/m.exec(text)![1]);
    };
    const truth: Exchange[] = [];
    const ask = async (client: EchoClient, count: number): Promise<Exchange[]> => {
      const exchanges = await client.run(planRequests(newRun(), count, 'bodiless'), { connections });
      truth.push(...exchanges);
      return exchanges;
    };
    for (const client of clients) await ask(client, 10 * connections);
    await waitFor('nothing to be left out', async () => (await readShare()) === 0);

    let isLoaded = true;
    const load = clients.map(async (client) => {
      while (isLoaded) await ask(client, 500);
    });
    const slow = throttle(t, receiver.pid, 0.05);
    const loadedUntil = performance.now() + 3000;
    let highest = 0;
    await waitFor('three seconds of overload', async () => {
      highest = Math.max(highest, await readShare());
      return performance.now() > loadedUntil && highest > 0;
    });
    isLoaded = false;
    await Promise.all(load);
    slow.end();
    const endedAt = performance.now();
    await waitFor('a share of 0', async () => (await readShare()) === 0, 10_000);
    t.diagnostic(
      `${truth.length} exchanges; the share was ${highest}, and 0 after ${Math.round(performance.now() - endedAt)} ms`,
    );

    // Turns for each connection to be found again at, and silence.
    for (const client of clients) await ask(client, 20 * connections);
    const found = (await Promise.all(clients.map((client) => ask(client, 20 * connections)))).flat();
    receiver.signal('SIGTERM');
    const stopped = await receiver.stop();
    const wrong = compareTruth(truth, stopped.spans, { mayMiss: true });
    assert.equal(wrong, undefined, wrong);
    assertBooks(stopped);
    assertMetricsAgree(stopped);
    const { connections: counts, bytes } = stopped.ledger!;
    assert.ok((counts?.shed?.['overload'] ?? 0) > 0 && sum(bytes?.lost) > 0, JSON.stringify(stopped.ledger));
    assert.match(stopped.stderr, /\twarn\tThere is more traffic than can be followed\./);
    assert.match(stopped.stderr, /\tinfo\tAll connections are followed again\./);
    const targets = new Set(found.map(({ target }) => target));
    const ours = stopped.spans.filter((span) => targets.has(targetOf(span)));
    const missing = compareTruth(found, ours);
    assert.equal(missing, undefined, missing);
  },
);

test('20,000 short connections leave nothing behind', { skip }, async (t) => {
  const server = await startServer(t, 'go');
  const client = await startClient(t, 'go', server);
  const receiver = await startReceiver(t, { env, usm: { filter: { include: [{ pids: [server.pid, client.pid] }] } } });
  const truth: Exchange[] = [];
  const ask = async (count: number): Promise<number> => {
    truth.push(...(await client.run(closing(planRequests(newRun(), count, 'bodiless')), { connections: 8 })));
    return residentMb(receiver.pid);
  };
  const warm = await ask(8000);
  const later = await ask(12_000);
  assertTruth(await receiver.stop(), truth);
  assert.ok(later - warm < 15, `${warm} MB after 8,000, ${later} MB after 20,000`);
});

test('20,000 short connections of another protocol leave nothing behind', { skip }, async (t) => {
  const filter = { include: [{ pids: [process.pid] }] };
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end('+PONG\r\n'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const receiver = await startReceiver(t, { env, usm: { filter } });
  const ping = async (count: number): Promise<number> => {
    const work = async (): Promise<void> => {
      for (let i = 0; i < count / 8; i++) {
        const socket = net.connect(port, '127.0.0.1').resume();
        socket.write('PING\r\n');
        await once(socket, 'close');
      }
    };
    await Promise.all(Array.from({ length: 8 }, work));
    return residentMb(receiver.pid);
  };
  const warm = await ping(8000);
  const later = await ping(12_000);
  const stopped = await receiver.stop();
  assertBooks(stopped);
  assert.equal(compareTruth([], stopped.spans, { silentPids: [process.pid] }), undefined);
  assert.ok((stopped.ledger?.connections?.not_http ?? 0) >= 40_000, JSON.stringify(stopped.ledger));
  assert.ok(later - warm < 15, `${warm} MB after 8,000, ${later} MB after 20,000`);
});

test('10,000 idle connections cost at most 30 MB', { skip }, async (t) => {
  const count = 10_000;
  const server = await startServer(t, 'node');
  const receiver = await startReceiver(t, { env, usm: { filter: { include: [{ pids: [server.pid] }] } } });
  const open = new Set<net.Socket>();
  t.after(() => {
    for (const socket of open) socket.destroy();
  });
  const ask = async (staysOpen: boolean): Promise<void> => {
    const socket = net.connect(server.port, '127.0.0.1').setEncoding('latin1');
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.write('GET /echo?size=200 HTTP/1.1\r\nHost: idle\r\n\r\n');
    let received = '';
    while (received.split('\r\n\r\n', 1)[0]!.length + 4 + 200 > received.length) {
      const [text] = (await once(socket, 'data')) as [string];
      received += text;
    }
    if (!staysOpen) socket.destroy();
  };
  const askTimes = async (staysOpen: boolean): Promise<number> => {
    const work = async (): Promise<void> => {
      for (let i = 0; i < count / 100; i++) await ask(staysOpen);
    };
    await Promise.all(Array.from({ length: 100 }, work));
    return residentMb(receiver.pid);
  };
  // The same requests over connections that do not stay, so that what requests cost is in both figures.
  const before = await askTimes(false);
  const after = await askTimes(true);
  assert.equal(open.size, count);
  const stopped = await receiver.stop();
  assertBooks(stopped);
  assert.equal(stopped.spans.length, 2 * count);
  assert.ok(after - before <= 30, `${before} MB before, ${after} MB with ${count} idle connections`);
});
