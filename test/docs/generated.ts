// Parts of docs/*.md that are made from code: between `<!-- generated: NAME -->` and `<!-- end -->`.
// `UPDATE_DOCS=1 node --test 'test/{config,errors,telemetry}/**/*.test.ts'` writes them; without it, a difference is a failing test.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';

/** `isPartial`: other parts of the document are another test's. */
export function checkGenerated(
  file: URL,
  parts: Readonly<Record<string, string>>,
  shouldUpdate: boolean,
  isPartial = false,
): void {
  const written = readFileSync(file, 'utf8');
  const seen: string[] = [];
  const expected = written.replace(
    /(<!-- generated: (\S+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (whole, open: string, name: string, close: string) => {
      if (isPartial && !Object.hasOwn(parts, name)) return whole;
      seen.push(name);
      return `${open}\n${parts[name] ?? ''}\n${close}`;
    },
  );
  assert.deepEqual(seen.sort(), Object.keys(parts).sort(), `the generated parts of ${file.pathname}`);
  if (shouldUpdate) writeFileSync(file, expected);
  else
    assert.equal(
      written,
      expected,
      "the document is out of date; run UPDATE_DOCS=1 node --test 'test/{config,errors,telemetry}/**/*.test.ts'",
    );
}

export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}
