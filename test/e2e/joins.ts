// Whether the spans of both ends of an exchange are joined as they must be: by the ids that the generator put into every request.
import { targetOf, type SpanRecord } from './spans.ts';

export interface Joins {
  /** Exchanges whose SERVER span is below the CLIENT span of the same exchange, in its trace, under the same exchange id. */
  readonly joined: number;
  /** Exchanges with both spans of which the SERVER span is a root. */
  readonly apart: number;
  /** What must not be, for a person to read. */
  readonly wrong: readonly string[];
}

/** In the query, or the last part of the method of a call. */
const idIn = /[?&]id=([^&]+)|^\/usm\.test\.Echo\/(.+)$/;

function idOf(span: SpanRecord): string | undefined {
  const match = idIn.exec(targetOf(span));
  return match?.[1] ?? match?.[2];
}

function exchangeIdOf(span: SpanRecord): string {
  return String(span.attributes['usm.exchange.id'] ?? '');
}

/** Of exchanges over one hop: one CLIENT and one SERVER span each. */
export function joinsOf(spans: readonly SpanRecord[]): Joins {
  const clients = new Map<string, SpanRecord>();
  const bySpanId = new Map(spans.map((span) => [span.spanId, span]));
  for (const span of spans) {
    const id = idOf(span);
    if (span.kind === 'CLIENT' && id !== undefined) clients.set(id, span);
  }
  let joined = 0;
  let apart = 0;
  const wrong: string[] = [];
  for (const server of spans) {
    const id = idOf(server);
    if (server.kind !== 'SERVER' || id === undefined) continue;
    const client = clients.get(id);
    const parent = bySpanId.get(server.parentSpanId);
    if (server.parentSpanId === '') {
      if (client !== undefined) apart++;
    } else if (client === undefined || parent !== client) {
      wrong.push(`${id}: the parent of the SERVER span is ${parent === undefined ? 'not there' : targetOf(parent)}`);
      continue;
    } else if (server.traceId !== client.traceId) {
      wrong.push(`${id}: the SERVER span is in trace ${server.traceId}, its parent in ${client.traceId}`);
    } else {
      joined++;
    }
    if (client !== undefined && exchangeIdOf(server) !== exchangeIdOf(client))
      wrong.push(`${id}: the exchange is ${exchangeIdOf(server)} at the server and ${exchangeIdOf(client)} at the client`);
  }
  return { joined, apart, wrong };
}
