// HTTP server of the traffic generator (see ../README.md): echo-server.mjs [port | socket path] [host]
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createHash } from 'node:crypto';

const DECOY = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nGET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n';
const filler = (size) => Buffer.alloc(size, DECOY);

const { TLS_CERTIFICATE, TLS_KEY } = process.env;
const tls = TLS_CERTIFICATE === undefined ? {} : { cert: readFileSync(TLS_CERTIFICATE), key: readFileSync(TLS_KEY) };
const { createServer } = TLS_CERTIFICATE === undefined ? http : https;

const server = createServer({ ...tls, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }, (request, response) => {
  const query = new URL(request.url, 'http://any').searchParams;
  response.setHeader('server-pid', process.pid);
  if (query.get('probe')) request.socket.setKeepAlive(true, 1000);
  const number = (name) => Number(query.get(name) ?? 0);
  const answer = () => {
    if (query.get('abort') === 'before') return request.socket.resetAndDestroy();
    if (query.get('hints')) response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
    response.statusCode = number('status') || 200;
    const body = filler(number('size'));
    const bodiless = request.method === 'HEAD' || response.statusCode === 204 || response.statusCode === 304;
    if (query.get('close')) {
      response.removeHeader('transfer-encoding');
      response.useChunkedEncodingByDefault = false;
      response.shouldKeepAlive = false;
    }
    if (query.get('abort') === 'within') {
      // Half of the body is on its way before the reset: written, and confirmed by the kernel.
      response.setHeader('content-length', body.length);
      return response.write(body.subarray(0, body.length >> 1), () => request.socket.resetAndDestroy());
    }
    const chunks = number('chunks');
    if (chunks > 0 && !bodiless) {
      const step = Math.ceil(body.length / chunks);
      for (let i = 0; i < chunks; i++) response.write(body.subarray(i * step, (i + 1) * step));
      return response.end();
    }
    if (!query.get('close')) response.setHeader('content-length', response.statusCode === 204 ? 0 : body.length);
    if (response.statusCode === 204) response.removeHeader('content-length');
    return response.end(bodiless ? undefined : body);
  };
  const later = () => (number('delay') > 0 ? setTimeout(answer, number('delay')) : answer());
  request.resume();
  if (query.get('early')) later();
  else request.on('end', later);
});

server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nserver-pid: ${process.pid}\r\n\r\n`,
  );
  socket.on('error', () => {});
  socket.on('data', (data) => socket.write(data));
  socket.on('end', () => socket.end());
});

server.on('connect', (_request, socket) => {
  socket.write(`HTTP/1.1 200 Connection Established\r\nserver-pid: ${process.pid}\r\n\r\n`);
  socket.on('error', () => {});
  // What comes through the tunnel is echoed: HTTP-looking bytes in both directions, which are not ours to report.
  socket.on('data', (data) => socket.write(data));
  socket.on('end', () => socket.end());
});

const [where = '0', host = '127.0.0.1'] = process.argv.slice(2);
const isPort = /^\d+$/.test(where);
server.listen(isPort ? { port: Number(where), host } : { path: where }, () => {
  const address = isPort ? { port: server.address().port } : { path: where };
  console.log(JSON.stringify({ kind: 'listening', pid: process.pid, ...address }));
});
process.stdin.resume().on('end', () => process.exit(0));
