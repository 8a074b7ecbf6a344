// The lines of a systemd unit that filter system calls → the same as a profile for container runtimes, by what systemd-analyze says of its groups.
// https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#SystemCallFilter=
import { execFileSync } from 'node:child_process';
import type { Seccomp, SeccompRule } from './container.ts';

/** linux/socket.h */
const families: Readonly<Record<string, number>> = { AF_UNIX: 1, AF_INET: 2, AF_INET6: 10, AF_NETLINK: 16 };

export function seccompOfUnit(unit: string): Seccomp {
  // Whatever a list begins with, it has these.
  const allowed = new Set(callsOf('@default'));
  for (const line of valuesOf(unit, 'SystemCallFilter')) {
    const isDenied = line.startsWith('~');
    for (const call of line.replace('~', '').split(' ').flatMap(callsOf)) {
      if (isDenied) allowed.delete(call);
      else allowed.add(call);
    }
  }
  const sockets = valuesOf(unit, 'RestrictAddressFamilies')
    .flatMap((line) => line.split(' '))
    .map((name): SeccompRule => {
      const value = families[name];
      if (value === undefined) throw new Error(`which number has ${name}?`);
      return { names: ['socket'], action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }] };
    });
  if (sockets.length > 0) allowed.delete('socket');
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 1,
    syscalls: [{ names: [...allowed], action: 'SCMP_ACT_ALLOW' }, ...sockets],
  };
}

export function valuesOf(unit: string, key: string): readonly string[] {
  return [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

/** Of a group, with the groups in it; or itself. */
function callsOf(name: string): readonly string[] {
  if (!name.startsWith('@')) return [name];
  const text = execFileSync('systemd-analyze', ['syscall-filter', '--no-pager', name], { encoding: 'utf8' });
  const lines = text.split('\n').flatMap((line) => /^ {4}([^#\s]\S*)/.exec(line)?.[1] ?? []);
  return lines.flatMap(callsOf);
}
