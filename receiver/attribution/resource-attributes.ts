// OTEL_RESOURCE_ATTRIBUTES → attributes (https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable).

/** More than any SDK's default limit. */
const MAX_ATTRIBUTES = 128;

/**
 * `key=value` pairs separated by commas, both percent-decoded. As the specification asks, one malformed pair discards all of them: the result is
 * `undefined`. Empty pairs (a final comma) and empty values are left out.
 */
export function parseResourceAttributes(text: string): ReadonlyMap<string, string> | undefined {
  const attributes = new Map<string, string>();
  for (const pair of text.split(',')) {
    if (pair.trim() === '') continue;
    const equals = pair.indexOf('=');
    if (equals === -1) return undefined;
    const key = decode(pair.slice(0, equals).trim());
    const value = decode(pair.slice(equals + 1).trim());
    if (key === undefined || key === '' || value === undefined) return undefined;
    if (value !== '' && (attributes.size < MAX_ATTRIBUTES || attributes.has(key))) attributes.set(key, value);
  }
  return attributes;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
