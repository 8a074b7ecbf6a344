// examples/container/Containerfile → an image, built by buildah without a registry and without an engine: the images it begins with are stood in for, the
// first one by a root with a shell, Node.js and npm of this machine, the last one by an empty one.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Cleanup } from '../traffic/program.ts';
import { makeRoot } from './clean-root.ts';
import { npmFolder, npmPlaces, packages, repository } from './packages.ts';

export interface Image {
  /** What is in it, as a folder. */
  readonly root: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
}

interface Inspected {
  readonly OCIv1: { readonly config: { readonly Entrypoint: readonly string[]; readonly Cmd: readonly string[] } };
}

export function buildImage(cleanup: Cleanup): Image {
  // Every step copies the files of the one before.
  const store = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'usm-image-'));
  const buildah = (...args: readonly string[]): string => {
    const own = ['--root', path.join(store, 'root'), '--runroot', path.join(store, 'run'), '--storage-driver', 'vfs'];
    return execFileSync('buildah', [...own, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  };
  cleanup.after(() => {
    buildah('umount', '--all');
    rmSync(store, { recursive: true, force: true });
  });

  const { mounts, env } = npmPlaces();
  const root = makeRoot(cleanup, ['/bin/sh', '/bin/rm', '/usr/bin/env'], process.execPath);
  for (const name of ['npm', 'npx']) symlinkSync(`/npm/bin/${name}-cli.js`, path.join(root, 'bin', name));
  const certificates = process.env['NODE_EXTRA_CA_CERTS'];
  const all: Record<string, string> = { ...mounts, '/npm': npmFolder(), '/bin/node': process.execPath };
  if (certificates !== undefined && existsSync(certificates)) all['/certificates'] = certificates;
  const variables = { ...env, NODE_EXTRA_CA_CERTS: '/certificates', PATH: '/bin', HOME: '/tmp' };

  const base = buildah('from', 'scratch');
  buildah('copy', base, root, '/');
  buildah('config', ...Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]), base);
  buildah('commit', base, 'localhost/node-with-npm');
  buildah(
    ...['build', '--isolation', 'chroot', '--pull-never', '--tag', 'localhost/usm-receiver'],
    ...['--build-arg', 'BUILD_IMAGE=localhost/node-with-npm', '--build-arg', 'RUN_IMAGE=scratch'],
    ...Object.entries(all).flatMap(([inside, outside]) => ['--volume', `${outside}:${inside}`]),
    ...['--file', path.join(repository, 'examples/container/Containerfile'), packages],
  );
  const container = buildah('from', '--pull-never', 'localhost/usm-receiver');
  const inspected = JSON.parse(buildah('inspect', '--type', 'image', 'localhost/usm-receiver')) as Inspected;
  const { Entrypoint: entrypoint, Cmd: cmd } = inspected.OCIv1.config;
  return { root: buildah('mount', container), entrypoint, cmd };
}
