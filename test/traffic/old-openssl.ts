// OpenSSL 1.1.1, which Debian has no more, as others bring it along: fetched once, into .cache/.
import { fetchNode } from '../package/packages.ts';
import { fetchPython } from './build.ts';
import { globSync } from 'node:fs';
import path from 'node:path';

/** Node.js 16, which has it in its executable; undefined where it cannot be had, which is said. */
export function oldNode(): string | undefined {
  return fetchNode('x64', '16.20.2');
}

/** The environment for openssl_server.py, with the libraries that a wheel of PyPI has. */
export function oldLibraries(): Readonly<Record<string, string>> {
  const [library] = globSync(path.join(fetchPython('old-openssl'), '*.libs/libssl-*.so.1.1'));
  if (library === undefined) throw new Error('the wheel in old-openssl-requirements.txt has no libssl');
  return { OPENSSL: library, LD_LIBRARY_PATH: path.dirname(library) };
}
