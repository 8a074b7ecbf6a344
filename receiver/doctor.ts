// `usm-receiver doctor`: examines processes from outside, needs no running receiver, and leaves everything as it is. The list of examinations is
// the place where another kind of them is added.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type Capabilities, capabilities, NativeError } from '../native/index.ts';
import { createThreadContextExamination } from './attribution/examine-thread-contexts.ts';
import { startTicks, ticksOf } from './attribution/process-start.ts';
import type { DoctorCommand } from './cli/doctor-arguments.ts';
import { doctorExitCode, formatDoctor, formatDoctorJson } from './cli/doctor-text.ts';
import { version } from './cli/version.ts';
import { ReceiverError } from './errors.ts';
import { foreignNamespaces, missingPrivileges } from './kernel/privileges.ts';
import { isOlder, oldestRelease } from './kernel/release.ts';
import { listThreads, type ThreadList } from './kernel/threads.ts';
import { createTlsExamination } from './tls/examine-process.ts';
import { tlsExaminations } from './tls/open.ts';
import { createProcfs } from './tls/procfs.ts';
import type { ExaminedProcess, Examine, ExaminedReport, Finding } from './model/examination.ts';

export interface DoctorOptions {
  /** Of this machine, as Node.js calls it. */
  readonly arch: string;
  /** Of this process, which is left out of all. */
  readonly ownPid: number;
}

export interface DoctorAnswer {
  readonly text: string;
  readonly exitCode: number;
}

/** Throws a ReceiverError when a named process is not there. */
export function doctor({ pids, isJson, showsValues }: DoctorCommand, { arch, ownPid }: DoctorOptions): DoctorAnswer {
  const isAll = pids === 'all';
  const wanted = isAll ? allPids().filter((pid) => pid !== ownPid) : pids;
  const examinations: readonly Examine[] = [
    createThreadContextExamination({ machine: arch === 'arm64' ? 'aarch64' : 'x86-64', showsValues }),
    createTlsExamination(createProcfs(), tlsExaminations, !isAll),
  ];
  const [only] = wanted;
  const threads = listThreads(wanted.length === 1 && only !== undefined ? only : 0);
  const processes: ExaminedReport[] = [];
  for (const pid of wanted) {
    const process = describe(pid, threads);
    if (process !== undefined) {
      const executable = readLink(`/proc/${String(pid)}/exe`) ?? '';
      processes.push({ pid, executable, examinations: examinations.map((examine) => examine(process)) });
    } else if (!isAll) {
      throw new ReceiverError('USM_DOCTOR', {
        attempted: 'examine process',
        on: String(pid),
        happened: 'there is no such process',
      });
    }
  }
  const report = { version, host: [...hostFindings(), ...threadFindings(threads)], processes };
  return { text: isJson ? formatDoctorJson(report) : formatDoctor(report, !isAll), exitCode: doctorExitCode(report, isAll) };
}

/** Undefined: it has ended, or is the kernel's. */
function describe(pid: number, list: ThreadList): ExaminedProcess | undefined {
  const ticks = startTicks(readText(`/proc/${String(pid)}/stat`) ?? '');
  if (ticks === undefined || !hasProgram(pid)) return undefined;
  if (list.kind === 'refused') return { pid, threads: undefined, threadsRefusal: list.reason };
  const ofPid = list.threads.filter((thread) => thread.pid === pid && ticksOf(thread.startTime) === ticks);
  if (ofPid.length > 0) return { pid, threads: ofPid, threadsRefusal: undefined };
  return { pid, threads: undefined, threadsRefusal: 'it has another process id in the pid namespace of the host' };
}

function allPids(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** Threads of the kernel have no command line, nor do processes that nobody has waited for. */
function hasProgram(pid: number): boolean {
  return (readText(`/proc/${String(pid)}/cmdline`) ?? '') !== '' || readLink(`/proc/${String(pid)}/exe`) !== undefined;
}

function hostFindings(): Finding[] {
  try {
    const { kernelRelease, machine, hasKernelBtf, effective } = capabilities();
    return [
      finding(
        'kernel',
        !isOlder(kernelRelease, oldestRelease),
        `Linux ${kernelRelease}, ${machine}`,
        `run on Linux ${oldestRelease} or newer`,
      ),
      finding('types', hasKernelBtf, '/sys/kernel/btf/vmlinux', 'run a kernel built with CONFIG_DEBUG_INFO_BTF=y'),
      ...privilegeFindings(effective),
      ...namespaceFindings(),
    ];
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    return [finding('addon', false, error.message, "run 'npm run build' in a checkout, or install the package again")];
  }
}

function privilegeFindings(effective: Capabilities['effective']): Finding[] {
  const missing = missingPrivileges(effective);
  if (missing.length === 0) return [finding('privileges', true, 'all that is needed', undefined)];
  return missing.map(({ capability, loss = 'nothing is captured' }) =>
    finding('privileges', false, `without ${capability}, ${loss}`, 'run this as root, or with this capability'),
  );
}

function namespaceFindings(): Finding[] {
  return foreignNamespaces(readLink).map((kind) =>
    finding(
      'namespaces',
      false,
      `the ${kind} namespace is not that of the host`,
      `run this in the ${kind} namespace of the host`,
    ),
  );
}

function threadFindings(list: ThreadList): Finding[] {
  return list.kind === 'refused' ? [finding('threads', false, `cannot be listed: ${list.reason}`, undefined)] : [];
}

function finding(step: string, isGood: boolean, detail: string, remedy: string | undefined): Finding {
  return { step, outcome: isGood ? 'found' : 'missing', detail, remedy: isGood ? undefined : remedy };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
