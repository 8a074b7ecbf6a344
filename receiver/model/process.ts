// Who moved the bytes: a process image on this host, as the kernel named it at the I/O itself.
import type { AttributeValue } from './span.ts';

/** A process: thread group id in the initial pid namespace and the start of its leader, which together are never reused. */
export interface ProcessId {
  readonly pid: number;
  /** Nanoseconds since boot. Compared for identity only (exact below 104 days of uptime, within 2 ns after). */
  readonly startTime: number;
}

/**
 * What the kernel copied from a process in its own context when it first did an observed I/O (and again after exec).
 * Complete even if the process ends a microsecond later.
 */
export interface ProcessImage extends ProcessId {
  readonly comm: string;
  /** Path of the executable in the mount namespace's own root, '' if the kernel could not tell. */
  readonly executablePath: string;
  /** Path in the cgroup v2 hierarchy, outermost first, '' for the root. */
  readonly cgroupPath: string;
  /** argv, cut at the captured size. */
  readonly args: readonly string[];
  /** NAME=value pairs whose name begins with OTEL_; everything else was dropped at decode. */
  readonly environment: ReadonlyMap<string, string>;
  /** Attributes that its SDK has published of it since (OTEP 4719). Whenever they change, the image is another object. */
  readonly published?: ReadonlyMap<string, AttributeValue>;
}
