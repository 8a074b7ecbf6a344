// Arguments of `usm-receiver doctor` → which processes to examine, and how to tell.
import { nearMatch } from '../config/near-match.ts';
import { ReceiverError } from '../errors.ts';

export interface DoctorCommand {
  readonly kind: 'doctor';
  /** 'all': every process that can be seen. */
  readonly pids: readonly number[] | 'all';
  readonly isJson: boolean;
  /** Also the values of attributes. */
  readonly showsValues: boolean;
}

const allFlags = ['--all', '--json', '--pid', '--values'] as const;
const MAX_PID = 4_194_304;

export function parseDoctor(args: readonly string[]): DoctorCommand {
  const pids: number[] = [];
  const switches = { '--all': false, '--json': false, '--values': false };
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] ?? '';
    const equals = argument.indexOf('=');
    const name = equals === -1 ? argument : argument.slice(0, equals);
    const flag = allFlags.find((known) => known === name);
    if (flag === undefined) throw unknownFlag(argument, name);
    if (flag !== '--pid') {
      if (equals !== -1) throw usage(`${flag} takes no value`);
      switches[flag] = true;
      continue;
    }
    const value = equals === -1 ? args[++at] : argument.slice(equals + 1);
    if (value === undefined) throw usage('flag needs an argument: --pid');
    const pid = /^\d{1,7}$/.test(value) ? Number(value) : 0;
    if (pid === 0 || pid > MAX_PID) throw usage(`--pid must be a process id, found "${value}"`);
    if (!pids.includes(pid)) pids.push(pid);
  }
  if (switches['--all'] && pids.length > 0) throw usage('--all and --pid exclude each other');
  if (!switches['--all'] && pids.length === 0) throw usage('"doctor" needs --pid N or --all');
  return {
    kind: 'doctor',
    pids: switches['--all'] ? 'all' : pids,
    isJson: switches['--json'],
    showsValues: switches['--values'],
  };
}

function unknownFlag(argument: string, name: string): ReceiverError {
  if (!argument.startsWith('-')) return usage(`unexpected argument "${argument}"`);
  const near = nearMatch(name, allFlags);
  return usage(`unknown flag: ${name}${near === undefined ? '' : ` (did you mean "${near}"?)`}`);
}

function usage(problem: string): ReceiverError {
  return new ReceiverError('USM_USAGE', `${problem}; run 'usm-receiver --help' for usage`);
}
