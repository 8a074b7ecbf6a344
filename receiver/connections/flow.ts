// Where one direction of a connection stands.
import type { LossReason } from '../model/protocol.ts';

export interface Flow {
  /** Next position to hand over. */
  position: number;
  /** Its copy window opened here: at the last turn, or where the kernel was last told that it was followed. */
  windowStart: number;
  /** The kernel was told that nothing before it is of interest, and tells nothing of it. */
  steppedTo: number;
  /** Events were lost: the next hole is theirs. */
  isResumed: boolean;
}

/** Why bytes of this flow are missing that no event told of. */
export function holeOf(flow: Flow): LossReason {
  return flow.isResumed ? 'ring_full' : 'unseen_io';
}

export function flowAt(position: number): Flow {
  return { position, windowStart: position, steppedTo: 0, isResumed: false };
}
