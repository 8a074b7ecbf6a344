// Packages and programs of other people, fetched and built once (prepare.sh). Where that cannot be, the tests that need them are skipped and say why.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Cleanup } from '../traffic/program.ts';

export type Language = 'python' | 'rust' | 'java' | 'node' | 'dd-trace' | 'go';

/** Its test is skipped for `reason`, if there is one. */
export interface Prepared {
  readonly folder: string;
  readonly reason: string | undefined;
}

export function prepare(language: Language): Prepared {
  const { status, stdout, stderr } = spawnSync(path.join(import.meta.dirname, 'prepare.sh'), [language], { encoding: 'utf8' });
  if (status === 0) return { folder: stdout.trim(), reason: undefined };
  if (status !== 3) throw new Error(`prepare.sh ${language} ended with ${String(status)}: ${stderr}`);
  const reason = stderr.trim();
  console.error(`THIRD-PARTY TEST SKIPPED: ${language}: ${reason}`);
  return { folder: '', reason };
}

/** A folder with copies of these files and the prepared packages, which they find there instead of those of this project. */
export function nodeFolder(cleanup: Cleanup, { folder }: Prepared, files: readonly string[]): string {
  const scratch = mkdtempSync(path.join(tmpdir(), 'usm-third-party-'));
  cleanup.after(() => rmSync(scratch, { recursive: true, force: true }));
  symlinkSync(path.join(folder, 'node_modules'), path.join(scratch, 'node_modules'));
  for (const file of files) copyFileSync(path.join(import.meta.dirname, file), path.join(scratch, path.basename(file)));
  return scratch;
}

/** The same with examples/node-binding, and its addon built: thread_context.node. */
export function bindingFolder(cleanup: Cleanup, prepared: Prepared, files: readonly string[]): string {
  const binding = '../../examples/node-binding';
  const folder = nodeFolder(cleanup, prepared, [...files, `${binding}/context-manager.cjs`]);
  execFileSync(path.join(import.meta.dirname, binding, 'build.sh'), [path.join(folder, 'thread_context.node')]);
  return folder;
}
