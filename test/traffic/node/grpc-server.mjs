// gRPC server of the traffic generator (see ../README.md): grpc-server.mjs HOST:PORT
// Its methods are those that lines on its input name: {"methods":["package.Service/Method", …]}
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Metadata, Server, ServerCredentials } from '@grpc/grpc-js';

const { TLS_CERTIFICATE, TLS_KEY } = process.env;
const credentials =
  TLS_CERTIFICATE === undefined
    ? ServerCredentials.createInsecure()
    : ServerCredentials.createSsl(null, [{ cert_chain: readFileSync(TLS_CERTIFICATE), private_key: readFileSync(TLS_KEY) }]);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Does with any call what its metadata asks for. */
function answer(call) {
  const plan = new URLSearchParams(String(call.metadata.get('plan')[0] ?? ''));
  const number = (name) => Number(plan.get(name) ?? 0);
  const message = Buffer.alloc(number('size'));
  call.on('error', () => {});
  call.on('data', () => {
    if (number('each') > 0) call.write(message);
  });
  const finish = () => {
    if (call.cancelled) return;
    for (let i = 0; i < number('messages'); i++) call.write(message);
    if (number('hold') > 0) return;
    const trailers = new Metadata();
    trailers.set('server-took', '1');
    if (number('code') === 0) call.end(trailers);
    else call.emit('error', { code: number('code'), details: 'as asked for', metadata: trailers });
  };
  call.on('end', () => (number('delay') > 0 ? setTimeout(finish, number('delay')) : finish()));
}

const asIs = (bytes) => bytes;
const server = new Server();
server.bindAsync(process.argv[2], credentials, (error, port) => {
  if (error !== null) throw error;
  say({ kind: 'listening', pid: process.pid, port });
});
for await (const line of createInterface({ input: process.stdin })) {
  for (const method of JSON.parse(line).methods) server.register(`/${method}`, answer, asIs, asIs, 'bidi');
  say({ kind: 'registered' });
}
process.exit(0);
