// Memory for large requests, used again once a request was delivered. Left to the garbage collector, such blocks pile up: they mostly
// outlive the young generation, and the old one is collected for the sake of its own, small objects only.

/**
 * Far below what backends take by default (gRPC servers: 4 MiB), so that a few requests on their way, and the copy of each that the gRPC
 * library makes, are little memory. A request has a price of its own: by gRPC a megabyte takes 0.7 ms of CPU in pieces of 800 kB, 1.0 in
 * pieces of 400 kB, and 1.4 in pieces of 200 kB.
 */
export const MAX_REQUEST_BYTES = 512 * 1024;
/** A smaller request gets a block of exactly its size. */
const LEAST_BYTES = 64 * 1024;
const MAX_SPARE_BYTES = 2 * 1024 * 1024;

export class RequestBuffers {
  /** Each is the whole of its ArrayBuffer. */
  readonly #spare: Buffer<ArrayBuffer>[] = [];
  #spareBytes = 0;

  /** At the beginning of its ArrayBuffer, with anything in it. */
  take(size: number): Buffer<ArrayBuffer> {
    if (size < LEAST_BYTES || size > MAX_REQUEST_BYTES) return Buffer.allocUnsafeSlow(size);
    const capacity = 2 ** Math.ceil(Math.log2(size));
    const index = this.#spare.findIndex((spare) => spare.length === capacity);
    if (index === -1) return Buffer.allocUnsafeSlow(capacity).subarray(0, size);
    const [block] = this.#spare.splice(index, 1) as [Buffer<ArrayBuffer>];
    this.#spareBytes -= capacity;
    return block.subarray(0, size);
  }

  /** Nobody reads the request any more. */
  release(request: Uint8Array): void {
    const block = request.buffer;
    const capacity = block.byteLength;
    // One of another size is not ours, and a detached one has none. What is spare already was given back before.
    if (!(block instanceof ArrayBuffer) || capacity < LEAST_BYTES || capacity > MAX_REQUEST_BYTES) return;
    if ((capacity & (capacity - 1)) !== 0 || this.#spareBytes + capacity > MAX_SPARE_BYTES) return;
    if (this.#spare.some((spare) => spare.buffer === block)) return;
    this.#spareBytes += capacity;
    this.#spare.push(Buffer.from(block));
  }
}
