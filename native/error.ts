// A failed operation in words: errno and libbpf's codes by name, and libbpf's own last line.
import { getSystemErrorName } from 'node:util';
import type { Failure } from './addon.ts';

/** An operation that failed. `code` is the errno's name ('EPERM'), or 'LIBBPF_…' for libbpf's own. */
export class NativeError extends Error {
  override readonly name = 'NativeError';
  readonly code: string;
  /** What was attempted: "load 'usm.bpf.o'". */
  readonly operation: string;
  /** The last lines that libbpf and the verifier printed meanwhile, or a clause of ours; '' when there is nothing to say. */
  readonly log: string;
  /** Programs that failed to attach; empty for all other operations. */
  readonly programs: readonly string[];

  constructor(failure: Failure, programs: readonly string[] = []) {
    const code = errorCode(failure.errno);
    const log = failure.log.trim();
    super(`${failure.operation}: ${code}${log === '' ? '' : `: ${log.slice(log.lastIndexOf('\n') + 1)}`}`);
    this.code = code;
    this.operation = failure.operation;
    this.log = log;
    this.programs = programs;
  }
}

/** bpf/libbpf.h, enum libbpf_errno, from 4000; and errnos that the kernel keeps to itself. */
const privateCodes: Readonly<Record<number, string>> = {
  524: 'ENOTSUPP',
  4000: 'LIBBPF_LIBELF',
  4001: 'LIBBPF_FORMAT',
  4002: 'LIBBPF_KVERSION',
  4003: 'LIBBPF_ENDIAN',
  4004: 'LIBBPF_INTERNAL',
  4005: 'LIBBPF_RELOC',
  4006: 'LIBBPF_LOAD',
  4007: 'LIBBPF_VERIFY',
  4008: 'LIBBPF_PROG2BIG',
  4009: 'LIBBPF_KVER',
  4010: 'LIBBPF_PROGTYPE',
};

function errorCode(errno: number): string {
  return privateCodes[errno] ?? getSystemErrorName(-errno);
}

export function invalid(operation: string, why: string): NativeError {
  return new NativeError({ errno: 22, operation, log: why });
}

export function closed(what: string): NativeError {
  return new NativeError({ errno: 9, operation: `use a closed ${what}`, log: '' });
}
