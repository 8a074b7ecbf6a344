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
  /** Undefined: not compared. */
  readonly version?: '1.1' | '2';
  /** The call of a remote procedure that it carries. */
  readonly call?: Call;
  /** The call that it is without ceasing to be HTTP: `rpc.system.name` and `rpc.method`. */
  readonly procedure?: { readonly system: string; readonly method: string };
  /** Undefined: this end makes no span (another host, out of sight, or bytes that no one can read). */
  readonly server: Party | undefined;
  readonly client: Party | undefined;
}

/** Of an exchange that carries a gRPC call, which tells this instead of what HTTP says. */
export interface Call {
  /** As on the wire: `package.Service/Method`. */
  readonly method: string;
  /** Name of the status on the wire; undefined: there was none. More than one where a race leaves it open. */
  readonly statuses: readonly (string | undefined)[];
}

/** How an HTTP/2 stream ends before its answer does. */
export interface PlannedReset {
  /** The error code, as RFC 9113 writes it. */
  readonly error: string;
  /** Behind the head of the answer. */
  readonly isWithin: boolean;
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
  /** Over HTTP/2: a trailer section behind the body. */
  readonly trailers?: boolean;
  /** Over HTTP/2: `:protocol` of an extended CONNECT. */
  readonly protocol?: string;
  /** Over HTTP/2: when the client resets the stream. */
  readonly cancel?: 'request' | 'head' | 'body';
  /** Over HTTP/2: what comes of that, or of what the target asks the server for. */
  readonly reset?: PlannedReset;
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
  /** Everything that an HTTP/2 stream may carry but resets: trailers both ways, 103, heads of 4 KiB, bodies of many frames. */
  http2: [
    { method: 'GET', status: 200, size: 0 },
    { method: 'GET', status: 200, size: 200 },
    { method: 'POST', status: 201, size: 10, bodySize: 100, trailers: true },
    { method: 'GET', status: 200, size: 1000, query: '&trailers=1' },
    { method: 'HEAD', status: 200, size: 500 },
    { method: 'PUT', status: 200, size: 3000, bodySize: 5000, chunked: true, query: '&chunks=3' },
    { method: 'GET', status: 200, size: 1, fill: 4000 },
    { method: 'DELETE', status: 204, size: 0 },
    { method: 'PATCH', status: 200, size: 200_000, bodySize: 200_000, trailers: true, query: '&trailers=1' },
    { method: 'GET', status: 304, size: 0, query: '&hints=1' },
    { method: 'GET', status: 404, size: 50, fill: 2000 },
    { method: 'GET', status: 503, size: 5, query: '&hints=1&trailers=1' },
    { method: 'PURGE', status: 200, size: 2 },
    { method: 'GET', status: 200, size: 300_000, query: '&chunks=40' },
    { method: 'POST', status: 302, size: 0, bodySize: 70_000, query: '&delay=20' },
    { method: 'POST', status: 200, size: 16_384, bodySize: 16_384 },
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

interface Kind {
  readonly method: string;
  readonly status: number;
  readonly size: number;
  readonly bodySize?: number;
  readonly chunked?: boolean;
  readonly trailers?: boolean;
  readonly query?: string;
  /** Length of one more path segment. */
  readonly fill?: number;
}

/** `count` requests with ids `<run>-0`, `<run>-1`, …, going round the mix. */
export function planRequests(run: string, count: number, mix: Mix): PlannedRequest[] {
  const kinds: readonly Kind[] = mixes[mix];
  const requests: PlannedRequest[] = [];
  for (let i = 0; i < count; i++) {
    const {
      method,
      status,
      size,
      bodySize = 0,
      chunked = false,
      trailers = false,
      query = '',
      fill = 0,
    } = kinds[i % kinds.length]!;
    const id = `${run}-${i}`;
    const path = fill === 0 ? '' : `/${id.repeat(Math.ceil(fill / id.length)).slice(0, fill)}`;
    const target = `/echo/${i % 7}${path}?id=${id}&status=${status}&size=${size}${query}`;
    requests.push({ id, method, target, status, size, bodySize, chunked, ...(trailers ? { trailers } : {}) });
  }
  return requests;
}

/** Over a connection each, so that none is older than what comes next. */
export function closing(requests: readonly PlannedRequest[]): PlannedRequest[] {
  return requests.map((request) => ({ ...request, headers: { ...request.headers, connection: 'close' } }));
}

/** One request to `/echo` by hand. */
export function planRequest(
  id: string,
  options: { method?: string; status?: number; size?: number; bodySize?: number; query?: string } = {},
): PlannedRequest {
  const { method = 'GET', status = 200, size = 0, bodySize = 0, query = '' } = options;
  return { id, method, target: `/echo?id=${id}&status=${status}&size=${size}${query}`, status, size, bodySize };
}

/** `count` streams that end early, in turn by either end, before the head of the answer and behind it, with ids `<run>-0`, … */
export function planResets(run: string, count: number): PlannedRequest[] {
  const kinds = [
    { query: '&delay=5000', cancel: 'request', error: 'CANCEL', isWithin: false },
    { query: '&hold=1', cancel: 'head', error: 'CANCEL', isWithin: true },
    { query: '&hold=1', cancel: 'body', error: 'CANCEL', isWithin: true },
    { query: '&reset=2', cancel: undefined, error: 'INTERNAL_ERROR', isWithin: false },
    { query: '&reset=2&when=within', cancel: undefined, error: 'INTERNAL_ERROR', isWithin: true },
  ] as const;
  return Array.from({ length: count }, (_, i) => {
    const { query, cancel, error, isWithin } = kinds[i % kinds.length]!;
    const request = planRequest(`${run}-${i}`, { size: 1000, query });
    return { ...request, ...(cancel === undefined ? {} : { cancel }), reset: { error, isWithin } };
  });
}
