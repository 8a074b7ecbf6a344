// The image, and what DaemonSet, seccomp profile and systemd unit leave to the receiver: it is enough for the main job, and they are in force. crun stands in
// for Kubernetes and for systemd.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { kernelTestSkip, runReceiver } from '../e2e/harness.ts';
import { makeRoot } from './clean-root.ts';
import { type ContainerOptions, inContainer, type Seccomp } from './container.ts';
import { assertMainJob } from './main-job.ts';
import { buildImage } from './image.ts';
import { makePackages, repository, skipped } from './packages.ts';
import { seccompOfUnit, valuesOf } from './unit-filter.ts';

const isThere = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const missing = ['buildah', 'crun'].filter((program) => !isThere(program));
const reason = missing.length > 0 ? skipped('the image', `there is no ${missing.join(' and no ')}`) : makePackages().reason;
const skip = reason ?? kernelTestSkip();
const skipUnit = isThere('systemd-analyze') ? skip : skipped('the unit', 'there is no systemd-analyze');

const read = (name: string): string => readFileSync(path.join(repository, 'examples', name), 'utf8');
const profile = JSON.parse(read('container/seccomp.json')) as Seccomp;
const unit = read('systemd/usm-receiver.service');
const daemonSet = parse(read('kubernetes/daemonset.yaml')) as {
  spec: { template: { spec: { containers: { args: string[]; securityContext: { capabilities: { add: string[] } } }[] } } };
};
const [container] = daemonSet.spec.template.spec.containers;
const image = skip === false ? buildImage({ after }) : undefined;

function without(call: string, { syscalls, ...rest }: Seccomp): Seccomp {
  return { ...rest, syscalls: syscalls.map((rule) => ({ ...rule, names: rule.names.filter((name) => name !== call) })) };
}

type Confinement = Pick<ContainerOptions, 'capabilities' | 'seccomp' | 'uid' | 'maskedPaths'>;

/** The image that it ends with has these (the Containerfile names one). */
function withNode(t: TestContext): Readonly<Record<string, string>> {
  const base = makeRoot(t, [], process.execPath);
  const libraries = readdirSync(base).filter((name) => name.startsWith('lib'));
  return {
    '/nodejs/bin/node': process.execPath,
    ...Object.fromEntries(libraries.map((name) => [`/${name}`, path.join(base, name)])),
  };
}

function confined(t: TestContext, confinement: Confinement): (args: readonly string[]) => readonly string[] {
  const { root = '', entrypoint = [] } = image ?? {};
  return inContainer(t, { ...confinement, root, command: entrypoint, env: ['PATH=/nodejs/bin'], mounts: withNode(t) });
}

const asDaemonSet = (seccomp: Seccomp): Confinement => ({
  capabilities: container?.securityContext.capabilities.add.map((name) => `CAP_${name}`) ?? [],
  seccomp,
});

/** As far as another than systemd can do the same. */
const asUnit = (seccomp: Seccomp): Confinement => ({
  uid: 65534, // DynamicUser
  capabilities: valuesOf(unit, 'AmbientCapabilities').flatMap((line) => line.split(' ')),
  seccomp,
  maskedPaths: ['/proc/kallsyms', '/proc/kcore', '/proc/kmsg'], // ProtectKernelTunables, ProtectKernelLogs
});

test(
  'the Containerfile adds the application for this platform, and nothing else; it begins as the DaemonSet asks',
  { skip },
  () => {
    const { root, cmd } = image!;
    assert.deepEqual(readdirSync(root), ['app']);
    assert.deepEqual(readdirSync(path.join(root, 'app')), ['node_modules']);
    assert.deepEqual(readdirSync(path.join(root, 'app/node_modules/@usm-receiver')), ['linux-x64']);
    assert.deepEqual(cmd, container?.args);
  },
);

test(
  "with the DaemonSet's capabilities and the seccomp profile, every HTTP and HTTPS exchange makes its two spans",
  { skip },
  async (t) => {
    await assertMainJob(t, confined(t, asDaemonSet(profile)));
  },
);

test(
  'with what the unit for systemd allows, every HTTP and HTTPS exchange makes its two spans',
  { skip: skipUnit },
  async (t) => {
    await assertMainJob(t, confined(t, asUnit(seccompOfUnit(unit))));
  },
);

const filters: readonly { readonly name: string; readonly skip: string | false; readonly confinement: () => Confinement }[] = [
  { name: 'the seccomp profile', skip, confinement: () => asDaemonSet(without('bpf', profile)) },
  { name: 'the filter of the unit', skip: skipUnit, confinement: () => asUnit(without('bpf', seccompOfUnit(unit))) },
];

for (const { name, skip, confinement } of filters) {
  test(`${name} is in force: without bpf(2) in it the receiver says that something forbids it`, { skip }, async (t) => {
    const stopped = await runReceiver(t, { launcher: confined(t, confinement()) });
    assert.equal(stopped.exitCode, 1);
    assert.match(
      stopped.stderr,
      /^Error: cannot .*EPERM.*this process has CAP_BPF and CAP_PERFMON, but something else forbids it; .*seccomp/m,
    );
  });
}
