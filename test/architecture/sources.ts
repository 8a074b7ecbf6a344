// The project's sources and what each imports, as paths from the top of the tree.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const top = fileURLToPath(new URL('../../', import.meta.url));

export interface Source {
  readonly path: string;
  readonly text: string;
  /** Files as paths from the top; packages and 'node:' modules as they are. Type-only and dynamic imports included. */
  readonly imports: readonly string[];
}

export function readSources(patterns: readonly string[]): Source[] {
  return globSync(patterns, { cwd: top, exclude: (name) => name === 'node_modules' || name === 'dist' })
    .sort()
    .map((path) => {
      const text = readFileSync(join(top, path), 'utf8');
      const imports = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
      return { path, text, imports: imports.map((name) => (name.startsWith('.') ? normalize(join(dirname(path), name)) : name)) };
    });
}

export function parse(source: Source): ts.SourceFile {
  return ts.createSourceFile(source.path, source.text, ts.ScriptTarget.Latest, true);
}

/** Calls visit for every node of the file, parents first. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  node.forEachChild((child) => {
    walk(child, visit);
  });
}
