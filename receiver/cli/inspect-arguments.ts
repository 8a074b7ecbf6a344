// Arguments of `usm-receiver inspect` → what to ask a running receiver for.
import { readFlags, usage } from './flags.ts';

export interface InspectCommand {
  readonly kind: 'inspect';
  /** Of the zpages extension, with the query. */
  readonly url: string;
  /** Print the answer as it is. */
  readonly isJson: boolean;
}

const numberFlags = ['--connection', '--limit', '--pid', '--port'] as const;
const allFlags = ['--endpoint', '--json', ...numberFlags] as const;
const defaultEndpoint = 'localhost:55679';

export function parseInspect(args: readonly string[]): InspectCommand {
  let endpoint = defaultEndpoint;
  let isJson = false;
  const query = new URLSearchParams();
  for (const { flag, value } of readFlags(args, allFlags, ['--json'])) {
    if (flag === '--json') isJson = true;
    else if (flag === '--endpoint') endpoint = value;
    else if (/^\d{1,15}$/.test(value)) query.set(flag.slice(2), value);
    else throw usage(`${flag} must be a number, found "${value}"`);
  }
  const url = URL.parse(`${/^https?:\/\//i.test(endpoint) ? '' : 'http://'}${endpoint}`);
  if (url === null || url.host === '') throw usage(`--endpoint must be host:port, found "${endpoint}"`);
  url.pathname = '/debug/usm';
  url.search = query.toString();
  return { kind: 'inspect', url: url.href, isJson };
}
