// Files of the host → what all Resources say about it (https://opentelemetry.io/docs/specs/semconv/resource/host/).

export interface HostInfo {
  /** Survives a reboot; `undefined` where the host has no such id. */
  readonly id: string | undefined;
  readonly name: string;
  /** As the conventions name it: `amd64`, `arm64`, … */
  readonly arch: string;
}

export interface HostReaders {
  /** Content of a file, `undefined` if it cannot be read. */
  readonly readText: (path: string) => string | undefined;
  readonly hostName: string;
  /** As Node.js names it: `x64`, `arm64`, … */
  readonly arch: string;
}

/** In order of preference. The machine id is the conventions' first choice for what is no cloud instance; the firmware's needs root. */
const ID_FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id', '/sys/class/dmi/id/product_uuid'] as const;

const archNames: ReadonlyMap<string, string> = new Map([
  ['x64', 'amd64'],
  ['ia32', 'x86'],
  ['arm', 'arm32'],
]);

export function readHost(readers: HostReaders): HostInfo {
  return { id: readId(readers.readText), name: readers.hostName, arch: archNames.get(readers.arch) ?? readers.arch };
}

function readId(readText: HostReaders['readText']): string | undefined {
  for (const path of ID_FILES) {
    const id = readText(path)?.trim().toLowerCase();
    if (id !== undefined && isId(id)) return id;
  }
  return undefined;
}

/** Hex digits and hyphens that are neither all zeros nor all ones: not "uninitialized", and not the id of a firmware that has none. */
function isId(text: string): boolean {
  return /^[0-9a-f-]{32,36}$/.test(text) && !/^[0-]*$/.test(text) && !/^[f-]*$/.test(text);
}
