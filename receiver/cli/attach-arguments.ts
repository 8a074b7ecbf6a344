// Arguments of `usm-receiver attach` → where its configuration comes from, and which receiver of it is meant.
import { readFlags, usage } from './flags.ts';

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
  for (const { flag, value } of readFlags(args, allFlags, ['--supervised'])) {
    if (flag === '--supervised') isSupervised = true;
    else if (flag === '--config') sources.push(value);
    else if (flag === '--set') sets.push(value);
    else receiver = value;
  }
  if (isSupervised && sources.length + sets.length > 0) {
    throw usage('--supervised takes its configuration from standard input, and no --config and no --set');
  }
  return { kind: 'attach', sources, sets, isSupervised, receiver };
}
