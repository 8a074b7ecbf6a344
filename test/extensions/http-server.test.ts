import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { ReceiverError } from '../../receiver/errors.ts';
import { type HttpHandler, json, serveHttp, text } from '../../receiver/extensions/http-server.ts';

async function serve(handler: HttpHandler) {
  const server = await serveHttp('extension "x"', { host: '127.0.0.1', port: 0 }, handler);
  return { ...server, url: `http://${server.address}`, [Symbol.asyncDispose]: () => server.close() };
}

/** Sends bytes as they are and returns everything that comes back until the end. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8');
  let received = '';
  socket.on('data', (chunk: string) => (received += chunk));
  socket.write(bytes);
  await once(socket, 'close');
  return received;
}

test('the handler gets path and query, and its answer is the response', async () => {
  await using server = await serve(({ path, query }) => json(201, { path, a: query.get('a') }));
  const response = await fetch(`${server.url}/x/y?a=%20b`);
  assert.equal(response.status, 201);
  assert.equal(response.headers.get('content-type'), 'application/json');
  assert.equal(response.headers.get('cache-control'), 'no-store');
  assert.deepEqual(await response.json(), { path: '/x/y', a: ' b' });
});

test('HEAD is answered as GET without the body, anything else is refused', async () => {
  await using server = await serve(() => text(200, 'body'));
  const head = await fetch(server.url, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '4', '']);
  const post = await fetch(server.url, { method: 'POST', body: 'x' });
  assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD']);
});

test('a handler that fails is a 500 with its message', async () => {
  await using server = await serve(() => {
    throw new Error('no luck');
  });
  const response = await fetch(server.url);
  assert.deepEqual([response.status, await response.text()], [500, 'no luck\n']);
});

test('what is no HTTP, too large, or no path is refused without a word to the handler', async () => {
  let asked = 0;
  await using server = await serve(() => {
    asked++;
    return text(200, '');
  });
  assert.match(await raw(server.port, 'hello\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.match(await raw(server.port, `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(10_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(await raw(server.port, 'GET http://[ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.equal(asked, 0);
});

test('a port that is taken is an error that names the owner, the address and what to do', async () => {
  await using server = await serve(() => text(200, ''));
  await assert.rejects(
    serveHttp('extension "y"', { host: '127.0.0.1', port: server.port }, () => text(200, '')),
    (error: unknown) =>
      error instanceof ReceiverError &&
      error.code === 'USM_LISTEN' &&
      error.message ===
        `cannot serve extension "y" on 127.0.0.1:${server.port}: listen EADDRINUSE: address already in use 127.0.0.1:${server.port}; free the port, or configure another endpoint`,
  );
});

test('closing ends open connections, tells the handler of a client that has gone, and may be done twice', async () => {
  let signal: AbortSignal | undefined;
  const server = await serve(async (question) => {
    signal = question.signal;
    await once(question.signal, 'abort');
    return text(200, 'late');
  });
  const answer = fetch(server.url);
  while (signal === undefined) await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([server.close(), server.close()]);
  await assert.rejects(answer);
  assert.equal(signal.aborted, true);
});
