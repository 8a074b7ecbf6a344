// gRPC client of the traffic generator (see ../README.md): grpc-client.mjs HOST:PORT
import { createInterface } from 'node:readline';
import { Client, credentials, Metadata } from '@grpc/grpc-js';

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const asIs = (bytes) => bytes;
const isSecure = process.env.TLS !== undefined;
const secrets = isSecure
  ? credentials.createSsl(null, null, null, { rejectUnauthorized: false, checkServerIdentity: () => undefined })
  : credentials.createInsecure();

/** Each with a connection of its own, which stays open between plans. */
const clients = [];

function ask(client, planned) {
  return new Promise((resolve) => {
    const metadata = new Metadata();
    metadata.set('plan', planned.plan);
    const message = Buffer.alloc(planned.requestSize);
    const options = planned.deadline > 0 ? { deadline: Date.now() + planned.deadline } : {};
    let responses = 0;
    let size = 0;
    const take = (response) => {
      responses += 1;
      size += response.length;
    };
    const path = `/${planned.method}`;
    let call;
    const done = ({ code }) => {
      say({ kind: 'call', id: planned.id, code, responses, size });
      resolve();
    };
    const answered = (_error, response) => response && take(response);
    if (planned.shape === 'unary') call = client.makeUnaryRequest(path, asIs, asIs, message, metadata, options, answered);
    else if (planned.shape === 'client') call = client.makeClientStreamRequest(path, asIs, asIs, metadata, options, answered);
    else if (planned.shape === 'server') call = client.makeServerStreamRequest(path, asIs, asIs, message, metadata, options);
    else call = client.makeBidiStreamRequest(path, asIs, asIs, metadata, options);
    call.on('status', done);
    call.on('error', () => {});
    if (planned.shape === 'server' || planned.shape === 'bidi') {
      let left = planned.requests - 1;
      call.on('data', (response) => {
        take(response);
        if (planned.cancel) call.cancel();
        // A request for each answer.
        else if (planned.shape === 'bidi') {
          if (left-- > 0) call.write(message);
          else call.end();
        }
      });
    }
    if (planned.shape === 'client') {
      for (let i = 0; i < planned.requests; i++) call.write(message);
      call.end();
    } else if (planned.shape === 'bidi') {
      call.write(message);
    }
  });
}

async function run({ calls, connections, streams }) {
  while (clients.length < connections) {
    const ownConnection = { 'grpc.use_local_subchannel_pool': 1 };
    clients.push(new Client(process.argv[2], secrets, ownConnection));
  }
  let next = 0;
  const worker = async (client) => {
    while (next < calls.length) await ask(client, calls[next++]);
  };
  await Promise.all(clients.slice(0, connections).flatMap((client) => Array.from({ length: streams }, () => worker(client))));
  say({ kind: 'done' });
}

say({ kind: 'ready', pid: process.pid });
for await (const line of createInterface({ input: process.stdin })) await run(JSON.parse(line));
process.exit(0);
