// cgroup path → the container and the Kubernetes pod that it belongs to, as the runtimes name their groups: Docker, containerd, CRI-O, Podman,
// nerdctl, ECS; cgroupfs and systemd drivers; nested runtimes (the innermost container counts).

export interface ContainerInfo {
  /** 64 lower-case hex digits. */
  readonly id: string | undefined;
  /** A UUID, or the 32 hex digits that the kubelet gives to static pods. */
  readonly podUid: string | undefined;
}

const ID_LENGTH = 64;
const UUID_LENGTH = 36;
const STATIC_UID_LENGTH = 32;

export function containerOf(cgroupPath: string): ContainerInfo {
  let id: string | undefined;
  let podUid: string | undefined;
  // From the innermost group outwards: the container that holds the process before those that hold the container.
  for (const component of cgroupPath.split('/').reverse()) {
    id ??= containerId(component);
    podUid ??= podUidOf(component);
  }
  return { id, podUid };
}

/** `<id>`, `docker-<id>.scope`, `cri-containerd-<id>.scope`, `kubepods-….slice:cri-containerd:<id>`. */
function containerId(component: string): string | undefined {
  const name = component.endsWith('.scope') ? component.slice(0, -'.scope'.length) : component;
  const from = name.length - ID_LENGTH;
  if (from < 0 || !isHex(name, from, name.length)) return undefined;
  const prefix = name.slice(0, from);
  // The monitor beside a container (crio-conmon-<id>, libpod-conmon-<id>) is not in it.
  if (prefix.includes('conmon')) return undefined;
  return prefix === '' || prefix.endsWith('-') || prefix.endsWith(':') ? name.slice(from) : undefined;
}

/** `pod<uid>`, `kubepods-burstable-pod<uid with _ for ->.slice`, the same followed by `:cri-containerd:<id>`. */
function podUidOf(component: string): string | undefined {
  const from = component.includes('kubepods') ? component.lastIndexOf('-pod') + 1 : 0;
  if (!component.startsWith('pod', from)) return undefined;
  const slice = component.indexOf('.slice', from);
  const uid = component.slice(from + 'pod'.length, slice === -1 ? undefined : slice);
  if (uid.length === STATIC_UID_LENGTH) return isHex(uid, 0, uid.length) ? uid : undefined;
  return isUuid(uid) ? uid.replaceAll('_', '-') : undefined;
}

function isUuid(text: string): boolean {
  if (text.length !== UUID_LENGTH) return false;
  for (const at of [8, 13, 18, 23]) if (text[at] !== '-' && text[at] !== '_') return false;
  return isHex(text, 0, 8) && isHex(text, 9, 13) && isHex(text, 14, 18) && isHex(text, 19, 23) && isHex(text, 24, UUID_LENGTH);
}

function isHex(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (!((code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66))) return false;
  }
  return true;
}
