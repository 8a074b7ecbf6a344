// Configuration as written, before its meaning is known: YAML text → a tree of maps, lists and scalars, and the merging of trees.
// Rules of YAML 1.2 with those of Go's yaml.v3 that Collector users meet: merge keys `<<`, and its numbers (0660, 0b11, 1_000). https://github.com/go-yaml/yaml
import { parseDocument } from 'yaml';

/** Maps are Maps: a key such as `__proto__` is a key like any other. */
export type Tree = null | boolean | number | string | readonly Tree[] | ReadonlyMap<string, Tree> | ExpandedValue;

/** What a reference that was a whole value stood for: typed, and as the text it was, which string settings take unchanged (0123). */
export class ExpandedValue {
  readonly value: Tree;
  readonly text: string;

  constructor(value: Tree, text: string) {
    this.value = value;
    this.text = text;
  }
}

export type ParseResult =
  { readonly kind: 'parsed'; readonly tree: Tree } | { readonly kind: 'failed'; readonly message: string };

const integer = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^[-+]?(?:0[xX]_*[0-9a-fA-F][0-9a-fA-F_]*|0[oO]_*[0-7][0-7_]*|0[bB]_*[01][01_]*|[0-9][0-9_]*)$/,
  resolve: (text: string) => {
    const digits = text.replace(/^[-+]/, '').replaceAll('_', '');
    const value = /^0[0-7]+$/.test(digits) ? parseInt(digits, 8) : Number(digits);
    return text.startsWith('-') ? -value : value;
  },
} as const;

const float = {
  tag: 'tag:yaml.org,2002:float',
  default: true,
  test: /^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?_*[0-9][0-9_]*)?$/,
  resolve: (text: string) => Number(text.replaceAll('_', '')),
} as const;

export function parseYaml(text: string): ParseResult {
  const document = parseDocument(text, {
    merge: true,
    uniqueKeys: true,
    stringKeys: false,
    prettyErrors: false,
    customTags: (tags) => [integer, float, ...tags],
  });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) return { kind: 'failed', message: `line ${lineAt(text, problem.pos[0])}: ${problem.message}` };
  try {
    return { kind: 'parsed', tree: toTree(document.toJS({ mapAsMap: true, maxAliasCount: 100 })) };
  } catch (error) {
    // An alias without its anchor, or aliases of aliases that would grow without a bound.
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}

function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

function toTree(value: unknown): Tree {
  if (Array.isArray(value)) return value.map(toTree);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [String(key), toTree(item)]));
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return null;
}

/** Maps merge, key by key; anything else, lists and null included, replaces what was there. */
export function mergeTrees(under: Tree, over: Tree): Tree {
  if (!(under instanceof Map) || !(over instanceof Map)) return over;
  const merged = new Map<string, Tree>(under);
  for (const [key, value] of over as ReadonlyMap<string, Tree>) {
    const existing = merged.get(key);
    merged.set(key, existing === undefined ? value : mergeTrees(existing, value));
  }
  return merged;
}

/** `a::b: 1` means `a: {b: 1}`, at the top and in any map that is not in a list. */
export function unflatten(tree: ReadonlyMap<string, Tree>): ReadonlyMap<string, Tree> {
  const entries = [...tree].map(
    ([key, value]) => [key, value instanceof Map ? unflatten(value as ReadonlyMap<string, Tree>) : value] as const,
  );
  if (!entries.some(([key]) => key.includes('::'))) return new Map(entries);
  let result: Tree = new Map<string, Tree>();
  for (const [key, value] of entries) result = mergeTrees(result, nest(key.split('::'), value));
  return result as ReadonlyMap<string, Tree>;
}

function nest(keys: readonly string[], value: Tree): Tree {
  return keys.reduceRight<Tree>((inner, key) => new Map([[key, inner]]), value);
}
