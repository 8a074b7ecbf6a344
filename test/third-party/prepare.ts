// Packages and programs of other people, fetched and built once (prepare.sh). Where that cannot be, the tests that need them are skipped and say why.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

export type Language = 'python' | 'rust' | 'java' | 'node';

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
