// Documents against the project: links, commands, paths, configuration snippets, the ledger example.
import assert from 'node:assert/strict';
import { accessSync, constants, existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseArguments } from '../../receiver/cli/arguments.ts';
import { Ledger, type LedgerReport } from '../../receiver/telemetry/ledger.ts';
import { around, loadFrom } from '../config/load-from.ts';

const top = path.resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(top, file), 'utf8');
const documents = globSync(
  ['*.md', 'docs/**/*.md', '{bpf,native,otel-thread-context,receiver,scripts}/README.md', '{examples,test}/**/README.md'],
  {
    cwd: top,
  },
);
const readme = read('README.md');
const { scripts, version } = JSON.parse(read('package.json')) as { scripts: Record<string, string>; version: string };

/** The fenced blocks of a language. */
function blocksOf(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, block = '']) => block);
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** Command lines of shell blocks and of code spans, joined commands taken apart. */
function commandsOf(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '');
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  const lines = blocksOf(text, 'sh').flatMap((block) => block.split('\n'));
  return [...spans, ...lines.flatMap((line) => line.replace(/\s#.*/, '').split('&&'))].map((command) => command.trim());
}

test('there are documents to check', () => {
  for (const name of ['README.md', 'CHANGELOG.md', 'docs/architecture.md', 'bpf/README.md', 'test/e2e/README.md'])
    assert.ok(documents.includes(name), name);
});

test('every link within the project leads to a file and a heading', () => {
  const broken: string[] = [];
  for (const document of documents) {
    for (const [, target = ''] of read(document).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const linked = file === '' ? document : path.join(path.dirname(document), file);
      if (!existsSync(path.join(top, linked))) broken.push(`${document}: ${target}`);
      else if (anchor !== undefined && !anchorsOf(read(linked)).has(anchor)) broken.push(`${document}: no heading for ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});

test('every npm script that a document names exists', () => {
  const unknown: string[] = [];
  for (const document of documents) {
    for (const [command, name = '', own = ''] of read(document).matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g))
      if (!Object.hasOwn(scripts, name || own)) unknown.push(`${document}: ${command}`);
  }
  assert.deepEqual(unknown, []);
});

test("every command line of the receiver's is one that it understands", () => {
  let count = 0;
  for (const document of documents) {
    for (const command of commandsOf(read(document))) {
      const [, args] = /^(?:npm start -- |usm-receiver )(.+)$/.exec(command) ?? [];
      if (args === undefined || /[…[\]]/.test(args)) continue;
      count++;
      assert.doesNotThrow(() => parseArguments(args.replaceAll("'", '').split(' ')), `${document}: ${command}`);
    }
  }
  assert.ok(count >= 4, 'command lines were found');
});

test('every script that the README runs can be run', () => {
  const run = commandsOf(readme).filter((command) => /^(examples|scripts)\/\S+\.sh$/.test(command));
  assert.ok(run.length > 0);
  for (const script of run) assert.doesNotThrow(() => accessSync(path.join(top, script), constants.X_OK), script);
});

test('every file in the first column of a table in a folder README is there', () => {
  const missing: string[] = [];
  for (const document of documents.filter((name) => /^(bpf|native|receiver|scripts|test)\/README\.md$/.test(name))) {
    const folder = path.dirname(document);
    const rows = [...read(document).matchAll(/^\| ([^|]*`[^|]*) \|/gm)].map(([, cell = '']) => cell);
    assert.ok(rows.length > 0, document);
    for (const [, name = ''] of rows.join(' ').matchAll(/`([^`]+)`/g))
      if (globSync(name, { cwd: path.join(top, folder) }).length === 0) missing.push(`${document}: ${name}`);
  }
  assert.deepEqual(missing, []);
});

test('every source of bpf and native is named in its README', () => {
  for (const folder of ['bpf', 'native']) {
    const names = [...read(`${folder}/README.md`).matchAll(/`([^`\s]+)`/g)].map(([, name = '']) => name);
    const named = new Set(names.flatMap((name) => globSync(name, { cwd: path.join(top, folder) })));
    const sources = globSync('*.{c,h,cc,ts}', { cwd: path.join(top, folder) });
    assert.deepEqual(
      sources.filter((source) => !named.has(source)),
      [],
      folder,
    );
  }
});

test('the configuration in the README is whole and good', () => {
  const snippets = blocksOf(readme, 'yaml');
  assert.ok(snippets.length > 0);
  for (const snippet of snippets) assert.deepEqual(loadFrom(snippet).warnings, [], snippet);
});

test('configuration snippets of the documentation are good over a small one', () => {
  const snippets = documents.filter((name) => name.startsWith('docs/')).flatMap((name) => blocksOf(read(name), 'yaml'));
  assert.ok(snippets.length > 0);
  for (const snippet of snippets) assert.deepEqual(loadFrom([around({}), snippet]).warnings, [], snippet);
});

test('collector-config.yaml and the configurations of the examples are good', () => {
  const files = ['collector-config.yaml', ...globSync('examples/*/usm.yaml', { cwd: top })];
  assert.ok(files.length > 1);
  for (const file of files) assert.deepEqual(loadFrom(read(file)).warnings, [], file);
});

test('the ledger in the README balances and has the entries that a ledger has', () => {
  const line = readme.split('\n').find((text) => text.includes('\tLedger\t')) ?? '';
  const shown = JSON.parse(line.slice(line.indexOf('{'))) as LedgerReport & Record<string, unknown>;
  assert.deepEqual(Object.keys(shown), [...Object.keys(new Ledger().report()), 'exporters', 'kernel']);
  const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0);
  const { transactions, bytes } = shown;
  assert.equal(shown.balanced, true);
  assert.equal(transactions.seen, transactions.exported + sum(transactions.not_exported));
  assert.equal(bytes.seen, bytes.parsed + bytes.skipped + sum(bytes.lost));
});

test('the README names every package that set-up installs', () => {
  const setup = read('scripts/setup.sh');
  const packages = ['build_packages', 'test_packages'].flatMap(
    (list) => new RegExp(`^${list}=\\((.*)\\)$`, 'm').exec(setup)?.[1]?.split(' ') ?? [],
  );
  assert.ok(packages.length > 5);
  const requirements = readme.slice(readme.indexOf('## Requirements'), readme.indexOf('## Configuration')).split(/[\s,;.:]+/);
  assert.deepEqual(
    packages.filter((name) => !requirements.includes(name)),
    [],
  );
});

test('the examples in README print what their tests expect', () => {
  const expected = read('examples/jaeger/expected.txt').replaceAll('<number>', '8000');
  assert.ok(blocksOf(readme, 'text').includes(expected));
});

test('the changelog has this version', () => {
  assert.match(read('CHANGELOG.md'), new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\]`, 'm'));
});
