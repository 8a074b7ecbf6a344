// OpenTelemetry's own SDKs, by their instrumentations: the spans that they make and those of the receiver are one tree in Jaeger, in which each is where it
// belongs. A client with an SDK calls an nginx that passes the traceparent on to an application with an SDK, which asks a server that knows nothing of it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { assertBooks, kernelTestSkip, startReceiver, type Receiver } from '../e2e/harness.ts';
import { targetOf } from '../e2e/spans.ts';
import { waitFor } from '../e2e/wait.ts';
import { startJaeger, type JaegerSpan, type JaegerTrace } from '../peers/peers.ts';
import { startNginx } from '../traffic/nginx.ts';
import { startProgram, type Program } from '../traffic/program.ts';
import { bindingFolder, nodeFolder, prepare } from './prepare.ts';

const python = prepare('python');
const node = prepare('node');
const skip = python.reason ?? node.reason ?? kernelTestSkip();

type Kind = 'js' | 'js with examples/node-binding' | 'python';

function start(t: TestContext, kind: Kind, service: string, endpoint: string, role: 'serve' | 'call', port: number): Program {
  const env = { OTEL_SERVICE_NAME: service, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint };
  const args = [role, String(port)];
  if (kind !== 'python') {
    const isPublished = kind !== 'js';
    const folder = (isPublished ? bindingFolder : nodeFolder)(t, node, ['node/opentelemetry.cjs']);
    if (isPublished) args.push(path.join(folder, 'thread_context.node'));
    return startProgram(t, process.execPath, [path.join(folder, 'opentelemetry.cjs'), ...args], { env });
  }
  const file = path.join(import.meta.dirname, 'python/otel.py');
  return startProgram(t, 'python3', [file, ...args], { env: { ...env, PYTHONPATH: python.folder } });
}

/** Who made the span (`usm` or `sdk`), of which service, of which kind. */
function describe(trace: JaegerTrace, span: JaegerSpan): string {
  const process = trace.processes[span.processID];
  const tag = (key: string): unknown => span.tags.find((one) => one.key === key)?.value;
  const sdk = process?.tags.find(({ key }) => key === 'telemetry.sdk.name')?.value;
  return `${sdk === 'usm' ? 'usm' : 'sdk'} ${String(process?.serviceName)} ${String(tag('span.kind'))}`;
}

/** `child < parent` of each span, sorted. */
function treeOf(trace: JaegerTrace): readonly string[] {
  const byId = new Map(trace.spans.map((span) => [span.spanID, span]));
  const lines = trace.spans.map((span) => {
    const [reference] = span.references;
    if (reference === undefined) return `${describe(trace, span)} < nothing`;
    const parent = byId.get(reference.spanID);
    return `${describe(trace, span)} < ${parent === undefined ? 'what is not there' : describe(trace, parent)}`;
  });
  return lines.sort();
}

/** What is always there, then what the receiver adds for a transaction of which an SDK has made a span. */
const trees: Readonly<Record<'suppress' | 'internal' | 'keep' | 'published', readonly string[]>> = {
  suppress: [
    'sdk app client < sdk app server',
    'sdk app server < sdk caller client',
    'sdk caller client < nothing',
    'usm app server < usm nginx client',
    'usm echo-server server < sdk app client',
    'usm nginx client < usm nginx server',
    'usm nginx server < sdk caller client',
  ],
  internal: [
    'sdk app client < sdk app server',
    'sdk app server < sdk caller client',
    'sdk caller client < nothing',
    'usm app internal < sdk app client',
    'usm app server < usm nginx client',
    'usm caller internal < sdk caller client',
    'usm echo-server server < usm app internal',
    'usm nginx client < usm nginx server',
    'usm nginx server < usm caller internal',
  ],
  keep: [
    'sdk app client < sdk app server',
    'sdk app server < sdk caller client',
    'sdk caller client < nothing',
    'usm app client < sdk app client',
    'usm app server < usm nginx client',
    'usm caller client < sdk caller client',
    'usm echo-server server < usm app client',
    'usm nginx client < usm nginx server',
    'usm nginx server < usm caller client',
  ],
  // As the first, but the application publishes the spans of its SDK, so that no second one is made.
  published: [
    'sdk app client < sdk app server',
    'sdk app server < sdk caller client',
    'sdk caller client < nothing',
    'usm echo-server server < sdk app client',
    'usm nginx client < usm nginx server',
    'usm nginx server < sdk caller client',
  ],
};

/**
 * The first transaction of a server's connection waits 20 ms for the client's end of it. On a machine that is so busy that this is too little, its parent is
 * what the header says, which is right as well.
 */
const headers: Readonly<Record<string, string>> = {
  nginx: 'sdk caller client',
  app: 'sdk caller client',
  'echo-server': 'sdk app client',
};

function isLate(tree: readonly string[], expected: readonly string[]): boolean {
  const late = expected.map((line) => {
    const service = /^usm (\S+) server < usm /.exec(line)?.[1] ?? '';
    const byHeader = `usm ${service} server < ${String(headers[service])}`;
    return tree.includes(line) ? line : byHeader;
  });
  return isDeepStrictEqual(late.sort(), tree);
}

/** Numbers of requests whose traces are looked at begin here. */
const FIRST = 1000;

/** The number of the request, from an address in any of its spans. */
function numberOf(trace: JaegerTrace): number {
  for (const { tags } of trace.spans) {
    for (const { value } of tags) {
      const number = /[?&]id=(\d+)/.exec(String(value))?.[1];
      if (number !== undefined) return Number(number);
    }
  }
  return 0;
}

/** Requests until nothing is seen any more of the application's own: it has been found to publish, so its SDK's spans are known. */
async function untilKnown(receiver: Receiver, client: Program): Promise<void> {
  let number = 0;
  let inARow = 0;
  await waitFor('the application to be known', async () => {
    client.send(`run ${++number} 1 1`);
    await client.next('done');
    const services = await waitFor('the spans of a request', () => {
      const spans = receiver.spans().filter((span) => targetOf(span).startsWith(`/echo?id=${number}&`));
      const names = spans.map((span) => span.resource['service.name']);
      return names.includes('nginx') && names.includes('echo-server') && names;
    });
    inARow = services.includes('app') ? 0 : inARow + 1;
    return inARow === 5;
  });
}

interface Case {
  readonly caller: Kind;
  readonly app: Kind;
  readonly sdkDuplicates: 'suppress' | 'internal' | 'keep';
  readonly tree: readonly string[];
}

const cases: readonly Case[] = [
  { caller: 'js', app: 'python', sdkDuplicates: 'suppress', tree: trees.suppress },
  { caller: 'python', app: 'js', sdkDuplicates: 'internal', tree: trees.internal },
  { caller: 'python', app: 'js', sdkDuplicates: 'keep', tree: trees.keep },
  { caller: 'python', app: 'js with examples/node-binding', sdkDuplicates: 'suppress', tree: trees.published },
];

for (const { caller, app, sdkDuplicates, tree } of cases) {
  test(`a ${caller} client and a ${app} application with SDKs, sdk_duplicates: ${sdkDuplicates}`, { skip }, async (t) => {
    const isPublished = tree === trees.published;
    const jaeger = await startJaeger(t);
    const receiver = await startReceiver(t, {
      usm: { correlation: { sdk_duplicates: sdkDuplicates }, thread_context: { enabled: isPublished } },
      exporters: { otlp: { endpoint: `127.0.0.1:${jaeger.grpcPort}`, tls: { insecure: true } } },
    });
    const endpoint = `http://127.0.0.1:${jaeger.httpPort}/v1/traces`;
    const plain = startProgram(t, process.execPath, [path.join(import.meta.dirname, '../traffic/node/echo-server.mjs')]);
    const backend = Number((await plain.next('listening'))['port']);
    const served = await start(t, app, 'app', endpoint, 'serve', backend).next('ready');
    const nginx = await startNginx(t, { upstream: `127.0.0.1:${String(served['port'])}` });
    const client = start(t, caller, 'caller', endpoint, 'call', nginx.port);
    await client.next('ready');
    if (isPublished) await untilKnown(receiver, client);
    const count = 60;
    client.send(`run ${FIRST} ${count} 4`);
    assert.equal((await client.next('done'))['failed'], 0);
    const ask = async (): Promise<readonly JaegerTrace[]> =>
      (await jaeger.traces('caller')).filter((trace) => numberOf(trace) >= FIRST);
    const isThere = (found: readonly JaegerTrace[]): boolean =>
      found.length >= count && found.every(({ spans }) => spans.length >= tree.length);
    const traces = await waitFor(
      'all spans at Jaeger',
      async () => {
        const found = await ask();
        return isThere(found) && found;
      },
      20_000,
    ).catch(ask);
    const late = traces.filter((trace) => !isDeepStrictEqual(treeOf(trace), tree) && isLate(treeOf(trace), tree));
    for (const trace of traces) if (!late.includes(trace)) assert.deepEqual(treeOf(trace), tree);
    assert.ok(late.length <= count / 10, `${late.length} of ${count} by the header alone`);
    assert.equal(new Set(traces.map(numberOf)).size, count);
    assert.equal(traces.length, count);
    assertBooks(await receiver.stop());
  });
}
