// Spans as a busy HTTP server makes them, 14 attributes each, of eight services.
import type { Resource } from '../../../receiver/model/resource.ts';
import type { AttributeValue, Span } from '../../../receiver/model/span.ts';
import { SpanKind } from '../../../receiver/model/span.ts';

export const busyScope = { name: 'usm-receiver', version: '0.1.0', schemaUrl: 'https://opentelemetry.io/schemas/1.40.0' };
export const busyClock = { now: () => 0, toUnixNs: (time: number) => 1_795_000_000_123_456_789n + BigInt(Math.round(time)) };

export function makeSpans(count: number): readonly Span[] {
  const resources = Array.from({ length: 8 }, (_, index) => makeResource(index));
  return Array.from({ length: count }, (_, index) => makeSpan(index, resources[(index >> 2) % 8] as Resource));
}

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
    link: undefined,
    isError: false,
  };
}
