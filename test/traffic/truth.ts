// What really happened: the facts that a receiver's spans are compared with. Made by the clients and servers themselves.

/** One end of an exchange, as it must appear on its span. */
export interface Party {
  /** In the initial pid namespace. */
  readonly pid: number;
  /** Expected `service.name`; undefined: not compared. */
  readonly service: string | undefined;
  /**
   * Where this end saw the exchange cut short: what `error.type` may be (`connection_reset`, `connection_closed`, `process_exited`), unless
   * a 4xx or 5xx that was seen whole says it already. More than one where the kernel leaves it open.
   */
  readonly abort?: readonly string[];
}

export interface Exchange {
  /** Unique; part of the target (or, for CONNECT, of the authority). */
  readonly id: string;
  /** As on the wire. */
  readonly method: string;
  /** Path and query as on the wire; `host:port` for CONNECT. */
  readonly target: string;
  /** Undefined: no final response head was sent whole. */
  readonly status: number | undefined;
  /** Undefined: not compared (an end never came). */
  readonly requestBodySize: number | undefined;
  readonly responseBodySize: number | undefined;
  readonly transport: 'tcp' | 'unix';
  /** Undefined: this end makes no span (another host, out of sight, or bytes that no one can read). */
  readonly server: Party | undefined;
  readonly client: Party | undefined;
}

/** A request to make; the programs' plan lines hold these (README.md). */
export interface PlannedRequest {
  readonly id: string;
  readonly method: string;
  readonly target: string;
  /** What the server will answer. */
  readonly status: number;
  readonly size: number;
  readonly bodySize: number;
  readonly chunked?: boolean;
  readonly expectContinue?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Whether a response has no body whatever its header fields say (RFC 9110, 6.4.1). */
export function isBodiless(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304;
}

const mixes = {
  /** Methods, sizes, codings and statuses of every sort, in turn. */
  all: [
    { method: 'GET', status: 200, size: 0 },
    { method: 'GET', status: 200, size: 200 },
    { method: 'POST', status: 201, size: 10, bodySize: 100 },
    { method: 'HEAD', status: 200, size: 500 },
    { method: 'PUT', status: 200, size: 3000, bodySize: 5000, chunked: true, query: '&chunks=3' },
    { method: 'DELETE', status: 204, size: 0 },
    { method: 'GET', status: 304, size: 0 },
    { method: 'GET', status: 404, size: 50 },
    { method: 'GET', status: 503, size: 5 },
    { method: 'PATCH', status: 200, size: 70_000, bodySize: 70_000 },
    { method: 'OPTIONS', status: 200, size: 1 },
    { method: 'PURGE', status: 200, size: 2 },
    { method: 'GET', status: 200, size: 300_000, query: '&chunks=40' },
    { method: 'POST', status: 302, size: 0, bodySize: 1 },
  ],
  /** What every server and client here can do: Content-Length only, methods without surprises. */
  plain: [
    { method: 'GET', status: 200, size: 0 },
    { method: 'GET', status: 200, size: 200 },
    { method: 'POST', status: 201, size: 10, bodySize: 100 },
    { method: 'HEAD', status: 200, size: 500 },
    { method: 'GET', status: 404, size: 50 },
    { method: 'PUT', status: 200, size: 200_000, bodySize: 150_000 },
    { method: 'DELETE', status: 204, size: 0 },
    { method: 'GET', status: 500, size: 5 },
  ],
  /** No request bodies: for pipelines. */
  bodiless: [
    { method: 'GET', status: 200, size: 0 },
    { method: 'GET', status: 200, size: 200 },
    { method: 'HEAD', status: 200, size: 500 },
    { method: 'GET', status: 404, size: 5000 },
    { method: 'GET', status: 304, size: 0 },
    { method: 'DELETE', status: 204, size: 0 },
  ],
} as const;

export type Mix = keyof typeof mixes;

/** `count` requests with ids `<run>-0`, `<run>-1`, …, going round the mix. */
export function planRequests(run: string, count: number, mix: Mix): PlannedRequest[] {
  const kinds: readonly { method: string; status: number; size: number; bodySize?: number; chunked?: boolean; query?: string }[] =
    mixes[mix];
  const requests: PlannedRequest[] = [];
  for (let i = 0; i < count; i++) {
    const { method, status, size, bodySize = 0, chunked = false, query = '' } = kinds[i % kinds.length]!;
    const id = `${run}-${i}`;
    const target = `/echo/${i % 7}?id=${id}&status=${status}&size=${size}${query}`;
    requests.push({ id, method, target, status, size, bodySize, chunked });
  }
  return requests;
}

/** One request to `/echo` by hand. */
export function planRequest(
  id: string,
  options: { method?: string; status?: number; size?: number; bodySize?: number; query?: string } = {},
): PlannedRequest {
  const { method = 'GET', status = 200, size = 0, bodySize = 0, query = '' } = options;
  return { id, method, target: `/echo?id=${id}&status=${status}&size=${size}${query}`, status, size, bodySize };
}
