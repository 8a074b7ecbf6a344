// package.json, dist/ and build/linux-*/ -> build/package/: a folder for each package that is published, and a bill of materials of them all.
// What is built stays out of the package that everyone installs: npm adds the one of the platform packages that fits the machine.
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly type: string;
  readonly engines: object;
  readonly os: readonly string[];
  readonly bin: object;
  readonly dependencies: Readonly<Record<string, string>>;
}

interface Component {
  readonly 'bom-ref': string;
  readonly properties: readonly { readonly name: string }[];
}

interface BillOfMaterials {
  readonly serialNumber: string;
  readonly metadata: { readonly timestamp: string };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** As Node.js and npm name an architecture, and as Debian does. */
const platforms = [
  { cpu: 'x64', debian: 'amd64' },
  { cpu: 'arm64', debian: 'arm64' },
] as const;

/** What is linked into the addon, by the package of Debian that it comes from. */
const libraries = [
  { name: 'libbpf', debian: 'libbpf-dev', license: 'LGPL-2.1-only OR BSD-2-Clause' },
  { name: 'libelf', debian: 'libelf-dev', license: 'LGPL-3.0-or-later OR GPL-2.0-or-later' },
  { name: 'zlib', debian: 'zlib1g-dev', license: 'Zlib' },
] as const;
const runtime = { name: 'libc++', license: 'Apache-2.0 WITH LLVM-exception' };
/** bpf/README.md */
const programs = 'GPL-2.0-only OR BSD-2-Clause';

const top = path.resolve(import.meta.dirname, '..');
const staged = path.join(top, 'build/package');
const manifest = JSON.parse(readFileSync(path.join(top, 'package.json'), 'utf8')) as Manifest;
const { name, version, description, license, type, engines, os, bin, dependencies } = manifest;

function packageOf(cpu: string): string {
  return `@${name}/linux-${cpu}`;
}

function copy(files: readonly string[], from: string, to: string): void {
  for (const file of files) cpSync(path.join(top, from, file), path.join(staged, to, file));
}

function write(file: string, content: object): void {
  writeFileSync(path.join(staged, file), `${JSON.stringify(content, undefined, 2)}\n`);
}

function stageReceiver(): void {
  const folder = 'usm-receiver';
  mkdirSync(path.join(staged, folder), { recursive: true });
  // By their sources: dist/ may hold what was made of a file that is not there any more.
  const sources = globSync(['receiver/**/*.ts', 'native/*.ts', 'otel-thread-context/reader/**/*.ts'], { cwd: top });
  copy(
    sources.map((file) => `dist/${file.replace(/\.ts$/, '.js')}`),
    '',
    folder,
  );
  copy(['README.md', 'CHANGELOG.md', 'LICENSE', 'collector-config.yaml'], '', folder);
  copy(globSync('docs/*.md', { cwd: top }), '', folder);
  write(`${folder}/package.json`, {
    ...{ name, version, description, license, type, engines, os },
    cpu: platforms.map(({ cpu }) => cpu),
    bin,
    // The command is what is promised; the files behind it may move.
    exports: { './package.json': './package.json' },
    dependencies,
    optionalDependencies: Object.fromEntries(platforms.map(({ cpu }) => [packageOf(cpu), version])),
    publishConfig: { access: 'public' },
  });
}

function stagePlatform(cpu: string): void {
  const folder = `linux-${cpu}`;
  mkdirSync(path.join(staged, folder), { recursive: true });
  copy(globSync('*', { cwd: path.join(top, 'build', folder) }), `build/${folder}`, folder);
  copy(['LICENSE'], '', folder);
  copy(['LICENSE.BSD-2-Clause', 'LICENSE.GPL-2.0'], 'bpf', folder);
  writeFileSync(
    path.join(staged, folder, 'README.md'),
    `# ${packageOf(cpu)}

The addon and the BPF programs of [${name}](https://www.npmjs.com/package/${name}) for Linux on ${cpu} with glibc 2.28 or newer. It is installed with it, and of no use alone.

\`usm.node\` is Apache-2.0 and contains libbpf, libelf, zlib and libc++, whose licenses lie beside it; \`usm.bpf.o\` and \`threads.bpf.o\` are GPL-2.0-only or
BSD-2-Clause, at your choice.
`,
  );
  const licenses = [license, programs, ...libraries.map((library) => library.license), runtime.license];
  write(`${folder}/package.json`, {
    name: packageOf(cpu),
    version,
    description: `Addon and BPF programs of ${name} for Linux on ${cpu}`,
    license: licenses.map((term) => (/ (OR|WITH) /.test(term) ? `(${term})` : term)).join(' AND '),
    engines,
    os,
    cpu: [cpu],
    libc: ['glibc'],
    publishConfig: { access: 'public' },
  });
}

/** CycloneDX: what npm installs, and what was linked into the addons. */
function writeBillOfMaterials(): void {
  // Without --omit=dev, which also leaves out what both we and a user's installation depend on.
  const args = ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'];
  const bill = JSON.parse(
    execFileSync('npm', args, { cwd: top, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
  ) as BillOfMaterials;
  const isOurs = ({ properties }: Component): boolean =>
    properties.some((property) => property.name === 'cdx:npm:package:development');
  const left = new Set(bill.components.filter(isOurs).map((component) => component['bom-ref']));
  const inAddons = platforms.map(({ cpu, debian }) => ({
    type: 'library',
    name: packageOf(cpu),
    version,
    purl: `pkg:npm/%40${name}/linux-${cpu}@${version}`,
    components: linkedInto(debian),
  }));
  write('sbom.cdx.json', {
    ...bill,
    // The same sources make the same bill.
    serialNumber: undefined,
    metadata: { ...bill.metadata, timestamp: undefined },
    components: [...bill.components.filter((component) => !left.has(component['bom-ref'])), ...inAddons],
    dependencies: bill.dependencies
      .filter(({ ref }) => !left.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((needed) => !left.has(needed)) })),
  });
}

function linkedInto(debian: string): object[] {
  const lines = readFileSync(path.join(top, '.cache/prebuild', debian, 'libraries'), 'utf8')
    .trim()
    .split('\n');
  const versions = new Map(lines.map((line) => line.split(' ') as [string, string]));
  const linked = libraries.map((library) => {
    const found = versions.get(library.debian);
    if (found === undefined) throw new Error(`.cache/prebuild/${debian}/libraries does not name ${library.debian}`);
    const purl = `pkg:deb/debian/${library.debian}@${encodeURIComponent(found)}?arch=${debian}`;
    return { type: 'library', name: library.name, version: found, licenses: [{ expression: library.license }], purl };
  });
  return [...linked, { type: 'library', name: runtime.name, licenses: [{ expression: runtime.license }] }];
}

rmSync(staged, { recursive: true, force: true });
stageReceiver();
for (const { cpu } of platforms) stagePlatform(cpu);
writeBillOfMaterials();
