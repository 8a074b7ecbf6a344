// What a backend answers, other than yes: a request for patience is honoured, what it will never take is not sent again, what it took only in
// part is counted, by gRPC and by HTTP, up to the ledger.
import { Metadata, Server, ServerCredentials, status, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { partialSuccess, rpcStatus } from '../export/protobuf-build.ts';
import { decodeTraceRequest } from '../export/wire.ts';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { closing, planRequests } from '../traffic/truth.ts';
import { booksOf, kernelTestSkip, startReceiver } from './harness.ts';
import { waitFor } from './wait.ts';

const skip = kernelTestSkip();
const PATIENCE_MS = 1000;
const REJECTED = 2;

type Answer = 'later' | 'busy' | 'partly' | 'never' | 'yes';

/** To one request after the other; then 'yes'. */
const script: readonly Answer[] = ['later', 'partly', 'never', 'busy', 'yes'];

interface Attempt {
  readonly atMs: number;
  /** In hex. */
  readonly body: string;
  readonly spans: number;
}

interface Backend {
  readonly exporter: object;
  readonly attempts: readonly Attempt[];
}

/** Notes each attempt, and says what to answer. */
function createScript(): { readonly attempts: Attempt[]; readonly take: (body: Buffer) => Answer } {
  const attempts: Attempt[] = [];
  const take = (body: Buffer): Answer => {
    const spans = decodeTraceRequest(body).flatMap(({ scopes }) => scopes.flatMap((scope) => scope.spans)).length;
    attempts.push({ atMs: performance.now(), body: body.toString('hex'), spans });
    return script[attempts.length - 1] ?? 'yes';
  };
  return { attempts, take };
}

async function startHttpBackend(t: TestContext): Promise<Backend> {
  const { attempts, take } = createScript();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const answer = take(Buffer.concat(chunks));
      response.setHeader('content-type', 'application/x-protobuf');
      if (answer === 'later') response.writeHead(429, { 'retry-after': String(PATIENCE_MS / 1000) }).end();
      else if (answer === 'busy') response.writeHead(503).end();
      else if (answer === 'never') response.writeHead(400).end(rpcStatus(3, 'never'));
      else response.end(answer === 'partly' ? partialSuccess(REJECTED, 'too old') : '');
    });
  }).listen(0, '127.0.0.1');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return { exporter: { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, attempts };
}

async function startGrpcBackend(t: TestContext): Promise<Backend> {
  const { attempts, take } = createScript();
  const same = (bytes: Buffer): Buffer => bytes;
  const method = {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    ...{ requestStream: false, responseStream: false, requestSerialize: same, requestDeserialize: same },
    ...{ responseSerialize: same, responseDeserialize: same },
  };
  const server = new Server();
  t.after(() => {
    server.forceShutdown();
  });
  server.addService(
    { Export: method },
    {
      Export({ request }: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) {
        const answer = take(request);
        const metadata = new Metadata();
        if (answer === 'later') {
          metadata.set('grpc-status-details-bin', rpcStatus(status.RESOURCE_EXHAUSTED, 'slowly', PATIENCE_MS));
          reply({ code: status.RESOURCE_EXHAUSTED, details: 'slowly', metadata });
        } else if (answer === 'busy') reply({ code: status.UNAVAILABLE, details: 'busy' });
        else if (answer === 'never') reply({ code: status.INVALID_ARGUMENT, details: 'never' });
        else reply(null, answer === 'partly' ? partialSuccess(REJECTED, 'too old') : Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { exporter: { endpoint: `127.0.0.1:${port}`, tls: { insecure: true } }, attempts };
}

for (const [name, startBackend] of [
  ['otlp_http', startHttpBackend],
  ['otlp_grpc', startGrpcBackend],
] as const) {
  test(`${name}: later, in part, never, and not now`, { skip }, async (t) => {
    const { exporter, attempts } = await startBackend(t);
    const server = await startServer(t, 'go');
    const client = await startClient(t, 'go', server);
    const receiver = await startReceiver(t, {
      usm: { filter: { include: [{ pids: [server.pid, client.pid] }] } },
      hasFile: false,
      exporters: {
        [name]: {
          ...exporter,
          compression: 'none',
          sending_queue: { num_consumers: 1, batch: { flush_timeout: '50ms', min_size: 20, max_size: 20 } },
          retry_on_failure: { initial_interval: '10ms', max_interval: '10ms' },
        },
      },
    });
    const exchanges = await client.run(closing(planRequests(newRun(), 60, 'bodiless')), { connections: 4 });
    await waitFor('all to have ended', async () => {
      const { seen, pending } = (await booksOf(receiver)).transactions;
      return seen === 2 * exchanges.length && pending === 0;
    });
    const stopped = await receiver.stop();
    assert.equal(stopped.exitCode, 0, stopped.stderr);

    const [later, partly, never, busy, yes, ...others] = attempts;
    assert.ok(later && partly && never && busy && yes, `${attempts.length} attempts`);
    assert.equal(partly.body, later.body, 'the same again');
    // Timers may be a millisecond early.
    assert.ok(partly.atMs - later.atMs > PATIENCE_MS - 5, `after ${partly.atMs - later.atMs} ms`);
    assert.equal(yes.body, busy.body);
    const bodies = [later, never, busy, ...others].map(({ body }) => body);
    assert.equal(new Set(bodies).size, bodies.length, 'nothing else is sent twice');
    const rejected = REJECTED + never.spans;
    assert.deepEqual(stopped.ledger?.transactions, {
      seen: 2 * exchanges.length,
      exported: 2 * exchanges.length - rejected,
      not_exported: { export_rejected: rejected },
    });
    assert.equal(stopped.ledger.balanced, true);
    assert.match(stopped.stderr, /too old/);
    assert.match(stopped.stderr, /never/);
  });
}
