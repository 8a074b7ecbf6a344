// `${env:NAME}`, `${env:NAME:-default}`, `${NAME}`, `${file:…}`, `${yaml:…}` in values → what they stand for; `$$` → `$`.
// Innermost first, results expanded again, as the Collector's resolver does:
// https://github.com/open-telemetry/opentelemetry-collector/blob/main/docs/rfcs/env-vars.md
import { messageOf } from '../errors.ts';
import type { ConfigInputs, ConfigWarning } from './sources.ts';
import { retrieve } from './sources.ts';
import type { Tree } from './tree.ts';
import { ExpandedValue, parseYaml } from './tree.ts';

const maxExpansions = 1000;
const maxExpandedCharacters = 4 * 1024 * 1024;

export interface Expansion {
  readonly tree: Tree;
  /** One line each, with the path of the value. */
  readonly problems: readonly string[];
}

interface Context {
  readonly inputs: ConfigInputs;
  readonly warnings: ConfigWarning[];
  readonly problems: string[];
}

/** Shared by everything that one written value leads to, so that references that grow each other end. */
interface Budget {
  expansions: number;
}

export function expandTree(tree: Tree, inputs: ConfigInputs, warnings: ConfigWarning[]): Expansion {
  const context: Context = { inputs, warnings, problems: [] };
  return { tree: expandIn(tree, '', undefined, context), problems: context.problems };
}

function expandIn(tree: Tree, path: string, budget: Budget | undefined, context: Context): Tree {
  if (typeof tree === 'string') {
    try {
      return expandText(tree, path, budget ?? { expansions: 0 }, context);
    } catch (error) {
      context.problems.push(`${path}: ${messageOf(error)}`);
      return null;
    }
  }
  if (tree instanceof ExpandedValue || typeof tree !== 'object' || tree === null) return tree;
  const join = (key: string | number): string => (path === '' ? String(key) : `${path}::${key}`);
  if (tree instanceof Map) {
    const entries = [...(tree as ReadonlyMap<string, Tree>)];
    return new Map(entries.map(([key, value]) => [key, expandIn(value, join(key), budget, context)]));
  }
  return (tree as readonly Tree[]).map((item, at) => expandIn(item, join(at), budget, context));
}

function expandText(written: string, path: string, budget: Budget, context: Context): Tree {
  let text = written;
  for (;;) {
    const reference = findReference(text);
    if (reference === undefined) return unescapeDollars(text);
    budget.expansions++;
    if (budget.expansions > maxExpansions) throw new Error(`too many recursive expansions in "${clip(written)}"`);
    const replacement = resolveReference(text.slice(reference.open, reference.end), context);
    if (reference.open > 0 || reference.end < text.length) {
      text = text.slice(0, reference.open) + replacement + text.slice(reference.end);
      if (text.length > maxExpandedCharacters)
        throw new Error(`"${clip(written)}" expands to more than ${maxExpandedCharacters} characters`);
      continue;
    }
    // The reference is the whole value: it may be of any type. Text that is not YAML, or is a YAML string, is taken verbatim.
    const parsed = parseYaml(replacement);
    if (parsed.kind === 'parsed' && typeof parsed.tree !== 'string') {
      return new ExpandedValue(expandIn(parsed.tree, path, budget, context), unescapeDollars(replacement));
    }
    text = replacement;
  }
}

/** The innermost unescaped `${…}` that closes first: text[open, end). */
function findReference(text: string): { readonly open: number; readonly end: number } | undefined {
  let from = 0;
  for (;;) {
    const close = text.indexOf('}', from);
    if (close === -1) return undefined;
    const open = text.lastIndexOf('${', close);
    if (open >= from) {
      let dollars = 0;
      while (open - dollars > from && text[open - dollars - 1] === '$') dollars++;
      if (dollars % 2 === 0) return { open, end: close + 1 };
    }
    from = close + 1;
  }
}

function resolveReference(reference: string, context: Context): string {
  const inner = reference.slice(2, -1);
  const uri = inner.includes(':') ? inner : `env:${inner}`;
  if (uri.includes('$')) throw new Error(`the uri "${clip(uri)}" contains unsupported characters ('$')`);
  const { text, warning } = retrieve(uri, context.inputs);
  const isKnown = warning !== undefined && context.warnings.some((known) => known.fields['name'] === warning.fields['name']);
  if (warning !== undefined && !isKnown) context.warnings.push(warning);
  return text;
}

function unescapeDollars(text: string): string {
  return text.includes('$$') ? text.replaceAll('$$', () => '$') : text;
}

function clip(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}
