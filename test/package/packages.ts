// The packages as they are published (scripts/package.sh). Where what that needs of other people cannot be had, the tests are skipped and say why.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Cleanup } from '../traffic/program.ts';

export const repository = path.resolve(import.meta.dirname, '../..');
export const packages = path.join(repository, 'build/package');

export interface Packed {
  readonly receiver: string;
  readonly x64: string;
  readonly arm64: string;
  /** Why they could not be made. */
  readonly reason: string | undefined;
}

const { version } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as { version: string };

function skipped(what: string, reason: string): string {
  const text = `THIRD-PARTY TEST SKIPPED: ${what}: ${reason}`;
  console.error(text);
  return text;
}

export function makePackages(): Packed {
  const { status, stderr } = spawnSync(path.join(repository, 'scripts/package.sh'), [], { encoding: 'utf8' });
  if (status !== 0 && status !== 3) throw new Error(`package.sh ended with ${String(status)}: ${stderr}`);
  const tarball = (name: string): string => path.join(packages, `usm-receiver-${name}${version}.tgz`);
  return {
    receiver: tarball(''),
    x64: tarball('linux-x64-'),
    arm64: tarball('linux-arm64-'),
    reason: status === 3 ? skipped('packages', stderr.trim()) : undefined,
  };
}

/** npm's own files, to be run by any Node.js. */
export function npmFolder(): string {
  const command = execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim();
  return path.resolve(realpathSync(command), '../..');
}

export function npm(
  node: string,
  folder: string,
  args: readonly string[],
): { readonly status: number | null; readonly stderr: string } {
  const env = { ...process.env, npm_config_audit: 'false', npm_config_fund: 'false', npm_config_prefer_offline: 'true' };
  return spawnSync(node, [path.join(npmFolder(), 'bin/npm-cli.js'), ...args], { cwd: folder, env, encoding: 'utf8' });
}

/** An empty folder with these packages in it, installed as anyone would who runs no scripts. */
export function installed(cleanup: Cleanup, node: string, tarballs: readonly string[], args: readonly string[] = []): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-package-'));
  cleanup.after(() => rmSync(folder, { recursive: true, force: true }));
  // By its name: npm looks for a package.json in the folders above.
  const { status, stderr } = npm(node, folder, ['install', '--prefix', folder, '--ignore-scripts', ...args, ...tarballs]);
  if (status !== 0) throw new Error(`npm install ended with ${String(status)}: ${stderr}`);
  return folder;
}
