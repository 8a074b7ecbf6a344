// The unit for systemd, as systemd itself judges it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { privileges } from '../../receiver/kernel/privileges.ts';

const file = path.join(import.meta.dirname, '../../examples/systemd/usm-receiver.service');
const unit = readFileSync(file, 'utf8');
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;
const skip = hasSystemd ? false : 'there is no systemd-analyze';
/** In tenths; 0 is best, and 100 is a service that may do anything. */
const maxExposure = 22;

test('it grants the capabilities that the receiver knows to need, and no others', () => {
  for (const key of ['AmbientCapabilities', 'CapabilityBoundingSet']) {
    const granted = new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1]?.split(' ');
    assert.deepEqual(
      granted,
      privileges.map(({ capability }) => capability),
      key,
    );
  }
});

test('systemd understands every line of it', { skip }, (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-unit-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  // It also looks whether the command is there.
  const copy = path.join(folder, path.basename(file));
  writeFileSync(copy, unit.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'));
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', copy], { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
});

test(`systemd gives it an exposure of at most ${String(maxExposure / 10)}`, { skip }, () => {
  const args = ['security', '--offline=true', `--threshold=${String(maxExposure)}`, file];
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
});
