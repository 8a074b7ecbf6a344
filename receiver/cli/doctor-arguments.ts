// Arguments of `usm-receiver doctor` → which processes to examine, and how to tell.
import { readFlags, usage } from './flags.ts';

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
  for (const { flag, value } of readFlags(args, allFlags, ['--all', '--json', '--values'])) {
    if (value === undefined) {
      switches[flag] = true;
      continue;
    }
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
