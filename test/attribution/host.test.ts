import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHost } from '../../receiver/attribution/host.ts';

const machineId = '5e1f0c2b7a9d4e3f8b6c0d1e2f3a4b5c';
const productUuid = '4C4C4544-0051-3310-8051-B4C04F4A3132';

function idOf(files: Readonly<Record<string, string>>): string | undefined {
  return readHost({ readText: (path) => files[path], hostName: 'web-1', arch: 'x64' }).id;
}

test('the id is that of the machine', () => {
  assert.equal(idOf({ '/etc/machine-id': machineId + '\n', '/sys/class/dmi/id/product_uuid': productUuid }), machineId);
});

test('D-Bus has it too', () => {
  assert.equal(idOf({ '/var/lib/dbus/machine-id': machineId }), machineId);
});

test('a machine id that is not set yet is none: the firmware is asked', () => {
  for (const unset of ['', 'uninitialized\n', '0'.repeat(32)]) {
    assert.equal(idOf({ '/etc/machine-id': unset, '/sys/class/dmi/id/product_uuid': productUuid }), productUuid.toLowerCase());
  }
});

test('no id is better than one that many hosts have', () => {
  assert.equal(idOf({}), undefined);
  assert.equal(idOf({ '/sys/class/dmi/id/product_uuid': 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF' }), undefined);
  assert.equal(idOf({ '/sys/class/dmi/id/product_uuid': 'To be filled by O.E.M.' }), undefined);
});

test('architectures have the names of the conventions', () => {
  const archOf = (arch: string): string => readHost({ readText: () => undefined, hostName: '', arch }).arch;
  assert.deepEqual(['x64', 'arm64', 'arm', 'ia32', 's390x', 'riscv64'].map(archOf), [
    'amd64',
    'arm64',
    'arm32',
    'x86',
    's390x',
    'riscv64',
  ]);
});
