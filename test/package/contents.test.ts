// What is published, looked at from outside: which files, how large, what they need, and that they tell nothing of the machine that made them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { installed, makePackages, npm, packages, repository } from './packages.ts';

const packed = makePackages();
const skip = packed.reason ?? false;
const platforms = [
  { cpu: 'x64', machine: 'Advanced Micro Devices X86-64' },
  { cpu: 'arm64', machine: 'AArch64' },
];
/** So that nothing large comes in unseen: about a quarter more than there is. */
const maxSizes = { receiver: 600_000, platform: 1_000_000 };

function listed(tarball: string): string[] {
  return execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((file) => file.replace('package/', ''))
    .sort();
}

function manifestOf(folder: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path.join(packages, folder, 'package.json'), 'utf8')) as Record<string, unknown>;
}

test('the package has the compiled sources, the documents, an example of a configuration, and nothing else', { skip }, () => {
  const files = listed(packed.receiver);
  const sources = globSync(['receiver/**/*.ts', 'native/*.ts', 'otel-thread-context/reader/**/*.ts'], { cwd: repository });
  const expected = [
    ...['CHANGELOG.md', 'LICENSE', 'README.md', 'collector-config.yaml', 'package.json'],
    ...globSync('docs/*.md', { cwd: repository }),
    ...sources.map((file) => `dist/${file.replace(/\.ts$/, '.js')}`),
  ];
  assert.deepEqual(files, expected.sort());
  const { size } = statSync(packed.receiver);
  assert.ok(size < maxSizes.receiver, `${size} bytes`);
});

for (const { cpu, machine } of platforms) {
  test(`the package for ${cpu} has the addon, the BPF objects and their licenses, and nothing else`, { skip }, () => {
    const tarball = cpu === 'x64' ? packed.x64 : packed.arm64;
    const licenses = ['', '.BSD-2-Clause', '.GPL-2.0', '.libbpf', '.libc++', '.libelf', '.zlib'].map((name) => `LICENSE${name}`);
    const built = ['threads.bpf.o', 'usm.bpf.o', 'usm.node'];
    assert.deepEqual(listed(tarball), [...licenses, 'README.md', 'package.json', ...built].sort());
    const { size } = statSync(tarball);
    assert.ok(size < maxSizes.platform, `${size} bytes`);
  });

  test(`the addon for ${cpu} needs glibc 2.28 and no other library`, { skip }, () => {
    const addon = path.join(packages, `linux-${cpu}/usm.node`);
    const read = (...args: string[]): string => execFileSync('readelf', ['--wide', ...args, addon], { encoding: 'utf8' });
    assert.match(read('--file-header'), new RegExp(`Machine: +${machine}\n`));
    const versions = [...read('--version-info').matchAll(/Name: GLIBC_([\d.]+)/g)].map(([, version = '']) => version);
    assert.ok(versions.length > 3, 'versions were found');
    const isTooNew = (version: string): boolean => Number(version.split('.')[1]) > 28;
    assert.deepEqual(versions.filter(isTooNew), []);
    const needed = [...read('--dynamic').matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name = '']) => name);
    const ofGlibc = /^(libc|libm|libpthread|libdl|ld-linux-.*)\.so\.\d$/;
    assert.deepEqual(
      needed.filter((name) => !ofGlibc.test(name)),
      [],
    );
    // The linker lets everything else pass, too, because Node.js is to define these.
    const undefinedNames = [...read('--dyn-syms').matchAll(/ UND (\S+)$/gm)].map(([, name = '']) => name);
    assert.ok(undefinedNames.length > 10, 'undefined symbols were found');
    const isKnown = (name: string): boolean => name.includes('@GLIBC_') || /^(napi_|node_api_|uv_)/.test(name);
    assert.deepEqual(
      undefinedNames.filter((name) => !isKnown(name) && name !== '__gmon_start__' && !name.startsWith('_ITM_')),
      [],
    );
    const exported = [...read('--dyn-syms').matchAll(/ (?:FUNC|OBJECT) +(?:GLOBAL|WEAK) +DEFAULT +\d+ (\S+)/g)].map(
      ([, name = '']) => name,
    );
    assert.deepEqual(exported.sort(), ['napi_register_module_v1', 'node_api_module_get_api_version_v1'].sort());
  });

  test(`the BPF objects for ${cpu} speak the language of the decoder`, { skip }, () => {
    const object = path.join(packages, `linux-${cpu}/usm.bpf.o`);
    execFileSync(process.execPath, [path.join(repository, 'scripts/generate-layout.ts'), '--check', object], { stdio: 'pipe' });
  });
}

test('nothing runs at installation, and versions belong together', { skip }, () => {
  const receiver = manifestOf('usm-receiver');
  assert.equal(receiver['scripts'], undefined);
  assert.deepEqual(
    receiver['optionalDependencies'],
    Object.fromEntries(platforms.map(({ cpu }) => [`@usm-receiver/linux-${cpu}`, receiver['version']])),
  );
  for (const { cpu } of platforms) {
    const { name, version, os, cpu: cpus, libc, scripts, dependencies } = manifestOf(`linux-${cpu}`);
    assert.deepEqual(
      { name, version, os, cpu: cpus, libc, scripts, dependencies },
      {
        ...{ name: `@usm-receiver/linux-${cpu}`, version: receiver['version'], os: ['linux'], cpu: [cpu], libc: ['glibc'] },
        ...{ scripts: undefined, dependencies: undefined },
      },
    );
  }
});

test('no file names a folder of the machine that made it', { skip }, () => {
  const files = globSync('{usm-receiver,linux-*}/**/*', { cwd: packages }).map((file) => path.join(packages, file));
  const real = files.filter((file) => statSync(file).isFile());
  assert.ok(real.length > 100);
  const folders = [repository, process.env['HOME'] ?? '/root'].map((folder) => Buffer.from(`${folder}/`));
  const telling = real.filter((file) => {
    const content = readFileSync(file);
    return folders.some((folder) => content.includes(folder));
  });
  assert.deepEqual(telling, []);
});

test('the bill of materials names every package that npm installs, and what the addons have inside', { skip }, () => {
  const bill = JSON.parse(readFileSync(path.join(packages, 'sbom.cdx.json'), 'utf8')) as {
    components: { name: string; components?: { name: string; version?: string }[] }[];
  };
  const lock = JSON.parse(readFileSync(path.join(repository, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  const installedNames = Object.entries(lock.packages)
    .filter(([place, { dev }]) => place !== '' && dev !== true)
    .map(([place]) => place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length));
  const names = new Set(bill.components.map(({ name }) => name));
  assert.deepEqual(
    installedNames.filter((name) => !names.has(name)),
    [],
  );
  for (const { cpu } of platforms) {
    const inside = bill.components.find(({ name }) => name === `@usm-receiver/linux-${cpu}`)?.components ?? [];
    assert.deepEqual(
      inside.map(({ name }) => name),
      ['libbpf', 'libelf', 'zlib', 'libc++'],
    );
  }
});

test(
  'npm pack alone makes one package for machines like this one',
  { skip: !existsSync(path.join(repository, 'build/usm.node')) },
  (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'usm-pack-'));
    t.after(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    // What `prepack` does has been done.
    const { status, stderr } = npm(process.execPath, repository, ['pack', '--ignore-scripts', '--pack-destination', folder]);
    assert.equal(status, 0, stderr);
    const [tarball = ''] = globSync('*.tgz', { cwd: folder });
    const files = listed(path.join(folder, tarball));
    for (const file of ['build/usm.node', 'build/usm.bpf.o', 'build/threads.bpf.o', 'dist/receiver/main.js'])
      assert.ok(files.includes(file), file);
    assert.deepEqual(
      files.filter((file) => /\.(ts|cc|c|h|tsbuildinfo)$|^(test|scripts)\//.test(file)),
      [],
    );
    const place = installed(t, [path.join(folder, tarball)]);
    const version = execFileSync(path.join(place, 'node_modules/.bin/usm-receiver'), ['--version'], {
      encoding: 'utf8',
      env: pathOfNode(),
    });
    assert.match(version, /^usm-receiver version /);
  },
);

function pathOfNode(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env['PATH'] ?? ''}` };
}
