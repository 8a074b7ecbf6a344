// Releases of Linux, as uname has them ('6.1.0-44-amd64'), and where what we need of it came in.

/** The oldest that capture is tried on; some of what it needs (bpf_loop, sleepable uprobes, sockets of files) older ones lack. */
export const oldestRelease = '6.1';
/** With the tracepoints sock_send_length and sock_recv_length. */
export const firstWithSocketTracepoints = '6.3';

/** Compares what is before and behind the first point. */
export function isOlder(release: string, than: string): boolean {
  const [major = 0, minor = 0] = partsOf(release);
  const [otherMajor = 0, otherMinor = 0] = partsOf(than);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

function partsOf(release: string): number[] {
  return release.split(/[.-]/, 2).map((part) => parseInt(part, 10));
}
