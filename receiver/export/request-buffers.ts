// Memory for large requests, used again once a request was delivered. Left to the garbage collector, such blocks pile up: they mostly
// outlive the young generation, and the old one is collected for the sake of its own, small objects only.

/** Far below what backends take by default (gRPC servers: 4 MiB), so that a few requests on their way are little memory. */
export const MAX_REQUEST_BYTES = 1024 * 1024;
/** A smaller request gets a block of its own size, because a queue may hold many of them. */
const LEAST_BYTES = MAX_REQUEST_BYTES / 2;
const MAX_SPARE = 3;

export class RequestBuffers {
  readonly #spare: Buffer<ArrayBuffer>[] = [];

  /** At the beginning of its ArrayBuffer, with anything in it. */
  take(size: number): Buffer<ArrayBuffer> {
    if (size < LEAST_BYTES || size > MAX_REQUEST_BYTES) return Buffer.allocUnsafeSlow(size);
    return (this.#spare.pop() ?? Buffer.allocUnsafeSlow(MAX_REQUEST_BYTES)).subarray(0, size);
  }

  /** Nobody reads the request any more. */
  release(request: Uint8Array): void {
    const block = request.buffer;
    // Not one that was detached, or of another size, or given back already.
    if (!(block instanceof ArrayBuffer) || block.byteLength !== MAX_REQUEST_BYTES || this.#spare.length === MAX_SPARE) return;
    if (!this.#spare.some((spare) => spare.buffer === block)) this.#spare.push(Buffer.from(block));
  }
}
