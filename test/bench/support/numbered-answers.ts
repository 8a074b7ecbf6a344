// The number of a request → the only right answer to it, so that a span shows whether its two halves belong together.

/** Requests with the same last two digits have the same answer, and no others. */
export const NUMBERED_ANSWERS = 100;

/** Of each of these: a body, and a connection that stays open. */
const statuses = [200, 201, 202, 203, 404, 405, 409, 410, 429, 503] as const;

export function numberedAnswer(number: number): { readonly status: number; readonly size: number } {
  const kind = number % NUMBERED_ANSWERS;
  return { status: statuses[Math.floor(kind / 10)]!, size: 150 + kind };
}

/** What its path begins with; behind that is the number itself (load/fixed-rate.c). */
export function numberedFolder(number: number): string {
  return `/${String(number % NUMBERED_ANSWERS).padStart(2, '0')}/`;
}
