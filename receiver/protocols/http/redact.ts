// Query string → the same with the values of sensitive parameters replaced; the keys stay
// (https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/, url.query).

export const REDACTED = 'REDACTED';

/**
 * `keys` are compared case-sensitively with each key as it is written and, if it is percent-encoded, as it is meant.
 * A parameter without `=` has no value and stays.
 */
export function redactQuery(query: string, keys: readonly string[]): string {
  if (keys.length === 0) return query;
  let result = '';
  /** End of what has been copied to `result`. */
  let copied = 0;
  let from = 0;
  for (;;) {
    const ampersand = query.indexOf('&', from);
    const to = ampersand === -1 ? query.length : ampersand;
    const equals = indexWithin(query, '=', from, to);
    if (equals !== -1 && isSensitive(query, from, equals, keys)) {
      result += query.substring(copied, equals + 1) + REDACTED;
      copied = to;
    }
    if (ampersand === -1) break;
    from = ampersand + 1;
  }
  return copied === 0 ? query : result + query.substring(copied);
}

/** Unlike indexOf this never searches beyond `to`, which would make a long query without `=` quadratic. */
function indexWithin(text: string, character: string, from: number, to: number): number {
  const code = character.charCodeAt(0);
  for (let i = from; i < to; i++) if (text.charCodeAt(i) === code) return i;
  return -1;
}

function isSensitive(query: string, from: number, to: number, keys: readonly string[]): boolean {
  for (const key of keys) {
    if (key.length === to - from && query.startsWith(key, from)) return true;
  }
  if (indexWithin(query, '%', from, to) === -1) return false;
  return keys.includes(decodeKey(query.substring(from, to)));
}

function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Ill-formed percent-encoding: a key that nobody can mean.
    return text;
  }
}
