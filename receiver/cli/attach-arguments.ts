// Arguments of `usm-receiver attach` → where its configuration comes from, and which receiver of it is meant.
import { nearMatch } from '../config/near-match.ts';
import { ReceiverError } from '../errors.ts';

export interface AttachCommand {
  readonly kind: 'attach';
  /** Empty: a Collector has started us. The configuration comes on standard input, and the end of that is the end of the run. */
  readonly sources: readonly string[];
  readonly sets: readonly string[];
  readonly isSupervised: boolean;
  /** Id under `receivers`. Undefined: `usm`, or the only one there is. */
  readonly receiver: string | undefined;
}

const allFlags = ['--config', '--receiver', '--set', '--supervised'] as const;

export function parseAttach(args: readonly string[]): AttachCommand {
  const sources: string[] = [];
  const sets: string[] = [];
  let isSupervised = false;
  let receiver: string | undefined;
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] ?? '';
    const equals = argument.indexOf('=');
    const name = equals === -1 ? argument : argument.slice(0, equals);
    const flag = allFlags.find((known) => known === name);
    if (flag === undefined) throw unknownFlag(argument, name);
    if (flag === '--supervised') {
      if (equals !== -1) throw usage('--supervised takes no value');
      isSupervised = true;
      continue;
    }
    const value = equals === -1 ? args[++at] : argument.slice(equals + 1);
    if (value === undefined) throw usage(`flag needs an argument: ${flag}`);
    if (flag === '--config') sources.push(value);
    else if (flag === '--set') sets.push(value);
    else receiver = value;
  }
  if (isSupervised && sources.length + sets.length > 0) {
    throw usage('--supervised takes its configuration from standard input, and no --config and no --set');
  }
  return { kind: 'attach', sources, sets, isSupervised, receiver };
}

function unknownFlag(argument: string, name: string): ReceiverError {
  if (!argument.startsWith('-')) return usage(`unexpected argument "${argument}"`);
  const near = nearMatch(name, allFlags);
  return usage(`unknown flag: ${name}${near === undefined ? '' : ` (did you mean "${near}"?)`}`);
}

function usage(problem: string): ReceiverError {
  return new ReceiverError('USM_USAGE', `${problem}; run 'usm-receiver --help' for usage`);
}
