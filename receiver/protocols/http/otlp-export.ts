// Is this transaction telemetry on its way (OTLP/HTTP or OTLP/gRPC, https://opentelemetry.io/docs/specs/otlp/#protocol-details)? Spans about spans
// would feed themselves: a Collector that forwards what it gets from us makes one exchange of each batch.
import type { Transaction } from '../../model/transaction.ts';

const paths: ReadonlySet<string> = new Set(['/v1/traces', '/v1/metrics', '/v1/logs', '/v1development/profiles']);
const contentTypes = ['application/x-protobuf', 'application/json'] as const;
/** `…trace.v1.TraceService/Export`, and the same of the other signals. */
const CALL_PREFIX = '/opentelemetry.proto.collector.';
const CALL_SUFFIX = 'Service/Export';

/** True for a call of an Export method of OTLP, whatever is known of its content, and for `POST` to a default OTLP path with an OTLP content type; a path prefix of the backend's own is allowed for protobuf alone. */
export function isOtlpExport(transaction: Transaction): boolean {
  const { method, target, contentType } = transaction.request;
  if (method !== 'POST') return false;
  if (target.startsWith(CALL_PREFIX) && target.endsWith(CALL_SUFFIX)) return true;
  if (contentType === undefined) return false;
  const type = contentTypes.find((known) => contentType.startsWith(known));
  if (type === undefined) return false;
  const path = pathOf(target);
  if (paths.has(path)) return true;
  if (type !== 'application/x-protobuf') return false;
  for (const known of paths) if (path.endsWith(known)) return true;
  return false;
}

/** Of origin- and absolute-form targets (a proxy's client sends the latter). */
function pathOf(target: string): string {
  const query = target.indexOf('?');
  const end = query < 0 ? target.length : query;
  const authority = target.indexOf('://');
  if (authority < 0 || authority > end) return target.slice(0, end);
  const slash = target.indexOf('/', authority + 3);
  return slash < 0 || slash > end ? '/' : target.slice(slash, end);
}
