// The allowed word that a misspelt one is close to: optimal string alignment distance, where a swap of two neighbours counts once.

/** The closest of `allowed`, the first of several, within a third of the word's length (at least 1, at most 3 edits), or undefined. */
export function nearMatch(word: string, allowed: readonly string[]): string | undefined {
  const folded = fold(word);
  if (folded.length > 64) return undefined;
  let best: string | undefined;
  let bestDistance = Math.min(3, Math.max(1, Math.floor(folded.length / 3))) + 1;
  for (const candidate of allowed) {
    const distance = editDistance(folded, fold(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Characters (code points), without the difference between upper and lower case (of ASCII), and between `-` and `_`. */
function fold(word: string): readonly string[] {
  return Array.from(word.replace(/[A-Z]/g, (letter) => letter.toLowerCase()).replaceAll('-', '_'));
}

function editDistance(a: readonly string[], b: readonly string[]): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let distance = Math.min(substitution, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        distance = Math.min(distance, (beforeLast[j - 2] ?? 0) + 1);
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
