// A server of one thread that serves many requests at a time, and asks another server for each answer: relay-server.mjs UPSTREAM_HOST UPSTREAM_PORT
// With TLS_CERTIFICATE and TLS_KEY it speaks HTTPS, with TLS the other server does.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const [host, port] = process.argv.slice(2);
const { TLS, TLS_CERTIFICATE, TLS_KEY } = process.env;
const tls = TLS_CERTIFICATE === undefined ? {} : { cert: readFileSync(TLS_CERTIFICATE), key: readFileSync(TLS_KEY) };
const { createServer } = TLS_CERTIFICATE === undefined ? http : https;
const { get } = TLS === undefined ? http : https;
const server = createServer(tls, (request, response) => {
  get({ host, port, path: request.url, agent: false, rejectUnauthorized: false }, (answer) => {
    response.setHeader('content-length', answer.headers['content-length']);
    answer.pipe(response);
  });
});
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ kind: 'listening', pid: process.pid, port: server.address().port }));
});
process.stdin.on('end', () => process.exit()).resume();
