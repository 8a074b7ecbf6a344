// Habits of the code that no linter rule covers alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import ts from 'typescript';
import { parse, readSources, walk } from './sources.ts';

const MAX_LINES = 400;
/** Of Node's global `process`; the model has a `process` of its own, with other members (and `pid`, which ESLint tells apart). */
const processMembers = new Set(
  'argv argv0 execPath env exit exitCode on once off stdin stdout stderr hrtime cwd memoryUsage nextTick kill platform arch version versions uptime'.split(
    ' ',
  ),
);

const sources = readSources(['receiver/**/*.ts', 'native/**/*.ts', 'otel-thread-context/**/*.ts']);

test('a file begins by saying what it is', () => {
  const violations = sources.filter((source) => !/^(#!.*\n)?\/\/ \S/.test(source.text));
  assert.deepEqual(
    violations.map((source) => source.path),
    [],
  );
});

test(`a file above ${String(MAX_LINES)} lines gives its reason in its first comment`, () => {
  const violations = sources.filter((source) => {
    const opening = /^(#!.*\n)?(\/\/.*\n)+/.exec(source.text)?.[0] ?? '';
    return source.text.split('\n').length - 1 > MAX_LINES && !opening.includes(`${String(MAX_LINES)} lines`);
  });
  assert.deepEqual(
    violations.map(
      (source) =>
        `${source.path}: ${String(source.text.split('\n').length - 1)} lines, no '${String(MAX_LINES)} lines' in its first comment`,
    ),
    [],
  );
});

test('exports are named, one by one', () => {
  const violations: string[] = [];
  for (const source of sources) {
    for (const statement of parse(source).statements) {
      const isDefault =
        ts.isExportAssignment(statement) ||
        (ts.canHaveModifiers(statement) &&
          (ts.getModifiers(statement) ?? []).some((modifier) => modifier.kind === ts.SyntaxKind.DefaultKeyword));
      const isAll = ts.isExportDeclaration(statement) && statement.exportClause === undefined;
      if (isDefault || isAll) violations.push(`${source.path}: ${statement.getText().split('\n')[0] ?? ''}`);
    }
  }
  assert.deepEqual(violations, []);
});

test('only main.ts touches the process that runs it', () => {
  const violations: string[] = [];
  for (const source of sources) {
    if (source.path === 'receiver/main.ts') continue;
    if (source.imports.some((name) => name === 'node:process' || name === 'process'))
      violations.push(`${source.path} imports node:process`);
    walk(parse(source), (node) => {
      if (!ts.isPropertyAccessExpression(node) || !ts.isIdentifier(node.expression)) return;
      if (node.expression.text === 'process' && processMembers.has(node.name.text))
        violations.push(`${source.path}: ${node.getText()}`);
    });
  }
  assert.deepEqual(violations, []);
});

test('nothing is mutable at the top level of a module', () => {
  const violations: string[] = [];
  for (const source of sources) {
    for (const statement of parse(source).statements) {
      if (ts.isVariableStatement(statement) && (statement.declarationList.flags & ts.NodeFlags.Const) === 0) {
        violations.push(`${source.path}: ${statement.getText().split('\n')[0] ?? ''}`);
      }
    }
  }
  assert.deepEqual(violations, []);
});
