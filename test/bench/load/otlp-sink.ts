// An OTLP/gRPC backend that accepts everything and keeps nothing, so that a benchmark measures the receiver and not its backend.
// Prints its port, then counts requests and bytes; SIGTERM prints them as JSON.
import { createServer } from 'node:http2';

let requests = 0;
let bytes = 0;
/** An empty ExportTraceServiceResponse in its gRPC frame. */
const response = Buffer.alloc(5);
const server = createServer({ settings: { initialWindowSize: 1 << 24 } });
server.on('session', (session) => {
  session.setLocalWindowSize(1 << 26);
});
server.on('stream', (stream) => {
  requests++;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  stream.on('error', () => undefined);
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      stream.sendTrailers({ 'grpc-status': '0' });
    });
    stream.end(response);
  });
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const address = server.address();
  console.log(JSON.stringify({ port: typeof address === 'object' ? address?.port : undefined }));
});
process.on('SIGTERM', () => {
  console.log(JSON.stringify({ requests, bytes }));
  process.exit(0);
});
