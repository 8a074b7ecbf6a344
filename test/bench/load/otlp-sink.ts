// An OTLP/gRPC backend that accepts everything and keeps nothing, so that a benchmark measures the receiver and not its backend.
// Prints its port, then counts requests and bytes; SIGTERM prints them as JSON.
import { serveOtlp } from './otlp-backend.ts';

let requests = 0;
let bytes = 0;
const taker = {
  data(chunk: Buffer) {
    bytes += chunk.length;
  },
  end() {
    requests++;
  },
};
serveOtlp(Number(process.argv[2] ?? 0), () => taker);
process.on('SIGTERM', () => {
  console.log(JSON.stringify({ requests, bytes }));
  process.exit(0);
});
