// A root folder in which a shell, Node.js and npm are all that runs: no compiler, no interpreter, no library beyond what these load.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Cleanup } from '../traffic/program.ts';
import { npmFolder } from './packages.ts';

/** With nothing but the C library and what is linked to it, and places to mount the rest at. */
export function makeRoot(cleanup: Cleanup, programs: readonly string[], node: string): string {
  const root = mkdtempSync(path.join(tmpdir(), 'usm-root-'));
  cleanup.after(() => rmSync(root, { recursive: true, force: true }));
  for (const folder of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp', 'usr']) mkdirSync(path.join(root, folder));
  symlinkSync('../bin', path.join(root, 'usr/bin'));
  for (const file of programs) copyFileSync(file, path.join(root, 'bin', path.basename(file)));
  for (const library of new Set([...programs, node].flatMap(librariesOf))) {
    mkdirSync(path.join(root, path.dirname(library)), { recursive: true });
    copyFileSync(library, path.join(root, library));
  }
  return root;
}

/**
 * What to put before a command for it to run there, as /bin/sh, /bin/node, /bin/npm or /bin/npx. It sees the processes, the kernel, the network and the /tmp
 * of this machine, and of its other files only those in `mounts`, by their paths inside.
 */
export function inCleanRoot(cleanup: Cleanup, node: string, mounts: Readonly<Record<string, string>>): readonly string[] {
  const root = makeRoot(cleanup, ['/bin/sh', '/usr/bin/env'], node);
  for (const name of ['npm', 'npx']) symlinkSync(`/npm/bin/${name}-cli.js`, path.join(root, 'bin', name));
  const host = Object.fromEntries(['dev', 'etc', 'proc', 'sys', 'tmp'].map((name) => [`/${name}`, `/${name}`]));
  const all = { ...host, '/bin/node': node, '/npm': npmFolder(), ...mounts };
  for (const [inside, outside] of Object.entries(all)) {
    const place = path.join(root, inside);
    if (statSync(outside).isDirectory()) mkdirSync(place, { recursive: true });
    else writeFileSync(place, '');
  }
  // In a mount namespace of its own, so that nothing is left behind, however it ends.
  const mounting = Object.entries(all).map(([inside, outside]) => `mount --rbind '${outside}' "$0${inside}"`);
  const script = [...mounting, 'exec chroot "$0" "$@"'].join(' && ');
  return ['unshare', '--mount', 'sh', '-c', script, root, '/bin/env', 'PATH=/bin', 'HOME=/tmp'];
}

/** What the loader maps with a program, the loader itself included. */
function librariesOf(program: string): string[] {
  const text = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...text.matchAll(/(\/\S+) \(0x/g)].map(([, file = '']) => file);
}
