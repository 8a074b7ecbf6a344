// Failures of operations (load, attach, read, send): what is thrown, and the one table of their codes. docs/errors.md is made from it.
// Bytes from outside never throw (result unions), and our own bugs are assertions, not ReceiverErrors.

interface ErrorCodeRow {
  readonly meaning: string;
  /** What the user can do; the end of the message unless the throw site knows better. A clause without a full stop. */
  readonly remedy: string;
}

export const errorCodes = {
  USM_USAGE: {
    meaning: 'The command line has an unknown flag or command, or a flag without its value.',
    remedy: "run 'usm-receiver --help' for usage",
  },
  USM_CONFIG_SOURCE: {
    meaning: 'A configuration source (`--config`, `--set`, `${file:…}`, `${env:…}`) could not be read, parsed or expanded.',
    remedy: 'correct the source that the message names',
  },
  USM_CONFIG_INVALID: {
    meaning:
      'The configuration was read, but says something that is unknown, contradictory or not supported. Every problem is listed with its path.',
    remedy: 'correct the keys that the message names; docs/configuration.md lists all of them',
  },
  USM_LOG_OUTPUT: {
    meaning: 'A file in `service::telemetry::logs::output_paths` or `error_output_paths` could not be opened.',
    remedy: 'create its directory, or give the process the right to write there',
  },
  USM_PLATFORM: {
    meaning: 'The operating system, processor architecture or Node.js version is not supported.',
    remedy: 'run on Linux with Node.js 22.15 or newer',
  },
  USM_ADDON_MISSING: {
    meaning: 'The native addon could not be loaded: it was not built, or was built for another platform.',
    remedy: "run 'npm run build' in a checkout, or install the package again",
  },
  USM_BPF_OBJECT_MISSING: {
    meaning: 'The compiled BPF object is not where it should be, or is not a BPF object.',
    remedy: "run 'npm run build' in a checkout, or install the package again",
  },
  USM_KERNEL_TOO_OLD: {
    meaning: 'The kernel lacks a feature that capture needs.',
    remedy: 'run on Linux 6.1 or newer',
  },
  USM_KERNEL_BTF_MISSING: {
    meaning: 'The kernel does not describe its types (/sys/kernel/btf/vmlinux is missing).',
    remedy: 'run a kernel built with CONFIG_DEBUG_INFO_BTF=y, as all current distributions ship',
  },
  USM_PRIVILEGE_MISSING: {
    meaning: 'The process may not load BPF programs.',
    remedy: 'run as root, or with CAP_BPF and CAP_PERFMON',
  },
  USM_BPF_LOAD: {
    meaning: 'The kernel refused to load the BPF programs or to create their maps.',
    remedy: 'report it with the log lines that the message quotes and the output of uname -r',
  },
  USM_BPF_ATTACH: {
    meaning: 'A BPF program was loaded but could not be attached to its hook.',
    remedy: 'report it with the program that the message names and the output of uname -r',
  },
  USM_SEED_FAILED: {
    meaning: 'The sockets that existed before the receiver could not be enumerated.',
    remedy: 'report it with the output of uname -r',
  },
  USM_EXPORTER_START: {
    meaning: 'An exporter could not start: a certificate, key, output file or storage cannot be used.',
    remedy: 'correct the file or the setting that the message names',
  },
  USM_LISTEN: {
    meaning:
      'An extension, or the page of metrics about the receiver, could not listen on the address that was configured for it.',
    remedy: 'free the port, or configure another endpoint',
  },
  USM_REGISTRATION_LISTEN: {
    meaning: 'The UNIX socket of `thread_context::registration::endpoint` could not be made, or put in its place.',
    remedy: 'choose a path whose folder exists and that nothing else uses, with a group that the receiver may give away',
  },
  USM_METRICS_START: {
    meaning: 'A reader of `service::telemetry::metrics` could not start: a certificate or key cannot be used.',
    remedy: 'correct the file or the setting that the message names',
  },
  USM_INSPECT: {
    meaning: 'The command `inspect` could not ask a running receiver.',
    remedy: 'configure the zpages extension, name it in service::extensions, and give its address with --endpoint',
  },
  USM_DOCTOR: {
    meaning: 'The command `doctor` could not examine a process.',
    remedy: 'give the id that the process has in the pid namespace of this command',
  },
  USM_SHUTDOWN_TIMEOUT: {
    meaning:
      'The receiver did not stop within `shutdown_timeout` and was ended. What was still queued is lost; the kernel removes its programs.',
    remedy: 'report it if it happens with a reachable backend',
  },
} as const satisfies Readonly<Record<string, ErrorCodeRow>>;

export type ErrorCode = keyof typeof errorCodes;

/** The parts of a message. `cannot {attempted}[ {on}]: {happened}; {remedy}` */
export interface Failure {
  /** Verb first: 'load the BPF programs'. */
  readonly attempted: string;
  /** The thing it was done to: a path, a program, an endpoint. */
  readonly on?: string;
  readonly happened: string;
  /** Default: the remedy of the code. */
  readonly remedy?: string;
}

export class ReceiverError extends Error {
  override readonly name = 'ReceiverError';
  readonly code: ErrorCode;

  /** `failure` as a string is the whole message. */
  constructor(code: ErrorCode, failure: Failure | string, cause?: unknown) {
    super(typeof failure === 'string' ? failure : formatFailure(code, failure), cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

function formatFailure(code: ErrorCode, failure: Failure): string {
  const on = failure.on === undefined ? '' : ` ${failure.on}`;
  return `cannot ${failure.attempted}${on}: ${failure.happened}; ${failure.remedy ?? errorCodes[code].remedy}`;
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Our own bug, not the user's: says what was believed. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: unknown, belief: string): asserts condition {
  if (!condition) throw new AssertionError(`bug in usm-receiver: expected that ${belief}`);
}

/** The end of a `switch` over every `kind`: a compile error when one is missing. */
export function assertNever(value: never): never {
  throw new AssertionError(`bug in usm-receiver: unexpected value ${JSON.stringify(value)}`);
}
