// PromQL → the metrics and labels that it names (https://prometheus.io/docs/prometheus/latest/querying/basics/). Only as much of the language as
// the dashboard uses: what is not known is an error, so that no name goes unnoticed.
import assert from 'node:assert/strict';

export interface Selector {
  /** '' for one that matches `__name__`. */
  readonly metric: string;
  readonly labels: readonly string[];
  /** Of a matcher of `__name__`. */
  readonly pattern?: string;
}

export interface Names {
  readonly selectors: readonly Selector[];
  /** What is grouped by. */
  readonly labels: readonly string[];
}

const functions = new Set(['sum', 'rate', 'histogram_quantile', 'topk', 'label_replace']);
const operators = new Set(['or']);
const token = /\s*("[^"]*"|\[[^\]]*\]|[a-zA-Z_]\w*|\d+(?:\.\d+)?|=~|!=|!~|[{}(),=*/])/y;

function tokensOf(expr: string): string[] {
  const tokens: string[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < expr.length) {
    const at = token.lastIndex;
    const [, text] = token.exec(expr) ?? [];
    assert.ok(text !== undefined, `cannot read ${expr.slice(at)}`);
    tokens.push(text);
  }
  return tokens;
}

const isName = (text: string | undefined): text is string => text !== undefined && /^[a-zA-Z_]/.test(text);

export function namesIn(expr: string): Names {
  const tokens = tokensOf(expr);
  const selectors: Selector[] = [];
  const labels: string[] = [];
  let at = 0;

  function readMatchers(metric: string): Selector {
    const found: string[] = [];
    let pattern: string | undefined;
    for (at++; tokens[at] !== '}'; at += tokens[at] === ',' ? 1 : 0) {
      const [name = '', operator = '', value = ''] = tokens.slice(at, at + 3);
      assert.match(operator, /^(=|=~|!=|!~)$/, expr);
      assert.match(value, /^"/, expr);
      if (name === '__name__') pattern = value.slice(1, -1);
      else found.push(name);
      at += 3;
    }
    at++;
    return { metric, labels: found, ...(pattern === undefined ? {} : { pattern }) };
  }

  while (at < tokens.length) {
    const text = tokens[at]!;
    if (text === 'by') {
      const end = tokens.indexOf(')', at);
      labels.push(...tokens.slice(at + 2, end).filter(isName));
      at = end + 1;
    } else if (text === '{') {
      selectors.push(readMatchers(''));
    } else if (!isName(text) || operators.has(text)) {
      at++;
    } else if (functions.has(text)) {
      at++;
    } else {
      at++;
      selectors.push(tokens[at] === '{' ? readMatchers(text) : { metric: text, labels: [] });
    }
  }
  return { selectors, labels };
}

/** `label_values(selector, label)`, the query of a variable. */
export function namesInVariable(query: string): Names {
  const [, selector, label] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? [];
  assert.ok(selector !== undefined && label !== undefined, query);
  return { selectors: namesIn(selector).selectors, labels: [label] };
}
