// A tree and the schema of its place → a plain value with defaults filled in, and the list of what is wrong with it, by the names of keys.
// One walk does both because types follow the schema: an expanded value is text for a string setting and typed for any other.
// Wording follows the Collector's configuration errors: https://github.com/go-viper/mapstructure and confmap.
import { formats } from './formats.ts';
import { nearMatch } from './near-match.ts';
import type { Block, FromSchema, Schema } from './schema.ts';
import type { Tree } from './tree.ts';
import { ExpandedValue } from './tree.ts';
import { parseDurationMs, parseSizeBytes } from './values.ts';

/** Undefined when a problem was added to `problems`. */
export function checkBlock<S extends Schema>(
  tree: Tree,
  path: string,
  block: Block & { readonly schema: S },
  problems: string[],
): FromSchema<S> | undefined {
  const before = problems.length;
  const related: Related[] = [];
  // A block that is null is a block without settings: all defaults.
  const value = walk(tree ?? new Map(), block.schema, { path, relative: '', refusals: block.refusals, problems, related });
  // What two keys say together matters when each is good by itself.
  if (problems.length === before) for (const one of related) checkRelated(one, value, problems);
  return problems.length === before ? (value as FromSchema<S>) : undefined;
}

/** A value that is judged by that of another key. */
interface Related {
  readonly path: string;
  readonly schema: Schema;
  readonly value: unknown;
}

function checkRelated({ path, schema, value }: Related, block: unknown, problems: string[]): void {
  const { needs, notLessThan } = schema;
  if (needs !== undefined && valueAt(block, needs) !== true) problems.push(`${path}: needs ${needs}: true`);
  if (notLessThan === undefined) return;
  const least = String(valueAt(block, notLessThan));
  if (toNumber(String(value), schema) >= toNumber(least, schema)) return;
  problems.push(`${path}: must not be less than ${notLessThan} (${least}), found ${String(value)}`);
}

function valueAt(block: unknown, path: string): unknown {
  return path.split('::').reduce((value, key) => (value as Readonly<Record<string, unknown>>)[key], block);
}

interface Place {
  readonly path: string;
  /** From the block down, list positions left out: the key of its refusals. */
  readonly relative: string;
  readonly refusals: Readonly<Record<string, string>>;
  readonly problems: string[];
  readonly related: Related[];
}

function walk(tree: Tree | undefined, schema: Schema, place: Place): unknown {
  const written = tree instanceof ExpandedValue ? readExpanded(tree, schema) : tree;
  const value = written === undefined || written === null ? defaultOf(schema, place) : walkValue(written, schema, place);
  const isRelated = schema.needs !== undefined || schema.notLessThan !== undefined;
  if (isRelated && value !== undefined) place.related.push({ path: place.path, schema, value });
  return value;
}

/** A reference to nothing is a key without a value, whatever its type: the Collector's component cannot tell them apart. */
function readExpanded({ value, text }: ExpandedValue, schema: Schema): Tree {
  return schema.type === 'string' && text !== '' ? text : value;
}

function walkValue(value: Tree, schema: Schema, place: Place): unknown {
  switch (schema.type) {
    case 'object':
      return walkObject(value, schema, place);
    case 'array':
      return walkArray(value, schema, place);
    default:
      return walkScalar(value, schema, place);
  }
}

function defaultOf(schema: Schema, place: Place): unknown {
  return schema.type === 'object' && schema.default !== undefined ? walkObject(new Map(), schema, place) : schema.default;
}

function walkObject(value: Tree, schema: Schema, place: Place): unknown {
  if (!(value instanceof Map)) {
    reportType(value, 'map', schema, place);
    return;
  }
  const map = value as ReadonlyMap<string, Tree>;
  const { properties, additionalProperties } = schema;
  const entries: [string, unknown][] = [];
  if (properties === undefined) {
    for (const [key, item] of map) {
      const plain =
        typeof additionalProperties === 'object' ? walk(item, additionalProperties, below(place, key, key)) : toPlain(item);
      if (plain !== undefined) entries.push([key, plain]);
    }
    return Object.fromEntries(entries);
  }
  const keys = sorted(Object.keys(properties));
  reportInvalidKeys(map, keys, place);
  for (const key of keys) {
    const before = place.problems.length;
    const item = walk(map.get(key), properties[key] ?? {}, below(place, key, key));
    const isAbsent = (item === undefined || item === '') && place.problems.length === before;
    if (isAbsent && schema.required?.includes(key) === true) place.problems.push(`${place.path}: requires a non-empty "${key}"`);
    entries.push([key, item]);
  }
  if (schema.minProperties !== undefined && isEmptyMap(map)) {
    place.problems.push(`${place.path}: must have at least one of [${keys.join(' ')}]`);
  }
  return Object.fromEntries(entries);
}

/** In the order of their bytes in UTF-8, which is that of code points: the same in every language. */
function sorted(words: readonly string[]): readonly string[] {
  return [...words].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function isEmptyMap(map: ReadonlyMap<string, Tree>): boolean {
  for (const item of map.values()) if (item !== null) return false;
  return true;
}

/** `allowed`: sorted. */
function reportInvalidKeys(map: ReadonlyMap<string, Tree>, allowed: readonly string[], place: Place): void {
  const invalid: string[] = [];
  for (const key of sorted([...map.keys()])) {
    if (allowed.includes(key)) continue;
    const refused = below(place, key, key);
    const reason = refusalOf(place.refusals, refused.relative);
    if (reason === undefined) {
      invalid.push(withNearMatch(quoteKey(key), key, allowed));
      continue;
    }
    place.problems.push(`${refused.path}: is not supported: ${reason}`);
  }
  if (invalid.length > 0) {
    place.problems.push(`'${place.path}' has invalid keys: ${invalid.join(', ')}; valid keys are [${allowed.join(' ')}]`);
  }
}

function walkArray(value: Tree, schema: Schema, place: Place): unknown {
  const items = schema.items ?? {};
  // As in the Collector, a list of strings may be written with commas.
  const list = typeof value === 'string' && items.type === 'string' ? splitList(value) : value;
  if (!Array.isArray(list)) {
    reportType(value, 'list', schema, place);
    return;
  }
  const result = (list as readonly Tree[]).map((item, at) => {
    const itemPlace = below(place, String(at), '');
    // A list has no defaults: what is null in it is a slip.
    if (item !== null) return walk(item, items, itemPlace);
    reportType(item, typeNameOf(items), items, itemPlace);
    return undefined;
  });
  if (schema.minItems !== undefined && list.length < schema.minItems) {
    place.problems.push(`${place.path}: must not be empty; leave it out to set no condition or to use the default`);
  }
  if (schema.maxItems !== undefined && list.length > schema.maxItems) {
    place.problems.push(`${place.path}: must have at most ${schema.maxItems} entries, found ${list.length}`);
  }
  return result;
}

function splitList(text: string): string[] {
  return text === '' ? [] : text.split(',').map((item) => item.replace(/^[ \t]+|[ \t]+$/g, ''));
}

function walkScalar(value: Tree, schema: Schema, place: Place): unknown {
  if (schema.format === 'go-duration') return walkDuration(value, schema, place);
  if (!hasType(value, schema)) {
    reportType(value, typeNameOf(schema), schema, place);
    return;
  }
  if (schema.enum !== undefined && !schema.enum.includes(value as string | boolean)) {
    reportChoice(value, schema.enum, place);
    return;
  }
  if (schema.minLength !== undefined && value === '') {
    report(place, 'must not be empty');
    return;
  }
  if (schema.format !== undefined && !formats[schema.format].has(value as string | number)) {
    report(place, `expected ${formats[schema.format].expected}, found ${quote(value, schema)}`);
    return;
  }
  if (schema.range !== undefined) return walkRange(value as string | number, schema, place);
  return typeof value === 'number' ? walkNumber(value, schema, place) : value;
}

function walkNumber(value: number, schema: Schema, place: Place): unknown {
  const { minimum = -Infinity, maximum = Infinity } = schema;
  if (value >= minimum && value <= maximum) return value;
  const range = maximum === Infinity ? `at least ${minimum}` : `between ${minimum} and ${maximum}`;
  report(place, `must be ${range}, found ${value}`);
  return undefined;
}

function walkDuration(value: Tree, schema: Schema, place: Place): unknown {
  const duration = value === 0 ? '0' : value;
  if (typeof duration === 'string' && formats['go-duration'].has(duration)) return walkRange(duration, schema, place);
  const unit = typeof value === 'number' ? ` without a unit (did you mean "${value}s" or "${value}ms"?)` : '';
  report(place, `expected ${formats['go-duration'].expected}, found ${quote(value, schema)}${unit}`);
  return undefined;
}

/** Of a duration or a size that has its form. */
function walkRange(value: string | number, schema: Schema, place: Place): string | number | undefined {
  if (schema.range === undefined) return value;
  const [least, greatest] = schema.range;
  const number = toNumber(value, schema);
  const isInRange = number >= toNumber(least, schema) && number <= toNumber(greatest, schema);
  if (isInRange && (schema.powerOfTwo !== true || Number.isInteger(Math.log2(number)))) return value;
  const form = schema.powerOfTwo === true ? 'a power of two between' : 'between';
  report(place, `must be ${form} ${least} and ${greatest}, found ${value}`);
  return undefined;
}

/** Milliseconds or bytes. */
function toNumber(value: string | number, { format }: Schema): number {
  return (format === 'go-duration' ? parseDurationMs(String(value)) : parseSizeBytes(value)) ?? NaN;
}

function reportChoice(value: Tree, allowed: readonly (string | boolean)[], place: Place): undefined {
  const reason = refusalOf(place.refusals, `${place.relative}=${textOf(value)}`);
  if (reason !== undefined) {
    report(place, `${quote(value, {})} is not supported: ${reason}`);
    return;
  }
  const words = allowed.map(String);
  report(place, withNearMatch(`must be one of [${words.join(' ')}], found ${quote(value, {})}`, textOf(value), words));
}

function reportType(value: Tree, expected: string, schema: Schema, place: Place): undefined {
  const isQuotable =
    expected === 'string' && (typeof value === 'number' || typeof value === 'boolean') && schema.writeOnly !== true;
  const hint = isQuotable ? `; write it in quotes: "${String(value)}"` : '';
  const shown = typeof value === 'object' || schema.writeOnly === true ? '' : `, value: ${quote(value, schema)}`;
  place.problems.push(
    `'${place.path}' expected type '${expected}', got unconvertible type '${typeNameOfValue(value)}'${shown}${hint}`,
  );
  return undefined;
}

/** Of a scalar; maps and lists have no text that one could mean. */
function textOf(value: Tree): string {
  return typeof value === 'object' ? '' : String(value);
}

function report(place: Place, message: string): undefined {
  place.problems.push(`${place.path}: ${message}`);
  return undefined;
}

function below(place: Place, key: string, relativeKey: string): Place {
  const relative =
    relativeKey === '' ? place.relative : place.relative === '' ? relativeKey : `${place.relative}::${relativeKey}`;
  return { ...place, path: place.path === '' ? key : `${place.path}::${key}`, relative };
}

function refusalOf(refusals: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(refusals, key) ? refusals[key] : undefined;
}

export function withNearMatch(text: string, word: string, allowed: readonly string[]): string {
  const near = nearMatch(word, allowed);
  return near === undefined ? text : `${text} (did you mean "${near}"?)`;
}

/** Bare where that is clear, as the Collector prints keys. */
function quoteKey(key: string): string {
  return /^[\w./-]{1,100}$/.test(key) ? key : JSON.stringify(clip(key));
}

function quote(value: Tree, schema: Schema): string {
  if (schema.writeOnly === true) return '[REDACTED]';
  if (typeof value === 'object') return `a ${typeNameOfValue(value)}`;
  return typeof value === 'string' ? JSON.stringify(clip(value)) : String(value);
}

/** To a hundred characters, not a half one at the end. */
function clip(text: string): string {
  const characters = Array.from(text);
  return characters.length <= 100 ? text : `${characters.slice(0, 100).join('')}…`;
}

function hasType(value: Tree, schema: Schema): boolean {
  switch (schema.type) {
    case 'string':
      return typeof value === 'string';
    case 'boolean':
      return typeof value === 'boolean';
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === 'string' || Number.isInteger(value);
  }
}

function typeNameOf(schema: Schema): string {
  switch (schema.type) {
    case 'object':
      return 'map';
    case 'array':
      return 'list';
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'number':
      return 'float64';
    case 'integer':
      return 'int';
    default:
      return 'int or string';
  }
}

function typeNameOfValue(value: Tree): string {
  if (value === null) return 'null';
  if (value instanceof ExpandedValue) return typeNameOfValue(value.value);
  if (Array.isArray(value)) return 'list';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (typeof value === 'object') return 'map';
  return typeof value === 'boolean' ? 'bool' : 'string';
}

/** What a map of the user's own holds, as plain data. */
function toPlain(tree: Tree): unknown {
  if (tree instanceof ExpandedValue) return toPlain(tree.value);
  if (Array.isArray(tree)) return tree.map(toPlain);
  return tree instanceof Map
    ? Object.fromEntries([...(tree as ReadonlyMap<string, Tree>)].map(([key, item]) => [key, toPlain(item)]))
    : tree;
}
