// What this process may not do → what it cannot see for that. The one table of what each capability is for: errors and warnings of the start, and the
// command `doctor`, speak from it. https://man7.org/linux/man-pages/man7/capabilities.7.html
import type { CapabilityName } from '../../native/index.ts';

export interface Privilege {
  readonly capability: CapabilityName;
  /** The kernel takes CAP_SYS_ADMIN instead. */
  readonly isInSysAdmin: boolean;
  /** What it is for: 'to …'. */
  readonly purpose: string;
  /** What comes of it when it is missing, a clause; undefined: nothing is captured, and the receiver does not start. */
  readonly loss: string | undefined;
}

export const privileges: readonly Privilege[] = [
  { capability: 'CAP_BPF', isInSysAdmin: true, purpose: 'to load BPF programs', loss: undefined },
  { capability: 'CAP_PERFMON', isInSysAdmin: true, purpose: 'to trace the kernel, and to probe programs', loss: undefined },
  {
    capability: 'CAP_SYS_PTRACE',
    isInSysAdmin: false,
    purpose: 'to look into processes',
    loss: 'TLS libraries and thread contexts are not found in processes of other users',
  },
  {
    capability: 'CAP_DAC_READ_SEARCH',
    isInSysAdmin: false,
    purpose: 'to open the files that processes map',
    loss: 'TLS libraries and thread contexts are not found in files that this user may not read',
  },
  {
    capability: 'CAP_CHECKPOINT_RESTORE',
    isInSysAdmin: true,
    purpose: 'to open files that processes map and that were replaced since',
    loss: 'TLS libraries and thread contexts are not found in files that were deleted or replaced while they are in use',
  },
];

/** In the order of the table: what everything depends on comes first. */
export function missingPrivileges(effective: ReadonlySet<CapabilityName>): readonly Privilege[] {
  return privileges.filter(
    ({ capability, isInSysAdmin }) => !effective.has(capability) && !(isInSysAdmin && effective.has('CAP_SYS_ADMIN')),
  );
}

/** The kernel's fixed numbers of the namespaces that it starts with, include/uapi/linux/nsfs.h. */
const initialNamespaces = { pid: 0xeffffffc, user: 0xeffffffd } as const;

export type NamespaceKind = keyof typeof initialNamespaces;

/** Of these kinds, the process is in a namespace of its own, not in that of the host. `readLink`: of /proc/self/ns/KIND. */
export function foreignNamespaces(readLink: (path: string) => string | undefined): readonly NamespaceKind[] {
  return (Object.keys(initialNamespaces) as NamespaceKind[]).filter((kind) => {
    const link = readLink(`/proc/self/ns/${kind}`);
    return link !== undefined && link !== `${kind}:[${String(initialNamespaces[kind])}]`;
  });
}
