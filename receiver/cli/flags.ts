// The flags of a subcommand: `--name value`, `--name=value`, or `--name` alone where it is a switch.
import { nearMatch } from '../config/near-match.ts';
import { ReceiverError } from '../errors.ts';

export type GivenFlag<Flag extends string, Switch extends Flag> =
  { readonly flag: Switch; readonly value: undefined } | { readonly flag: Exclude<Flag, Switch>; readonly value: string };

/**
 * In the order in which they are given, one at a time, so that the first mistake is the one that is told. `switches`: those of `all` that take no value.
 * @throws {ReceiverError} USM_USAGE
 */
export function* readFlags<Flag extends string, Switch extends Flag>(
  args: readonly string[],
  all: readonly Flag[],
  switches: readonly Switch[],
): Generator<GivenFlag<Flag, Switch>> {
  const isSwitch = (flag: Flag): flag is Switch => switches.some((known) => known === flag);
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] ?? '';
    const { name, value: attached } = splitFlag(argument);
    const flag = all.find((known) => known === name);
    if (flag === undefined) throw unknownFlag(argument, name, all);
    if (isSwitch(flag)) {
      if (attached !== undefined) throw usage(`${flag} takes no value`);
      yield { flag, value: undefined };
      continue;
    }
    const value = attached ?? args[++at];
    if (value === undefined) throw usage(`flag needs an argument: ${flag}`);
    yield { flag: flag as Exclude<Flag, Switch>, value };
  }
}

/** `value`: what stands behind a `=`, which may be ''; undefined without one. */
export function splitFlag(argument: string): { readonly name: string; readonly value: string | undefined } {
  const equals = argument.indexOf('=');
  if (equals === -1) return { name: argument, value: undefined };
  return { name: argument.slice(0, equals), value: argument.slice(equals + 1) };
}

export function unknownFlag(argument: string, name: string, all: readonly string[]): ReceiverError {
  if (!argument.startsWith('-')) return usage(`unexpected argument "${argument}"`);
  const near = nearMatch(name, all);
  return usage(`unknown flag: ${name}${near === undefined ? '' : ` (did you mean "${near}"?)`}`);
}

export function usage(problem: string): ReceiverError {
  return new ReceiverError('USM_USAGE', `${problem}; run 'usm-receiver --help' for usage`);
}
