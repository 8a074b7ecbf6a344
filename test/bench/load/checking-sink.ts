// An OTLP/gRPC backend that holds every span against the request that it tells of (../support/span-check.ts). Without compression.
//   checking-sink.ts REQUESTS [PORT]
// Numbers of requests are below REQUESTS. Prints its port; SIGTERM prints what was found as JSON.
import { SpanCheck } from '../support/span-check.ts';
import { serveOtlp } from './otlp-backend.ts';

/** Of a gRPC message: whether it is compressed, its size. */
const FRAME_HEADER = 5;
const check = new SpanCheck(Number(process.argv[2]));

serveOtlp(Number(process.argv[3] ?? 0), () => {
  const chunks: Buffer[] = [];
  return {
    data(chunk) {
      chunks.push(chunk);
    },
    end() {
      const message = Buffer.concat(chunks);
      if (message[0] !== 0 || message.readUInt32BE(1) !== message.length - FRAME_HEADER)
        throw new Error('one message in one frame was expected');
      check.take(message.subarray(FRAME_HEADER));
    },
  };
});
process.on('SIGTERM', () => {
  console.log(JSON.stringify(check.result()));
  process.exit(0);
});
