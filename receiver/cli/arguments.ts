// Command line → Command, with the flags and habits of the Collector's CLI.
// https://github.com/open-telemetry/opentelemetry-collector/blob/main/otelcol/command.go
import { nearMatch } from '../config/near-match.ts';
import { type AttachCommand, parseAttach } from './attach-arguments.ts';
import { type DoctorCommand, parseDoctor } from './doctor-arguments.ts';
import { splitFlag, unknownFlag, usage } from './flags.ts';
import { type InspectCommand, parseInspect } from './inspect-arguments.ts';

export type Command =
  | { readonly kind: 'run' | 'validate'; readonly sources: readonly string[]; readonly sets: readonly string[] }
  | AttachCommand
  | DoctorCommand
  | InspectCommand
  | { readonly kind: 'components' | 'help' | 'version' };

const subcommands = ['attach', 'components', 'doctor', 'help', 'inspect', 'validate'] as const;
const valueFlags = ['--config', '--set', '--feature-gates'] as const;
const allFlags = [...valueFlags, '--help', '--version'] as const;

export function parseArguments(args: readonly string[]): Command {
  // Their flags are their own.
  const isHelp = args.some((argument) => argument === '-h' || argument === '--help');
  if (args[0] === 'attach' && !isHelp) return parseAttach(args.slice(1));
  if (args[0] === 'inspect' && !isHelp) return parseInspect(args.slice(1));
  if (args[0] === 'doctor' && !isHelp) return parseDoctor(args.slice(1));
  const sources: string[] = [];
  const sets: string[] = [];
  let kind: Command['kind'] | undefined;
  let information: 'help' | 'version' | undefined;
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] ?? '';
    if (argument === '-h' || argument === '--help') information ??= 'help';
    else if (argument === '-v' || argument === '--version') information ??= 'version';
    else if (!argument.startsWith('-')) {
      if (kind !== undefined) throw usage(`unexpected argument "${argument}"`);
      kind = subcommands.find((known) => known === argument) ?? unknownCommand(argument);
    } else {
      const { name, value = args[++at] } = splitFlag(argument);
      const flag = valueFlags.find((known) => known === name);
      if (flag === undefined) throw unknownFlag(argument, name, allFlags);
      if (value === undefined) throw usage(`flag needs an argument: ${flag}`);
      if (flag === '--config') sources.push(value);
      else if (flag === '--set') sets.push(value);
      else throw usage(`--feature-gates is not supported: usm-receiver has no feature gates, found "${value}"`);
    }
  }
  if (information !== undefined) return { kind: information };
  if (kind === 'attach' || kind === 'inspect' || kind === 'doctor') throw usage(`"${kind}" comes first, and its flags behind it`);
  if (kind === 'components' || kind === 'help') {
    if (sources.length + sets.length > 0) throw usage(`"${kind}" takes no --config and no --set`);
    return { kind };
  }
  return { kind: kind === 'validate' ? 'validate' : 'run', sources, sets };
}

function unknownCommand(argument: string): never {
  const near = nearMatch(argument, subcommands);
  const looksLikeFile = /\.ya?ml$/.test(argument) ? ` (did you mean "--config=${argument}"?)` : '';
  throw usage(
    `unknown command "${argument}" for "usm-receiver"${near === undefined ? looksLikeFile : ` (did you mean "${near}"?)`}`,
  );
}

export const helpText = `usm-receiver observes every HTTP transaction on this host with eBPF and sends spans over OTLP.

Usage:
  usm-receiver --config FILE [--config FILE]… [--set key=value]…
  usm-receiver [command]

Commands:
  attach       Run beside a Collector that has the component usm, and send it what is seen; takes the Collector's own configuration
  components   Print the components of this build as YAML
  doctor       Tell step by step what can be read of a process, and what is in the way; needs no running receiver
  inspect      Ask a running receiver, which has the zpages extension, where its transactions are
  validate     Check the configuration without running; prints nothing and exits 0 when it is good
  help         Print this text

Flags:
  --config URI      Configuration: a path, file:PATH, env:NAME or yaml:KEY::KEY: VALUE. May be repeated; later ones are merged over earlier ones
  --set KEY=VALUE   Set one key over all --config, for example --set=exporters.debug.verbosity=detailed. May be repeated
  -h, --help        Print this text
  -v, --version     Print the version

Flags of attach:
  --config URI, --set KEY=VALUE
                    As above. Of the configuration, the usm receiver, which pipelines have it, and service::telemetry are read; the rest is the Collector's
  --receiver ID     Which usm receiver, if there are several (default usm)
  --supervised      For the Collector that starts this command: the configuration is one line on standard input, whose end is the end of the run

Flags of doctor:
  --pid N           Of this process; may be repeated. Exits 0 when something can be read of each, 2 when not
  --all             Of all processes. Exits 2 when one of them has something to read that can't be read
  --json            Print JSON
  --values          Also the values of attributes, which are the application's data

Flags of inspect:
  --endpoint ADDRESS  Of the zpages extension (default localhost:55679)
  --pid N, --port N, --connection N
                      Only connections of this process, with this port at either end, or with this socket cookie
  --limit N           Show at most so many connections (default 100)
  --json              Print the whole answer as JSON

SIGTERM and SIGINT deliver what is complete and exit 0; a second one exits at once. SIGUSR2 logs the ledger as it stands. SIGHUP is ignored: restart to apply a new configuration.
`;
