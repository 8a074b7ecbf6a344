// The Resource that an SDK has published of its process (OTEP 4719) → attributes of ours, within bounds: what a process says of itself goes into every
// request that is exported of it.
import type { ProcessContext } from '../../otel-thread-context/reader/index.ts';
import type { AttributeValue } from '../model/span.ts';

type PublishedValue = ProcessContext['resource'] extends ReadonlyMap<string, infer V> ? V : never;

/** More than any SDK's default limit. */
const MAX_ATTRIBUTES = 128;
/** In UTF-16 units. What is longer is left out, and not cut: half a value is another one. */
const MAX_KEY_LENGTH = 256;
const MAX_VALUE_LENGTH = 4096;
const MAX_ITEMS = 64;
/** For readers of thread contexts alone, wherever a writer puts them. */
const PRIVATE_PREFIX = 'threadlocal.';

/** Empty values, bytes, maps and mixed lists are left out. */
export function publishedAttributes(resource: ProcessContext['resource']): ReadonlyMap<string, AttributeValue> {
  const attributes = new Map<string, AttributeValue>();
  for (const [key, published] of resource) {
    if (key.startsWith(PRIVATE_PREFIX) || key.length > MAX_KEY_LENGTH || attributes.size >= MAX_ATTRIBUTES) continue;
    const value = valueOf(published);
    if (value !== undefined) attributes.set(key, value);
  }
  return attributes;
}

function valueOf(value: PublishedValue): AttributeValue | undefined {
  switch (typeof value) {
    case 'string':
      return isFit(value) ? value : undefined;
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : undefined;
    case 'bigint':
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    default:
      return Array.isArray(value) ? textsOf(value as readonly PublishedValue[]) : undefined;
  }
}

function textsOf(items: readonly PublishedValue[]): readonly string[] | undefined {
  if (items.length === 0 || items.length > MAX_ITEMS) return undefined;
  const texts = items.filter((item) => typeof item === 'string');
  return texts.length === items.length && texts.every(isFit) ? texts : undefined;
}

function isFit(text: string): boolean {
  return text !== '' && text.length <= MAX_VALUE_LENGTH;
}
