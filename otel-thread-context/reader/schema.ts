// Attributes of a process context → how the process publishes its threads' contexts, and what a reader of that needs. OTEP 4947.
// https://github.com/open-telemetry/opentelemetry-specification/blob/main/oteps/profiles/4947-thread-ctx.md
import type { AttributeValue, Payload } from './attributes.ts';
import { MAX_KEYS } from './record.ts';

/** A variable that every thread has, and how large it is. */
export interface ThreadSymbol {
  readonly name: string;
  readonly size: number;
}

/**
 * - record_pointer: the variable points to the thread's record.
 * - nodejs: the variable describes a way through the heap of V8 at whose end is the record (nodejs.ts).
 * - go_labels: no variable; the current goroutine's pprof labels, where the Go version that made the program has them (go-runtime.ts).
 */
export type SchemaForm =
  | { readonly kind: 'record_pointer'; readonly symbol: ThreadSymbol }
  | { readonly kind: 'nodejs'; readonly symbol: ThreadSymbol }
  | { readonly kind: 'go_labels' };

export interface ThreadSchema {
  readonly kind: 'schema';
  readonly version: string;
  readonly form: SchemaForm;
  /** Attribute keys by their index in a record, at most 256; '' where the process published no string. */
  readonly keyMap: readonly string[];
  /** The numbers that it publishes besides, by their key without `threadlocal.`. */
  readonly constants: ReadonlyMap<string, bigint>;
  /** The keys were among those of the Resource, where one writer put them. */
  readonly isMisplaced: boolean;
}

export type SchemaResult =
  | ThreadSchema
  /** It may still come: contexts are updated. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'unsupported'; readonly version: string };

export const RECORD_SYMBOL: ThreadSymbol = { name: 'otel_thread_ctx_v1', size: 8 };
export const NODEJS_SYMBOL: ThreadSymbol = { name: 'otel_thread_ctx_nodejs_v1', size: 32 };
/** What an ImageCache has to look for. */
export const threadSymbols: readonly string[] = [RECORD_SYMBOL.name, NODEJS_SYMBOL.name];

const PREFIX = 'threadlocal.';
const recordPointer: SchemaForm = { kind: 'record_pointer', symbol: RECORD_SYMBOL };
const nodejs: SchemaForm = { kind: 'nodejs', symbol: NODEJS_SYMBOL };
const goLabels: SchemaForm = { kind: 'go_labels' };

const forms: ReadonlyMap<string, SchemaForm> = new Map<string, SchemaForm>([
  ['tlsdesc_v1_dev', recordPointer],
  ['tlsdesc_v1', recordPointer],
  ['tls_v1', recordPointer],
  ['nodejs_v1_dev', nodejs],
  ['nodejs_v1', nodejs],
  ['go_pprof_labels_v1', goLabels],
]);

export function threadSchema({ attributes, resource }: Payload): SchemaResult {
  const key = `${PREFIX}schema_version`;
  const isMisplaced = !attributes.has(key) && resource.has(key);
  const from = isMisplaced ? resource : attributes;
  const version = from.get(key);
  if (version === undefined) return { kind: 'absent' };
  const form = typeof version === 'string' ? forms.get(version) : undefined;
  if (typeof version !== 'string' || !form) return { kind: 'unsupported', version: describe(version) };
  const constants = new Map<string, bigint>();
  for (const [name, value] of from) {
    if (name.startsWith(PREFIX) && typeof value === 'bigint') constants.set(name.slice(PREFIX.length), value);
  }
  return { kind: 'schema', version, form, keyMap: keyMapOf(from.get(`${PREFIX}attribute_key_map`)), constants, isMisplaced };
}

function keyMapOf(value: AttributeValue): readonly string[] {
  const keys: string[] = [];
  if (!isList(value)) return keys;
  for (const key of value) if (keys.length < MAX_KEYS) keys.push(typeof key === 'string' ? key : '');
  return keys;
}

function isList(value: AttributeValue): value is readonly AttributeValue[] {
  return Array.isArray(value);
}

/** What another process wrote, fit to be shown. */
function describe(version: AttributeValue): string {
  return typeof version === 'string' ? JSON.stringify(version.slice(0, 64)) : `a ${typeof version}`;
}
