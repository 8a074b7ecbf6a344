// Cost of encoding: spans of a busy HTTP server, 14 attributes each, as one OTLP request. Prints one line per run.
// Run: node test/bench/otlp-encode.bench.ts
import type { RequestEncoder } from '../../receiver/export/exporter.ts';
import { TraceRequestEncoder } from '../../receiver/export/otlp-protobuf.ts';
import { TraceJsonEncoder } from '../../receiver/export/otlp-json.ts';
import { SpanKind } from '../../receiver/model/span.ts';
import type { AttributeValue, Span } from '../../receiver/model/span.ts';
import type { Resource } from '../../receiver/model/resource.ts';

const SPANS_PER_REQUEST = 4096;
const REQUESTS = 100;
const RUNS = 5;
const scope = { name: 'usm-receiver', version: '0.1.0', schemaUrl: 'https://opentelemetry.io/schemas/1.40.0' };
const clock = { now: () => 0, toUnixNs: (time: number) => 1_795_000_000_123_456_789n + BigInt(Math.round(time)) };

function makeResource(index: number): Resource {
  const attributes = new Map<string, AttributeValue>([
    ['service.name', `service-${index}`],
    ['service.instance.id', `5d7c3f1a-0000-4000-8000-${index.toString().padStart(12, '0')}`],
    ['process.pid', 1000 + index],
    ['process.executable.name', 'node'],
    ['host.name', 'bench'],
  ]);
  return { attributes, serviceName: `service-${index}` };
}

/** Strings are decoded from bytes, as a parser makes them: no shared constants, no cached hashes. */
function makeSpan(index: number, resource: Resource): Span {
  const wire = `/api/v1/orders/${index}/items?page=${index % 7}|10.1.${index % 250}.${index % 199}|shop.example.com|GET`;
  const [path = '', query = '', peer = '', host = '', method = ''] = wire
    .split(/[?|]/)
    .map((part) => Buffer.from(part).toString('latin1'));
  const hex = index.toString(16).padStart(8, '0');
  return {
    resource,
    traceId: `4bf92f3577b34da6a3ce929d${hex}`,
    spanId: `00f067aa${hex}`,
    parentSpanId: index % 2 === 0 ? `53995c3f${hex}` : '',
    parentIsRemote: true,
    traceFlags: 1,
    traceState: '',
    kind: SpanKind.server,
    name: 'GET',
    start: 1e12 + index * 1000,
    end: 1e12 + index * 1000 + 523_417,
    attributes: [
      'http.request.method',
      method,
      'url.scheme',
      'http',
      'url.path',
      path,
      'url.query',
      query,
      'http.response.status_code',
      200,
      'network.protocol.version',
      '1.1',
      'server.address',
      host,
      'server.port',
      8080,
      'client.address',
      peer,
      'network.peer.address',
      peer,
      'network.peer.port',
      40000 + (index % 20000),
      'user_agent.original',
      Buffer.from(`Mozilla/5.0 (X11; Linux x86_64; rv:${index % 10}) Gecko/20100101`).toString('latin1'),
      'http.response.body.size',
      index % 5000,
      'usm.exchange.id',
      `${hex}-${hex}-1a2b`,
    ],
    isError: false,
  };
}

const resources = Array.from({ length: 8 }, (_, index) => makeResource(index));
const spans = Array.from({ length: SPANS_PER_REQUEST }, (_, index) => makeSpan(index, resources[(index >> 2) % 8] as Resource));
const encoder = new TraceRequestEncoder(scope, clock);
const jsonEncoder = new TraceJsonEncoder(scope, clock);

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
