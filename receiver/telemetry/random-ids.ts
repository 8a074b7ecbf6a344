// Random bytes → trace and span ids (https://opentelemetry.io/docs/specs/otel/trace/sdk/#id-generators): all their bits are random,
// so a trace id also satisfies the W3C random flag.
import { Buffer } from 'node:buffer';

const POOL_BYTES = 8192;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);

export interface IdSource {
  /** 32 lower-case hex digits, never all zero. */
  traceId(): string;
  /** 16 lower-case hex digits, never all zero. */
  spanId(): string;
}

/**
 * `randomFill` fills all of what it is given with cryptographic randomness. It is asked for 8 KiB at a time, which are turned into text at
 * once: an id is a piece of that text and costs nothing to make, but whoever keeps one keeps 16 KiB.
 */
export function createRandomIds(randomFill: (bytes: Uint8Array) => unknown): IdSource {
  const pool = Buffer.alloc(POOL_BYTES);
  let digits = '';
  let used = 0;

  function take(count: number): string {
    if (used + count > digits.length) {
      randomFill(pool);
      digits = pool.toString('hex');
      used = 0;
    }
    used += count;
    return digits.substring(used - count, used);
  }

  function takeOther(count: number, forbidden: string): string {
    for (;;) {
      const id = take(count);
      if (id !== forbidden) return id;
    }
  }

  return {
    traceId: () => takeOther(32, NO_TRACE),
    spanId: () => takeOther(16, NO_SPAN),
  };
}
