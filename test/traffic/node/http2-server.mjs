// HTTP/2 server of the traffic generator (see ../README.md): http2-server.mjs [port | socket path] [host]
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { filler } from './http2-decoy.mjs';

const { TLS_CERTIFICATE, TLS_KEY, PADDING } = process.env;
const isSecure = TLS_CERTIFICATE !== undefined;
const options = {
  ...(isSecure ? { cert: readFileSync(TLS_CERTIFICATE), key: readFileSync(TLS_KEY), allowHTTP1: true } : {}),
  ...(PADDING === undefined ? {} : { paddingStrategy: http2.constants.PADDING_STRATEGY_MAX }),
  settings: { maxConcurrentStreams: 1000, enableConnectProtocol: true },
};
const server = isSecure ? http2.createSecureServer(options) : http2.createServer(options);

function answer(stream, method, query) {
  const number = (name) => Number(query.get(name) ?? 0);
  if (stream.destroyed) return;
  const reset = number('reset');
  const isWithin = query.get('when') === 'within';
  if (reset > 0 && !isWithin) return void stream.close(reset);
  if (query.get('hints')) stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload; as=style' });
  if (query.get('push') && stream.pushAllowed) {
    stream.pushStream({ ':path': '/pushed' }, (error, pushed) => {
      if (error) return;
      pushed.on('error', () => {}).respond({ ':status': 200 });
      pushed.end(filler(500));
    });
  }
  const status = number('status') || 200;
  const body = filler(number('size'));
  const headers = { ':status': status, 'server-pid': process.pid };
  if (method === 'HEAD' || status === 204 || status === 304) return void stream.respond(headers, { endStream: true });
  const hasTrailers = query.get('trailers') !== null;
  if (hasTrailers) stream.on('wantTrailers', () => stream.sendTrailers({ 'server-took': '1', checksum: 'a'.repeat(40) }));
  stream.respond(headers, { waitForTrailers: hasTrailers });
  if (isWithin || query.get('hold')) {
    // Half of the body is on its way before the stream is reset, by this end or by the other.
    stream.write(body.subarray(0, body.length >> 1));
    // close() would end the body first; destroy() resets with INTERNAL_ERROR, in front of what is not yet sent.
    if (reset > 0) setTimeout(() => stream.destroy(new Error('as asked for')), 30);
    return;
  }
  const chunks = number('chunks');
  if (chunks === 0) return void stream.end(body);
  const step = Math.ceil(body.length / chunks);
  for (let i = 0; i < chunks; i++) stream.write(body.subarray(i * step, (i + 1) * step));
  stream.end();
}

server.on('stream', (stream, headers) => {
  // Of streams that are reset.
  stream.on('error', () => {});
  if (headers[':protocol'] !== undefined) {
    stream.respond({ ':status': 200, 'server-pid': process.pid });
    stream.pipe(stream);
    return;
  }
  const query = new URL(headers[':path'], 'http://any').searchParams;
  const later = () => {
    const delay = Number(query.get('delay') ?? 0);
    if (delay > 0) setTimeout(answer, delay, stream, headers[':method'], query);
    else answer(stream, headers[':method'], query);
  };
  stream.resume();
  if (query.get('early')) later();
  else stream.on('end', later);
});
server.on('session', (session) => session.on('error', () => {}));
server.on('sessionError', () => {});

const [where = '0', host = '127.0.0.1'] = process.argv.slice(2);
const isPort = /^\d+$/.test(where);
server.listen(isPort ? { port: Number(where), host } : { path: where }, () => {
  const address = isPort ? { port: server.address().port } : { path: where };
  console.log(JSON.stringify({ kind: 'listening', pid: process.pid, ...address }));
});
process.stdin.resume().on('end', () => process.exit(0));
