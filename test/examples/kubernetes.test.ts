// The manifests for Kubernetes: against its own schemas (PyPI kubernetes-validate has them), the receiver's configuration and what it needs.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { privileges } from '../../receiver/kernel/privileges.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const folder = path.join(repository, 'examples/kubernetes');
const read = (name: string): unknown => parse(readFileSync(path.join(folder, name), 'utf8'));

interface DaemonSet {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly hostPID: boolean;
        readonly containers: readonly {
          readonly securityContext: {
            readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] };
          };
          readonly volumeMounts: readonly { readonly name: string }[];
        }[];
        readonly volumes: readonly { readonly name: string; readonly configMap?: { readonly name: string } }[];
      };
    };
  };
}

interface Kustomization {
  readonly resources: readonly string[];
  readonly configMapGenerator: readonly { readonly name: string; readonly files: readonly string[] }[];
}

const pinned = 'kubernetes-validate==1.37.0';
/** The oldest that has all the fields, and the newest. */
const versions = ['1.30', '1.37'];

/** Undefined: it cannot be had here. */
function fetchValidator(): string | undefined {
  const place = path.join(repository, '.cache/kubernetes-validate');
  if (existsSync(place)) return place;
  const partial = `${place}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', partial, pinned];
  const { status, stderr } = spawnSync('python3', args, { encoding: 'utf8' });
  if (status === 0) {
    renameSync(partial, place);
    return place;
  }
  console.error(`THIRD-PARTY TEST SKIPPED: kubernetes-validate: ${stderr.trim().split('\n').at(-1) ?? ''}`);
  return undefined;
}

const validator = fetchValidator();
const skip = validator === undefined ? 'the schemas cannot be had' : false;

function validate(version: string, text: string): { readonly status: number | null; readonly output: string } {
  const scratch = mkdtempSync(path.join(tmpdir(), 'usm-manifest-'));
  const file = path.join(scratch, 'manifest.yaml');
  writeFileSync(file, text);
  const args = ['-m', 'kubernetes_validate', '--strict', '--kubernetes-version', version, file];
  const env = { ...process.env, PYTHONPATH: validator };
  const { status, stdout, stderr } = spawnSync('python3', args, { encoding: 'utf8', env });
  rmSync(scratch, { recursive: true });
  return { status, output: `${stdout}${stderr}` };
}

for (const version of versions) {
  test(`every manifest is one for Kubernetes ${version}, with no field that it does not know`, { skip }, () => {
    for (const name of (read('kustomization.yaml') as Kustomization).resources) {
      const text = readFileSync(path.join(folder, name), 'utf8');
      const { status, output } = validate(version, text);
      assert.equal(status, 0, `${name}: ${output}`);
    }
  });
}

test('a field that is spelled wrongly would be noticed', { skip }, () => {
  const text = readFileSync(path.join(folder, 'daemonset.yaml'), 'utf8').replace('hostPID: true', 'hostPid: true');
  const { status, output } = validate('1.37', text);
  assert.notEqual(status, 0);
  assert.match(output, /hostPid/);
});

test('what the manifests refer to is there', () => {
  const { resources, configMapGenerator } = read('kustomization.yaml') as Kustomization;
  for (const file of [...resources, ...configMapGenerator.flatMap(({ files }) => files)])
    assert.ok(existsSync(path.join(folder, file)), file);
  const { containers, volumes } = (read('daemonset.yaml') as DaemonSet).spec.template.spec;
  const names = volumes.map(({ name }) => name);
  assert.deepEqual(
    containers.flatMap(({ volumeMounts }) => volumeMounts.map(({ name }) => name)),
    names,
  );
  const generated = configMapGenerator.map(({ name }) => name);
  assert.deepEqual(
    volumes.flatMap(({ configMap }) => configMap?.name ?? []),
    generated,
  );
});

test('it adds the capabilities that the receiver knows to need, to none, and has the process ids of the node', () => {
  const { hostPID, containers } = (read('daemonset.yaml') as DaemonSet).spec.template.spec;
  assert.equal(hostPID, true);
  const { add, drop } = containers[0]!.securityContext.capabilities;
  assert.deepEqual([drop, add.map((name) => `CAP_${name}`)], [['ALL'], privileges.map(({ capability }) => capability)]);
});

test('its configuration is one that the receiver takes', () => {
  const main = path.join(repository, 'receiver/main.ts');
  execFileSync(process.execPath, [main, 'validate', '--config', path.join(folder, 'config.yaml')]);
});
