// A server of one thread that serves many requests at a time, and asks another server for each answer: relay-server.mjs UPSTREAM_HOST UPSTREAM_PORT
import http from 'node:http';

const [host, port] = process.argv.slice(2);
const server = http.createServer((request, response) => {
  http.get({ host, port, path: request.url, agent: false }, (answer) => {
    response.setHeader('content-length', answer.headers['content-length']);
    answer.pipe(response);
  });
});
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ kind: 'listening', pid: process.pid, port: server.address().port }));
});
process.stdin.on('end', () => process.exit()).resume();
