// Builds the C and Go programs once, into .cache/traffic under a hash of their sources.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';

const here = import.meta.dirname;
const cache = path.resolve(here, '../../.cache/traffic');

function built(name: string, sources: readonly string[], build: (output: string) => void): string {
  const hash = createHash('sha256');
  for (const source of sources) hash.update(readFileSync(path.join(here, source)));
  // The file name becomes the service name: so the hash goes into the folder.
  const folder = path.join(cache, hash.digest('hex').slice(0, 16));
  const binary = path.join(folder, name);
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    const unfinished = `${binary}.${process.pid}`;
    build(unfinished);
    renameSync(unfinished, binary);
  }
  return binary;
}

export function buildGoPeer(): string {
  return built('go-peer', ['go/go.mod', 'go/main.go'], (output) => {
    execFileSync('go', ['build', '-trimpath', '-o', output, '.'], {
      cwd: path.join(here, 'go'),
      env: { ...process.env, CGO_ENABLED: '0' },
    });
  });
}

function buildC(name: string, source: string): string {
  return built(name, [source], (output) => {
    const flags = ['-O2', '-g', '-Wall', '-Wextra', '-Werror', '-pthread'];
    execFileSync('cc', [...flags, '-o', output, source], { cwd: here });
  });
}

export function buildIo(): string {
  return buildC('io', 'c/io.c');
}

export function buildWithPid(): string {
  return buildC('with-pid', 'c/with-pid.c');
}
