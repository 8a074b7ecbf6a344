// What mdatagen makes of the component's metadata.yaml is what is committed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

const module = path.resolve(import.meta.dirname, '../../receiver/usmreceiver');
const tools = 'internal/tools';
// What it is asked for by doc.go, and what it looks at.
const sources = ['doc.go', 'metadata.yaml', 'go.mod', 'go.sum', `${tools}/go.mod`, `${tools}/go.sum`];

function go(cwd: string, ...args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync('go', args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, GOFLAGS: '-mod=readonly' },
  });
  return { status, output: `${stdout}${stderr}` };
}

const generatedIn = (folder: string): string[] => globSync(['**/generated_*', 'documentation.md'], { cwd: folder }).sort();

test('generated files are those that go generate makes', (t) => {
  const fetched = go(path.join(module, tools), 'mod', 'download');
  if (fetched.status !== 0) {
    const text = `THIRD-PARTY TEST SKIPPED: mdatagen: ${fetched.output.trim().split('\n').at(-1) ?? ''}`;
    console.error(text);
    t.skip(text);
    return;
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-mdatagen-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  // The package is called after its folder.
  const fresh = path.join(folder, path.basename(module));
  for (const source of sources) {
    mkdirSync(path.dirname(path.join(fresh, source)), { recursive: true });
    cpSync(path.join(module, source), path.join(fresh, source));
  }
  const generated = go(fresh, 'generate', '.');
  assert.equal(generated.status, 0, generated.output);
  assert.ok(generatedIn(fresh).length > 5);
  assert.deepEqual(
    generatedIn(module),
    generatedIn(fresh),
    'run `go generate` in receiver/usmreceiver, and remove what it makes no more',
  );
  for (const file of generatedIn(fresh)) {
    const text = readFileSync(path.join(fresh, file), 'utf8');
    assert.equal(readFileSync(path.join(module, file), 'utf8'), text, `${file}: run \`go generate\` in receiver/usmreceiver`);
  }
});
