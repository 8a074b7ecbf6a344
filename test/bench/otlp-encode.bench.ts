// Cost of encoding: spans of a busy HTTP server, 14 attributes each, as one OTLP request. Prints one line per run.
// Run: node test/bench/otlp-encode.bench.ts
import type { RequestEncoder } from '../../receiver/export/exporter.ts';
import { TraceRequestEncoder } from '../../receiver/export/otlp-protobuf.ts';
import { TraceJsonEncoder } from '../../receiver/export/otlp-json.ts';
import type { Span } from '../../receiver/model/span.ts';
import { busyClock, busyScope, makeSpans } from './support/busy-spans.ts';

const SPANS_PER_REQUEST = 4096;
const REQUESTS = 100;
const RUNS = 5;

const spans = makeSpans(SPANS_PER_REQUEST);
const encoder = new TraceRequestEncoder(busyScope, busyClock);
const jsonEncoder = new TraceJsonEncoder(busyScope, busyClock);

function measure(label: string, encode: () => number): void {
  for (let run = 0; run < RUNS; run++) {
    const cpu = process.cpuUsage();
    let bytes = 0;
    for (let request = 0; request < REQUESTS; request++) bytes += encode();
    const used = process.cpuUsage(cpu);
    const count = SPANS_PER_REQUEST * REQUESTS;
    const microseconds = ((used.user + used.system) / count).toFixed(3);
    console.log(`${label}: ${microseconds} us CPU per span, ${(bytes / count).toFixed(0)} bytes per span (run ${run + 1})`);
  }
}

function encode(to: RequestEncoder<Span>): number {
  for (const span of spans) to.add(span);
  return to.finish().length;
}

measure('protobuf', () => encode(encoder));
measure('json', () => encode(jsonEncoder));
