// GET /debug/usm → where everything stands, as JSON: connections with what is known and pending of each, the queues, the ledger.
import type { ConnectionFilter } from '../model/inspection.ts';
import { type HttpHandler, json, text } from './http-server.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

const index = `/debug/usm   where every transaction is, as JSON; ?connection=COOKIE, ?pid=N, ?port=N, ?limit=N (default ${DEFAULT_LIMIT}, at most ${MAX_LIMIT})

'usm-receiver inspect' prints it as a table.
`;

/** `inspect` gives plain data. */
export function createZpagesHandler(inspect: (filter: ConnectionFilter) => object): HttpHandler {
  return ({ path, query }) => {
    if (path === '/' || path === '/debug' || path === '/debug/') return text(200, index);
    if (path !== '/debug/usm') return text(404, index);
    const filter: Record<string, number | undefined> = {};
    for (const [name, value] of query) {
      if (name !== 'connection' && name !== 'pid' && name !== 'port' && name !== 'limit') {
        return text(400, `unknown parameter "${name.slice(0, 32)}"\n\n${index}`);
      }
      // A filter that was misread would show the wrong connections.
      if (!/^\d{1,15}$/.test(value)) return text(400, `${name} must be a number\n`);
      filter[name] = Number(value);
    }
    const limit = Math.min(filter['limit'] ?? DEFAULT_LIMIT, MAX_LIMIT);
    return json(200, inspect({ connection: filter['connection'], pid: filter['pid'], port: filter['port'], limit }));
  };
}
