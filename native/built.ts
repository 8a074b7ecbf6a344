// The name of something that was built → its path: in build/ of the checkout, or in the package for this platform that was installed with ours.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch } from 'node:os';
import { fileURLToPath } from 'node:url';

export type BuiltFile = 'usm.node' | 'usm.bpf.o' | 'threads.bpf.o';

export type BuiltPath = { readonly kind: 'found'; readonly path: string } | { readonly kind: 'missing'; readonly reason: string };

/** From native/built.ts as well as from dist/native/built.js. */
const ownFolder = new URL(import.meta.url.endsWith('.ts') ? '../build/' : '../../build/', import.meta.url);

export function findBuilt(name: BuiltFile): BuiltPath {
  const own = fileURLToPath(new URL(name, ownFolder));
  if (existsSync(own)) return { kind: 'found', path: own };
  // Holds what stands in build/, for one architecture and for glibc; npm installs the one that fits (scripts/stage-packages.ts).
  const platform = `@usm-receiver/linux-${arch()}`;
  try {
    return { kind: 'found', path: createRequire(import.meta.url).resolve(`${platform}/${name}`) };
  } catch {
    return { kind: 'missing', reason: `there is no ${own}, and the package ${platform} is not installed` };
  }
}

/** For those who open it and say what is wrong if they cannot: the path, also where nothing is. */
export function builtPath(name: BuiltFile): string {
  const built = findBuilt(name);
  return built.kind === 'found' ? built.path : fileURLToPath(new URL(name, ownFolder));
}
