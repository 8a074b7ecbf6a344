import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Claims } from '../../receiver/kernel/claims.ts';
import { claim, claimState, contextPlace } from '../../receiver/kernel/layout.ts';

const cookieOf = (key: Uint8Array): bigint => new DataView(key.buffer).getBigUint64(0, true);

function setUp(room = Infinity) {
  const map = new Map<bigint, Uint8Array>();
  const open = new ArrayBuffer(8);
  const claims = new Claims(
    {
      lookup: (key) => map.get(cookieOf(key)),
      update: (key, value) => {
        if (map.size >= room) throw new Error('E2BIG');
        map.set(cookieOf(key), value);
      },
      delete: (key) => map.delete(cookieOf(key)),
    },
    open,
  );
  return { claims, map, open: () => new Uint32Array(open)[0] };
}

const nonce = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const cookie = 2n ** 40n + 7n;

test('a claim is what the kernel compares with, and is open', () => {
  const { claims, map, open } = setUp();
  claims.add(cookie, { kind: 'static', offset: -72 }, nonce);
  const value = map.get(cookie);
  assert.ok(value);
  const view = new DataView(value.buffer);
  assert.equal(value.byteLength, claim.sizeOf);
  assert.equal(view.getBigInt64(claim.place + contextPlace.offset, true), -72n);
  assert.deepEqual(value.slice(claim.nonce, claim.nonce + 16), nonce);
  assert.equal(view.getBigUint64(claim.cookie, true), cookie);
  assert.equal(view.getUint32(claim.state, true), claimState.open);
  assert.equal(open(), 1);
  assert.deepEqual(claims.verdict(cookie), { kind: 'unseen' });
});

test('each state is a verdict', () => {
  const { claims, map } = setUp();
  claims.add(cookie, { kind: 'static', offset: -8 }, nonce);
  const view = new DataView(map.get(cookie)?.buffer ?? new ArrayBuffer(0));
  view.setUint32(claim.tgid, 4711, true);
  const kinds = Object.values(claimState).map((state) => {
    view.setUint32(claim.state, state, true);
    return claims.verdict(cookie);
  });
  assert.deepEqual(kinds, [
    { kind: 'unseen' },
    { kind: 'proven', pid: 4711 },
    { kind: 'stranger' },
    { kind: 'unreadable' },
    { kind: 'no_nonce' },
    { kind: 'compat' },
    { kind: 'no_room' },
  ]);
});

test('the kernel looks for claims exactly as long as there are any', () => {
  const { claims, open } = setUp(2);
  claims.add(1n, { kind: 'static', offset: -8 }, nonce);
  claims.add(2n, { kind: 'static', offset: -8 }, nonce);
  assert.throws(() => {
    claims.add(3n, { kind: 'static', offset: -8 }, nonce);
  });
  assert.equal(open(), 2);
  claims.delete(1n);
  claims.delete(1n);
  assert.equal(open(), 1);
  claims.delete(2n);
  assert.deepEqual([open(), claims.verdict(2n)], [0, { kind: 'unseen' }]);
});
