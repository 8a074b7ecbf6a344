// How full the ring is → the share of connections that the kernel leaves out. Which ones is decided in the kernel, by the connection
// itself (bpf/overload.h), so a growing share keeps those out that are out already. It grows quickly, holds, and falls by itself.
import type { Nanoseconds } from '../model/transaction.ts';

export interface OverloadOptions {
  /** The largest share of connections that may be left out, 0 to 1. */
  readonly maxShare: number;
}

export interface OverloadGuardOptions extends OverloadOptions {
  readonly kernel: OverloadKernel;
  readonly ringSizeBytes: number;
  onBegin(): void;
  /** `highest`: the largest share since it began. */
  onEnd(highest: number, duration: Nanoseconds): void;
}

/** What the guard needs of a KernelSession. */
export interface OverloadKernel {
  readonly pendingBytes: number;
  /** 0 to 1. */
  leaveOut(share: number): void;
}

/** What is looked at together. */
const WINDOW_NS = 100e6;
/** Fill of the ring that is pressure: user space is not keeping up, and a burst has half of the ring left. */
const PRESSURE = 0.5;
/** So many windows in a row with pressure are no burst, which the ring is there for. Once events are lost, one is enough. */
const FIRST_WINDOWS = 2;
/** A ring so full refuses the next large record. */
const FULL = 15 / 16;
const FIRST_SHARE = 1 / 16;
/** Of the connections that are still in, each step takes this part out. */
const GROWTH = 1 / 4;
/** So long after the last pressure the share stands. */
const HOLD_NS = 2e9;
/** Then each window's time leaves this part of it: less than a hundredth is left after 4.3 s. */
const DECAY = 0.9;
const NOTHING = 1 / 256;

export class OverloadControl {
  readonly #maxShare: number;
  #share = 0;
  #windowBegin = -Infinity;
  #lastPressure = -Infinity;
  #isPressed = false;
  #isRefusing = false;
  #pressedWindows = 0;

  constructor({ maxShare }: OverloadOptions) {
    this.#maxShare = maxShare;
  }

  /** Share of connections to leave out, 0 to 1. */
  get share(): number {
    return this.#share;
  }

  /** One look at the ring. `fill`: 0 to 1; `isRefusing`: it has no room for the next event. True when the share is another one now. */
  look(now: Nanoseconds, fill: number, isRefusing: boolean): boolean {
    if (isRefusing) this.#isRefusing = true;
    if (isRefusing || fill >= PRESSURE) this.#isPressed = true;
    const elapsed = now - this.#windowBegin;
    if (elapsed < WINDOW_NS) return false;
    this.#windowBegin = now;
    const before = this.#share;
    this.#pressedWindows = this.#isPressed ? this.#pressedWindows + 1 : 0;
    const isBurst = before === 0 && !this.#isRefusing && this.#pressedWindows < FIRST_WINDOWS;
    if (this.#isPressed && !isBurst) {
      this.#lastPressure = now;
      this.#share = this.#grown();
    } else {
      this.#share = this.#fallen(now, elapsed);
    }
    this.#isPressed = this.#isRefusing = false;
    return this.#share !== before;
  }

  #grown(): number {
    const grown = this.#share === 0 ? FIRST_SHARE : this.#share + (1 - this.#share) * GROWTH;
    return Math.min(grown, this.#maxShare);
  }

  /** By the time: whoever is slow looks less often. */
  #fallen(now: Nanoseconds, elapsed: Nanoseconds): number {
    if (this.#share === 0 || now - this.#lastPressure < HOLD_NS) return this.#share;
    const fallen = this.#share * DECAY ** (elapsed / WINDOW_NS);
    return fallen < NOTHING ? 0 : fallen;
  }
}

/** Looks at the ring before each round of draining and tells the kernel the share. */
export class OverloadGuard {
  readonly #options: OverloadGuardOptions;
  readonly #control: OverloadControl;
  #beganAt: Nanoseconds = 0;
  #highest = 0;

  constructor(options: OverloadGuardOptions) {
    this.#options = options;
    this.#control = new OverloadControl(options);
  }

  /** Share of connections that are left out, 0 to 1. */
  get share(): number {
    return this.#control.share;
  }

  look(now: Nanoseconds): void {
    const { kernel, ringSizeBytes } = this.#options;
    const before = this.#control.share;
    const fill = kernel.pendingBytes / ringSizeBytes;
    // Refused events leave holes in the numbering too, but those show only with the next event of that CPU, perhaps long after.
    const hasMoved = this.#control.look(now, fill, fill >= FULL);
    if (!hasMoved) return;
    const { share } = this.#control;
    kernel.leaveOut(share);
    if (before === 0) {
      this.#beganAt = now;
      this.#highest = 0;
      this.#options.onBegin();
    }
    if (share > this.#highest) this.#highest = share;
    if (share === 0) this.#options.onEnd(this.#highest, now - this.#beganAt);
  }
}
