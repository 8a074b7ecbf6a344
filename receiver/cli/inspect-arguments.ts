// Arguments of `usm-receiver inspect` → what to ask a running receiver for.
import { nearMatch } from '../config/near-match.ts';
import { ReceiverError } from '../errors.ts';

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
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] ?? '';
    const equals = argument.indexOf('=');
    const name = equals === -1 ? argument : argument.slice(0, equals);
    const flag = allFlags.find((known) => known === name);
    if (flag === undefined) throw unknownFlag(argument, name);
    if (flag === '--json') {
      if (equals !== -1) throw usage('--json takes no value');
      isJson = true;
      continue;
    }
    const value = equals === -1 ? args[++at] : argument.slice(equals + 1);
    if (value === undefined) throw usage(`flag needs an argument: ${flag}`);
    if (flag === '--endpoint') endpoint = value;
    else if (/^\d{1,15}$/.test(value)) query.set(flag.slice(2), value);
    else throw usage(`${flag} must be a number, found "${value}"`);
  }
  const url = URL.parse(`${/^https?:\/\//i.test(endpoint) ? '' : 'http://'}${endpoint}`);
  if (url === null || url.host === '') throw usage(`--endpoint must be host:port, found "${endpoint}"`);
  url.pathname = '/debug/usm';
  url.search = query.toString();
  return { kind: 'inspect', url: url.href, isJson };
}

function unknownFlag(argument: string, name: string): ReceiverError {
  if (!argument.startsWith('-')) return usage(`unexpected argument "${argument}"`);
  const near = nearMatch(name, allFlags);
  return usage(`unknown flag: ${name}${near === undefined ? '' : ` (did you mean "${near}"?)`}`);
}

function usage(problem: string): ReceiverError {
  return new ReceiverError('USM_USAGE', `${problem}; run 'usm-receiver --help' for usage`);
}
