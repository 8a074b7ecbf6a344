// Calls of Connect and gRPC-Web on the real kernel: exchanges of HTTP, which say what was called and never what is only in a body.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildConnectPeer } from '../traffic/build.ts';
import { startProgram } from '../traffic/program.ts';
import { newRun } from '../traffic/traffic.ts';
import type { Exchange } from '../traffic/truth.ts';
import { assertTruth, kernelTestSkip, startReceiver } from './harness.ts';

const protocols = ['connect', 'connect-json', 'grpc-web'] as const;
const NOT_FOUND = 5;

for (const isHttp2 of [false, true]) {
  const version = isHttp2 ? '2' : '1.1';
  test(`unary calls and streams say their method, over HTTP/${version}`, { skip: kernelTestSkip() }, async (t) => {
    const env = isHttp2 ? { HTTP2: '1' } : {};
    const server = startProgram(t, buildConnectPeer(), ['server', '127.0.0.1:0'], { env });
    const { port } = await server.next('listening');
    const receiver = await startReceiver(t);
    const client = startProgram(t, buildConnectPeer(), ['client', `127.0.0.1:${String(port)}`], { env });
    await client.next('ready');
    const run = newRun();
    const calls = protocols.flatMap((protocol) =>
      [false, true].flatMap((isStream) =>
        [0, NOT_FOUND].map((code) => ({ id: `${run}-${protocol}-${String(isStream)}-${code}`, protocol, isStream, code })),
      ),
    );
    client.send(JSON.stringify({ calls }));
    const truth: Exchange[] = [];
    for (const { id, protocol, isStream, code } of calls) {
      const line = await client.next('call');
      // Only Connect tells a failed call by its HTTP status, and only where that is all that it sends.
      const status = protocol === 'grpc-web' || isStream || code === 0 ? 200 : 404;
      assert.deepEqual({ ...line }, { kind: 'call', id, code, status });
      const method = `usm.test.${isStream ? 'Stream' : 'Unary'}/${id}`;
      truth.push({
        id,
        method: 'POST',
        target: `/${method}`,
        status,
        requestBodySize: undefined,
        responseBodySize: undefined,
        transport: 'tcp',
        version,
        procedure: { system: protocol === 'grpc-web' ? 'grpc' : 'connectrpc', method },
        server: { pid: server.pid, service: 'connect-peer' },
        client: { pid: client.pid, service: 'connect-peer' },
      });
    }
    const stopped = await receiver.stop();
    assertTruth(stopped, truth);
    for (const { attributes } of stopped.spans) assert.equal(attributes['rpc.status_code'], undefined);
  });
}
