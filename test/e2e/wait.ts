// Waiting for a condition with a deadline, instead of sleeping.
import { patience } from '../support/patience.ts';

export async function waitFor<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs * patience;
  for (;;) {
    const askedAt = performance.now();
    const answer = condition();
    const tookMs = performance.now() - askedAt;
    const result = await answer;
    if (result !== undefined && result !== false) return result;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs * patience} ms in vain for ${what}`);
    // Reading a large file again and again would take the time from those that write it.
    await new Promise((resolve) => setTimeout(resolve, Math.max(20, 4 * tookMs)));
  }
}
