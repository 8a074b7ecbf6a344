// A root folder and what a process in it may do → a command that runs the receiver there, by crun, as Docker, Podman and Kubernetes would have it run: other
// mounts, other capabilities, filtered system calls, the process ids of the host.
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Cleanup } from '../traffic/program.ts';
import { newRun } from '../traffic/traffic.ts';

/** https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp */
export interface Seccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly args?: readonly { readonly index: number; readonly value: number; readonly op: string }[];
}

export interface ContainerOptions {
  readonly root: string;
  /** The program and its first arguments. */
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly capabilities: readonly string[];
  readonly seccomp: Seccomp;
  /** Default: root, who needs no ambient capabilities to have them. */
  readonly uid?: number;
  /** Paths inside → folders of this machine, read-only. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** As if they were not there. */
  readonly maskedPaths?: readonly string[];
}

/** For startReceiver(). The configuration lies below /tmp, which is that of this machine, and the only place that can be written. */
export function inContainer(cleanup: Cleanup, options: ContainerOptions): (args: readonly string[]) => readonly string[] {
  const { root, command, env, capabilities, seccomp, uid = 0, mounts = {}, maskedPaths = [] } = options;
  const bind = (destination: string, source: string, ...flags: string[]): object => ({
    ...{ destination, source, type: 'bind', options: ['rbind', 'nosuid', 'nodev', ...flags] },
  });
  const granted = { bounding: capabilities, effective: capabilities, permitted: capabilities };
  const configFor = (args: readonly string[]): object => ({
    ociVersion: '1.0.2',
    root: { path: root, readonly: true },
    process: {
      terminal: false,
      user: { uid, gid: uid },
      cwd: '/',
      env,
      args: [...command, ...args],
      capabilities: uid === 0 ? granted : { ...granted, inheritable: capabilities, ambient: capabilities },
      noNewPrivileges: true,
    },
    mounts: [
      // The host's, because the process ids are.
      bind('/proc', '/proc', 'noexec'),
      bind('/sys', '/sys', 'noexec', 'ro'),
      bind('/tmp', tmpdir()),
      // As every runtime has it.
      bind('/etc/hosts', '/etc/hosts', 'ro'),
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
      ...Object.entries(mounts).map(([destination, source]) => bind(destination, source, 'ro')),
    ],
    linux: { namespaces: ['mount', 'ipc', 'uts'].map((type) => ({ type })), seccomp, maskedPaths },
  });
  return (args) => {
    const bundle = mkdtempSync(path.join(tmpdir(), 'usm-bundle-'));
    cleanup.after(() => rmSync(bundle, { recursive: true, force: true }));
    writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(configFor(args)));
    // It writes beside its configuration.
    for (const folder of args.map((argument) => path.dirname(argument)))
      if (folder.startsWith(tmpdir()) && existsSync(folder)) chownSync(folder, uid, uid);
    // It refuses hosts that have both versions of cgroups, and needs none.
    const mounting = ['unshare', '--mount', 'sh', '-c', 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', 'sh'];
    return [...mounting, 'crun', '--cgroup-manager=disabled', 'run', '--bundle', bundle, `usm-${newRun()}`];
  };
}
