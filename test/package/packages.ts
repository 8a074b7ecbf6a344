// The packages as they are published (scripts/package.sh), installed as users do, and versions of Node.js to run them with. Where what that needs of other
// people cannot be had, the tests are skipped and say why.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Cleanup } from '../traffic/program.ts';

export const repository = path.resolve(import.meta.dirname, '../..');
export const packages = path.join(repository, 'build/package');
/** The command, below a folder that the packages are installed in. */
export const mainOfPackage = 'node_modules/usm-receiver/dist/receiver/main.js';

export interface Packed {
  readonly receiver: string;
  readonly x64: string;
  readonly arm64: string;
  /** Why they could not be made. */
  readonly reason: string | undefined;
}

const { version } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as { version: string };

export function skipped(what: string, reason: string): string {
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

export interface NodeLine {
  readonly version: string;
  /** The program. */
  readonly node: string;
}

/** What is tested: the oldest that package.json allows, the checkout's own, and the newest. Those that cannot be had are left out. */
export function nodeLines(): readonly NodeLine[] {
  const lines = ['22.15.0', process.versions.node, '26.10.0'];
  return lines.flatMap((version) => {
    const node = version === process.versions.node ? process.execPath : fetchNode('x64', version);
    return node === undefined ? [] : [{ version, node }];
  });
}

/** From npm, also for other machines than this one; undefined where it cannot be had. */
export function fetchNode(cpu: 'x64' | 'arm64', version: string): string | undefined {
  const folder = path.join(repository, `.cache/node/${cpu}-${version}`);
  const node = path.join(folder, 'package/bin/node');
  if (existsSync(node)) return node;
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  const { status, stderr } = npm(process.execPath, unfinished, ['pack', '--silent', `node-linux-${cpu}@${version}`]);
  const [tarball] = globSync('*.tgz', { cwd: unfinished });
  if (status !== 0 || tarball === undefined) {
    skipped(`Node.js ${version} for ${cpu}`, stderr.trim());
    return undefined;
  }
  execFileSync('tar', ['xzf', tarball], { cwd: unfinished });
  rmSync(path.join(unfinished, tarball));
  renameSync(unfinished, folder);
  return node;
}

/** npm's own files, to be run by any Node.js. */
export function npmFolder(): string {
  const command = execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim();
  return path.resolve(realpathSync(command), '../..');
}

/** What npm needs to be told by its environment. */
export const npmEnvironment = { npm_config_audit: 'false', npm_config_fund: 'false', npm_config_prefer_offline: 'true' };

/** For an npm that sees other files: where to find what this machine's npm knows of where to get packages, and has got already. */
export function npmPlaces(): {
  readonly mounts: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
} {
  const [cache = '', userconfig = ''] = ['cache', 'userconfig'].map((key) =>
    execFileSync('npm', ['config', 'get', key], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim(),
  );
  mkdirSync(cache, { recursive: true });
  return {
    mounts: { '/npm-cache': cache, ...(existsSync(userconfig) ? { '/npmrc': userconfig } : {}) },
    env: { ...npmEnvironment, npm_config_cache: '/npm-cache', npm_config_userconfig: '/npmrc' },
  };
}

export function npm(
  node: string,
  folder: string,
  args: readonly string[],
): { readonly status: number | null; readonly stderr: string } {
  const env = { ...process.env, ...npmEnvironment };
  return spawnSync(node, [path.join(npmFolder(), 'bin/npm-cli.js'), ...args], { cwd: folder, env, encoding: 'utf8' });
}

/** An empty folder with these packages in it, installed as anyone would who runs no scripts. */
export function installed(cleanup: Cleanup, tarballs: readonly string[], args: readonly string[] = []): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-package-'));
  cleanup.after(() => rmSync(folder, { recursive: true, force: true }));
  install(folder, tarballs, args);
  return folder;
}

function install(folder: string, tarballs: readonly string[], args: readonly string[] = []): void {
  // By its name: npm looks for a package.json in the folders above.
  const all = ['install', '--prefix', folder, '--ignore-scripts', '--omit=dev', ...args, ...tarballs];
  const { status, stderr } = npm(process.execPath, folder, all);
  if (status !== 0) throw new Error(`npm install ended with ${String(status)}: ${stderr}`);
}

/** The same for those who only read: one folder for all tests, as long as the packages are the same. */
export function installedOnce({ receiver, x64 }: Packed): string {
  const hash = createHash('sha256');
  for (const tarball of [receiver, x64]) hash.update(readFileSync(tarball));
  const folder = path.join(repository, 'build/installed');
  const place = path.join(folder, hash.digest('hex').slice(0, 16));
  if (existsSync(place)) return place;
  rmSync(folder, { recursive: true, force: true });
  const unfinished = `${place}.unfinished`;
  mkdirSync(unfinished, { recursive: true });
  install(unfinished, [receiver, x64]);
  renameSync(unfinished, place);
  return place;
}
