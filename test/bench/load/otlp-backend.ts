// OTLP/gRPC requests over HTTP/2 with prior knowledge → whoever takes them; each is acknowledged when it is over. Prints its port as JSON.
import { createServer } from 'node:http2';

export interface RequestTaker {
  data(chunk: Buffer): void;
  /** Of one request; the acknowledgement follows. */
  end(): void;
}

/** An empty ExportTraceServiceResponse in its gRPC frame. */
const response = Buffer.alloc(5);

/** `begin`: for each request. */
export function serveOtlp(port: number, begin: () => RequestTaker): void {
  const server = createServer({ settings: { initialWindowSize: 1 << 24 } });
  server.on('session', (session) => {
    session.setLocalWindowSize(1 << 26);
  });
  server.on('stream', (stream) => {
    const taker = begin();
    stream.on('data', (chunk: Buffer) => {
      taker.data(chunk);
    });
    stream.on('error', () => undefined);
    stream.on('end', () => {
      taker.end();
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => {
        stream.sendTrailers({ 'grpc-status': '0' });
      });
      stream.end(response);
    });
  });
  server.listen(port, '127.0.0.1', () => {
    const address = server.address();
    console.log(JSON.stringify({ port: typeof address === 'object' ? address?.port : undefined }));
  });
}
