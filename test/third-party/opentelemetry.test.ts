// OpenTelemetry's own SDKs, by their instrumentations: the spans that they make and those of the receiver are one tree in Jaeger, in which each is where it
// belongs. A client with an SDK calls an nginx that passes the traceparent on to an application with an SDK, which asks a server that knows nothing of it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { assertBooks, kernelTestSkip, startReceiver } from '../e2e/harness.ts';
import { waitFor } from '../e2e/wait.ts';
import { startJaeger, type JaegerSpan, type JaegerTrace } from '../peers/peers.ts';
import { startNginx } from '../traffic/nginx.ts';
import { startProgram, type Program } from '../traffic/program.ts';
import { prepare } from './prepare.ts';

const python = prepare('python');
const node = prepare('node');
const skip = python.reason ?? node.reason ?? kernelTestSkip();

type Kind = 'js' | 'python';

function start(t: TestContext, kind: Kind, service: string, endpoint: string, role: 'serve' | 'call', port: number): Program {
  const env = { OTEL_SERVICE_NAME: service, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint };
  const args = (file: string): string[] => [path.join(import.meta.dirname, file), role, String(port)];
  return kind === 'js'
    ? startProgram(t, process.execPath, args('node/opentelemetry.cjs'), {
        env: { ...env, NODE_PATH: path.join(node.folder, 'node_modules') },
      })
    : startProgram(t, 'python3', args('python/otel.py'), { env: { ...env, PYTHONPATH: python.folder } });
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
const trees: Readonly<Record<'suppress' | 'internal' | 'keep', readonly string[]>> = {
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
};

for (const [caller, app, sdk_duplicates] of [
  ['js', 'python', 'suppress'],
  ['python', 'js', 'internal'],
  ['python', 'js', 'keep'],
] as const) {
  test(`a ${caller} client and a ${app} application with SDKs, sdk_duplicates: ${sdk_duplicates}`, { skip }, async (t) => {
    const jaeger = await startJaeger(t);
    const receiver = await startReceiver(t, {
      usm: { correlation: { sdk_duplicates } },
      exporters: { otlp: { endpoint: `127.0.0.1:${jaeger.grpcPort}`, tls: { insecure: true } } },
    });
    const endpoint = `http://127.0.0.1:${jaeger.httpPort}/v1/traces`;
    const plain = startProgram(t, process.execPath, [path.join(import.meta.dirname, '../traffic/node/echo-server.mjs')]);
    const backend = Number((await plain.next('listening'))['port']);
    const served = await start(t, app, 'app', endpoint, 'serve', backend).next('ready');
    const nginx = await startNginx(t, { upstream: `127.0.0.1:${String(served['port'])}` });
    const client = start(t, caller, 'caller', endpoint, 'call', nginx.port);
    await client.next('ready');
    const count = 60;
    client.send(`run 1 ${count} 4`);
    assert.equal((await client.next('done'))['failed'], 0);
    const expected = trees[sdk_duplicates];
    const traces = await waitFor(
      'all spans at Jaeger',
      async () => {
        const found = await jaeger.traces('caller');
        return found.length >= count && found.every(({ spans }) => spans.length >= expected.length) && found;
      },
      20_000,
    ).catch(() => jaeger.traces('caller'));
    for (const trace of traces) assert.deepEqual(treeOf(trace), expected);
    assert.equal(traces.length, count);
    assertBooks(await receiver.stop());
  });
}
