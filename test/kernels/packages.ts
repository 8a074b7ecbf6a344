// Kernel packages of Debian → kernels on disk, one of each series that the archive offers, in .cache/kernels/SERIES.
// What the system's own apt knows stays as it is: lists and sources are in a folder of ours; only the address of the mirror is the system's.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export const cache = path.resolve(import.meta.dirname, '../../.cache/kernels');

/** Suites that have kernels of their own, from the oldest to the newest. */
const suites = ['bullseye', 'bookworm', 'bookworm-backports', 'trixie', 'trixie-backports'];

export interface Kernel {
  /** Major and minor number: `6.12`. */
  readonly series: string;
  /** What `uname -r` says there. */
  readonly release: string;
  /** The version of the package. */
  readonly version: string;
  readonly image: string;
  /** A root with `lib/modules/RELEASE`. */
  readonly root: string;
}

interface Offer {
  readonly series: string;
  readonly release: string;
}

/** `6.12` and the like, from the oldest to the newest. */
export function bySeries(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/** The series that the archive offers. */
export function offeredSeries(): string[] {
  return [...new Set(offers().map(({ series }) => series))].sort(bySeries);
}

/** The newest kernel of a series. One that is there is taken as it is; without its folder it is fetched anew. */
export function fetchKernel(series: string): Kernel {
  const folder = path.join(cache, series);
  const description = path.join(folder, 'kernel.json');
  if (!existsSync(description)) {
    rmSync(folder, { recursive: true, force: true });
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    const kernel = unpack(newest(series), unfinished);
    writeFileSync(path.join(unfinished, 'kernel.json'), `${JSON.stringify(kernel, undefined, 2)}\n`);
    renameSync(unfinished, folder);
  }
  const { image, root, ...kernel } = JSON.parse(readFileSync(description, 'utf8')) as Kernel;
  return { ...kernel, image: path.join(folder, image), root: path.join(folder, root) };
}

function newest(series: string): Offer {
  const found = offers()
    .filter((offer) => offer.series === series)
    .sort((a, b) => bySeries(a.release, b.release))
    .at(-1);
  if (found === undefined) throw new Error(`the archive has no kernel ${series}, but ${offeredSeries().join(', ')}`);
  return found;
}

/** Of the generic flavour: the others lack what a guest needs to reach the files of its host. */
function offers(): Offer[] {
  const names = apt('apt-cache', ['search', '--names-only', '^linux-image-[0-9].*-amd64$']).split('\n');
  return names.flatMap((line) => {
    const [, release, series] = /^linux-image-((\d+\.\d+)[\d.]*(?:\+deb\d[\d.]*|-\d+)-amd64) /.exec(line) ?? [];
    return release === undefined || series === undefined ? [] : [{ release, series }];
  });
}

function unpack({ series, release }: Offer, folder: string): Kernel {
  const name = `linux-image-${release}`;
  const shown = apt('apt-cache', ['show', '--no-all-versions', name]);
  const version = /^Version: (.*)$/m.exec(shown)?.[1] ?? '';
  // Newer ones are in parts. Of older releases the archive has lost some; what is no more than a base can be done without.
  const parts = [...shown.matchAll(/\blinux-(base|binary|modules)-\d\S*/g)]
    .filter(([part, kind]) => part.endsWith(release) && (kind !== 'base' || apt('apt-cache', ['madison', part]) !== ''))
    .map(([part]) => part);
  for (const part of new Set([name, ...parts])) apt('apt-get', ['download', '-q', `${part}=${version}`], folder);
  for (const file of globSync('*.deb', { cwd: folder })) {
    execFileSync('dpkg-deb', ['--extract', file, 'root'], { cwd: folder });
    rmSync(path.join(folder, file));
  }
  // Where /lib is no link any more.
  const usr = path.join(folder, 'root/usr');
  const root = existsSync(path.join(usr, 'lib/modules')) ? 'root/usr' : 'root';
  const [image] = globSync([`root/boot/vmlinuz-${release}`, `${root}/lib/modules/${release}/vmlinuz`], { cwd: folder });
  if (image === undefined) throw new Error(`there is no vmlinuz in ${name} ${version}`);
  execFileSync('depmod', ['--basedir', path.join(folder, root), release], { env: withSbin() });
  return { series, release, version, image, root };
}

export function withSbin(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
}

/** apt with lists and sources of ours. */
function apt(command: 'apt-cache' | 'apt-get', args: readonly string[], cwd = cache): string {
  const folder = path.join(cache, 'apt');
  const config = path.join(folder, 'apt.conf');
  if (!existsSync(config)) setUpApt(folder, config);
  const env = { ...process.env, LC_ALL: 'C', APT_CONFIG: config };
  return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 2 ** 26 });
}

function setUpApt(folder: string, config: string): void {
  const format = '$(LABEL)\t$(REPO_URI)';
  const targets = execFileSync('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], { encoding: 'utf8' });
  const mirror = /^Debian\t(.*)$/m.exec(targets)?.[1];
  if (mirror === undefined) throw new Error('apt has no source with packages of Debian; where to fetch kernels from?');
  for (const name of ['lists/partial', 'archives/partial']) mkdirSync(path.join(folder, name), { recursive: true });
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const sources = suites.map((suite) => `deb [arch=amd64 signed-by=${keyring}] ${mirror} ${suite} main\n`);
  writeFileSync(path.join(folder, 'sources.list'), sources.join(''));
  const settings = {
    'Dir::Etc::sourcelist': path.join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': path.join(folder, 'lists'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': folder,
    'Acquire::Languages': 'none',
    'APT::Sandbox::User': 'root',
  };
  const unfinished = `${config}.unfinished`;
  writeFileSync(
    unfinished,
    Object.entries(settings)
      .map(([key, value]) => `${key} "${value}";\n`)
      .join(''),
  );
  // A suite that the mirror has no more is no reason to do without the others.
  const { stderr } = spawnSync('apt-get', ['update', '-q'], {
    env: { ...process.env, APT_CONFIG: unfinished },
    encoding: 'utf8',
  });
  if (globSync('*_Packages*', { cwd: path.join(folder, 'lists') }).length === 0)
    throw new Error(`apt-get update of ${mirror}: ${stderr}`);
  renameSync(unfinished, config);
}
