// Where one direction of a connection stands.
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

export function flowAt(position: number): Flow {
  return { position, windowStart: position, steppedTo: 0, isResumed: false };
}
