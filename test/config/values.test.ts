import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearMatch } from '../../receiver/config/near-match.ts';
import { formatSize, parseCidr, parseDurationMs, parsePortRange, parseSizeBytes } from '../../receiver/config/values.ts';

test('durations are those of Go', () => {
  const good: Readonly<Record<string, number>> = {
    '0': 0,
    '0s': 0,
    '200ms': 200,
    '5s': 5000,
    '1m30s': 90_000,
    '1.5h': 5_400_000,
    '.5s': 500,
    '2.s': 2000,
    '100us': 0.1,
    '100µs': 0.1,
    '1000000ns': 1,
    '1h1m1s1ms': 3_661_001,
  };
  for (const [text, ms] of Object.entries(good)) assert.ok(Math.abs((parseDurationMs(text) ?? NaN) - ms) < 1e-9, text);
  for (const text of ['', '5', '00', 's', '.s', '5 s', '-5s', '+5s', '1d', '5S', '1s2', '5s ', '1e3s', '9999999h']) {
    assert.equal(parseDurationMs(text), undefined, text);
  }
});

test('sizes are bytes or have binary units', () => {
  assert.equal(parseSizeBytes(4096), 4096);
  assert.equal(parseSizeBytes('4096'), 4096);
  assert.equal(parseSizeBytes('7B'), 7);
  assert.equal(parseSizeBytes('32KiB'), 32768);
  assert.equal(parseSizeBytes('8MiB'), 8388608);
  assert.equal(parseSizeBytes('1GiB'), 1073741824);
  for (const size of [-1, 1.5, '', '1.5MiB', '8MB', '8 MiB', '-1', '999999999999999GiB'])
    assert.equal(parseSizeBytes(size), undefined, String(size));
});

test('a size is told in the largest unit that fits it', () => {
  assert.deepEqual([1023, 1024, 1536, 1048576, 3221225472].map(formatSize), ['1023B', '1KiB', '1536B', '1MiB', '3GiB']);
});

test('port ranges are inclusive and inside 1 to 65535', () => {
  assert.deepEqual(parsePortRange(80), { first: 80, last: 80 });
  assert.deepEqual(parsePortRange('1-65535'), { first: 1, last: 65535 });
  for (const range of [0, 65536, '', '80-', '-80', '81-80', '1-2-3', '80 - 90', 'http'])
    assert.equal(parsePortRange(range), undefined, String(range));
});

test('CIDR prefixes have their host bits cleared', () => {
  const hex = (text: string): string | undefined => {
    const cidr = parseCidr(text);
    return cidr && `v${cidr.ipVersion} ${Buffer.from(cidr.bytes).toString('hex')}/${cidr.prefixLength}`;
  };
  const good: Readonly<Record<string, string>> = {
    '10.1.2.3/8': 'v4 0a000000/8',
    '10.1.2.3': 'v4 0a010203/32',
    '255.255.255.255/25': 'v4 ffffff80/25',
    '0.0.0.0/0': 'v4 00000000/0',
    '::/0': 'v6 00000000000000000000000000000000/0',
    '::1': 'v6 00000000000000000000000000000001/128',
    '2001:db8:ffff::/33': 'v6 20010db8800000000000000000000000/33',
    'fe80::1:2:3:4/64': 'v6 fe800000000000000000000000000000/64',
    '1:2:3:4:5:6:7:8': 'v6 00010002000300040005000600070008/128',
    '1:2:3:4:5:6:7::': 'v6 00010002000300040005000600070000/128',
    '::1.2.3.4': 'v6 00000000000000000000000001020304/128',
    '::ffff:1.2.3.4': 'v4 01020304/32',
    '::ffff:10.9.9.9/104': 'v4 0a000000/8',
    '::ffff:0:0/95': 'v6 00000000000000000000fffe00000000/95',
  };
  for (const [text, expected] of Object.entries(good)) assert.equal(hex(text), expected, text);
  for (const text of [
    '',
    '/8',
    '10.0.0/8',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    'fe80::1%eth0/64',
    'localhost',
  ]) {
    assert.equal(parseCidr(text), undefined, text);
  }
});

test('a near match is a third of a word away at most', () => {
  const words = ['endpoint', 'timeout', 'tls', 'sending_queue'];
  assert.equal(nearMatch('endpiont', words), 'endpoint');
  assert.equal(nearMatch('end_point', words), 'endpoint');
  assert.equal(nearMatch('Timeout', words), 'timeout');
  assert.equal(nearMatch('sendingQueue', words), 'sending_queue');
  assert.equal(nearMatch('tsl', words), 'tls');
  assert.equal(nearMatch('headers', words), undefined);
  assert.equal(nearMatch('x', words), undefined);
  assert.equal(nearMatch('e'.repeat(1000), words), undefined);
});
