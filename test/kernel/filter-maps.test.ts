import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Cidr, compileFilter, type FilterRule, type FilterTables, MAX_RULES } from '../../receiver/kernel/filter-maps.ts';
import { Random } from '../support/random.ts';

/** What bpf/filter.h knows of a connection and its process. */
interface Subject {
  readonly isUnix: boolean;
  readonly local: readonly number[];
  readonly peer: readonly number[];
  readonly localPort: number;
  readonly remotePort: number;
  readonly pid: number;
  readonly executable: string;
  readonly cgroup: string;
}

const ALL = 0xffff_ffff_ffff_ffffn;
const anything: FilterRule = { localPorts: [], remotePorts: [], cidrs: [], pids: [], executables: [], cgroups: [] };
const v4 = (bytes: readonly number[], prefixLength: number): Cidr => ({ ipVersion: 4, bytes, prefixLength });
const v6 = (bytes: readonly number[], prefixLength: number): Cidr => ({
  ipVersion: 6,
  bytes: [...bytes, ...Array.from({ length: 16 - bytes.length }, () => 0)],
  prefixLength,
});
const mapped = (bytes: readonly number[]): readonly number[] => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes];
const subject: Subject = {
  isUnix: false,
  local: mapped([10, 1, 2, 3]),
  peer: mapped([192, 168, 0, 1]),
  localPort: 80,
  remotePort: 50_000,
  pid: 7,
  executable: '/usr/bin/app',
  cgroup: '/a/b',
};

function sharedBits(a: readonly number[], b: readonly number[], bits: number): boolean {
  for (let bit = 0; bit < bits; bit++) {
    const shift = 7 - (bit & 7);
    if ((((a[bit >> 3] as number) ^ (b[bit >> 3] as number)) >> shift) & 1) return false;
  }
  return true;
}

/** As a longest-prefix-match trie of the kernel answers: host bits count for nothing, and the last entry of a prefix stays. */
function longestPrefix(tables: FilterTables, address: readonly number[]): bigint {
  let rules = 0n;
  let longest = -1;
  for (const entry of tables.prefixes) {
    if (entry.prefix.bits < longest || !sharedBits(entry.prefix.address, address, entry.prefix.bits)) continue;
    longest = entry.prefix.bits;
    rules = entry.rules;
  }
  return rules;
}

/** The cgroup itself and all that it is below of, as bpf/process.bpf.c looks them up. */
function cgroupRules(tables: FilterTables, cgroup: string): bigint {
  let rules = tables.cgroups.get(cgroup) ?? 0n;
  for (let i = 1; i < cgroup.length; i++) if (cgroup[i] === '/') rules |= tables.cgroups.get(cgroup.slice(0, i)) ?? 0n;
  return rules;
}

/** passes_filters of bpf/filter.h, line by line. */
function passes(tables: FilterTables, s: Subject): boolean {
  let rules = ALL;
  if (tables.anyExecutable !== ALL) rules &= tables.anyExecutable | (tables.executables.get(s.executable) ?? 0n);
  if (tables.anyCgroup !== ALL) rules &= tables.anyCgroup | cgroupRules(tables, s.cgroup);
  if (s.isUnix) {
    rules &= tables.anyLocalPort & tables.anyRemotePort & tables.anyAddress;
  } else if ((tables.includeRules | tables.excludeRules) !== 0n) {
    rules &= tables.anyLocalPort | (tables.localPorts.get(s.localPort) ?? 0n);
    rules &= tables.anyRemotePort | (tables.remotePorts.get(s.remotePort) ?? 0n);
    rules &= tables.anyAddress | longestPrefix(tables, s.local) | longestPrefix(tables, s.peer);
  }
  rules &= tables.anyPid | (tables.pids.get(s.pid) ?? 0n);
  if ((rules & tables.excludeRules) !== 0n) return false;
  return tables.includeRules === 0n || (rules & tables.includeRules) !== 0n;
}

/** What a rule means. */
function matches(rule: FilterRule, s: Subject): boolean {
  const inCidr = (address: readonly number[]): boolean =>
    rule.cidrs.some((cidr) =>
      cidr.ipVersion === 6
        ? sharedBits(cidr.bytes, address, cidr.prefixLength)
        : sharedBits(mapped(cidr.bytes), address, cidr.prefixLength + 96),
    );
  const inRange = (ranges: FilterRule['localPorts'], port: number): boolean =>
    ranges.some(({ first, last }) => first <= port && port <= last);
  const isBelow = (cgroup: string): boolean => s.cgroup === cgroup || s.cgroup.startsWith(`${cgroup}/`);
  const wants = (list: readonly unknown[], isMatch: boolean): boolean => list.length === 0 || isMatch;
  return (
    wants(rule.localPorts, !s.isUnix && inRange(rule.localPorts, s.localPort)) &&
    wants(rule.remotePorts, !s.isUnix && inRange(rule.remotePorts, s.remotePort)) &&
    wants(rule.cidrs, !s.isUnix && (inCidr(s.local) || inCidr(s.peer))) &&
    wants(rule.pids, rule.pids.includes(s.pid)) &&
    wants(rule.executables, rule.executables.includes(s.executable)) &&
    wants(rule.cgroups, rule.cgroups.some(isBelow))
  );
}

function isWanted(include: readonly FilterRule[], exclude: readonly FilterRule[], s: Subject): boolean {
  if (exclude.some((rule) => matches(rule, s))) return false;
  return include.length === 0 || include.some((rule) => matches(rule, s));
}

describe('compiled rules', () => {
  test('without rules let everything pass, with no table to look into', () => {
    const tables = compileFilter([], []);
    assert.deepEqual([tables.includeRules, tables.excludeRules, tables.anyPid, tables.anyAddress], [0n, 0n, ALL, ALL]);
    assert.equal(tables.localPorts.size + tables.remotePorts.size + tables.pids.size + tables.prefixes.length, 0);
    assert.equal(passes(tables, subject), true);
  });

  test('have the low bits to include and the high bits to exclude', () => {
    const tables = compileFilter(
      [
        { ...anything, pids: [1] },
        { ...anything, pids: [1, 2] },
      ],
      [{ ...anything, pids: [2] }],
    );
    assert.deepEqual([tables.includeRules, tables.excludeRules], [0b11n, 1n << 32n]);
    assert.deepEqual(
      [...tables.pids],
      [
        [1, 0b11n],
        [2, 0b10n | (1n << 32n)],
      ],
    );
    assert.equal(tables.anyPid, ALL & ~(0b11n | (1n << 32n)));
    assert.equal(tables.anyCgroup, ALL);
  });

  test('use all 32 bits of each half', () => {
    const rules = Array.from({ length: MAX_RULES }, (_, i) => ({ ...anything, pids: [i] }));
    const tables = compileFilter(rules, rules);
    assert.equal(tables.includeRules, 0xffff_ffffn);
    assert.equal(tables.excludeRules, 0xffff_ffffn << 32n);
    assert.equal(tables.pids.get(31), (1n << 31n) | (1n << 63n));
  });

  test('name each port of a range, both ends included, up to the last', () => {
    const tables = compileFilter(
      [{ ...anything, localPorts: [{ first: 65_533, last: 65_535 }], remotePorts: [{ first: 5, last: 5 }] }],
      [],
    );
    assert.deepEqual([...tables.localPorts.keys()], [65_533, 65_534, 65_535]);
    assert.deepEqual([...tables.remotePorts], [[5, 1n]]);
  });

  test('give the longest prefix the rules of all that contain it', () => {
    const tables = compileFilter(
      [
        { ...anything, cidrs: [v4([10, 0, 0, 0], 8)] },
        { ...anything, cidrs: [v4([10, 1, 0, 0], 16)] },
        { ...anything, cidrs: [v4([10, 1, 2, 3], 32)] },
        { ...anything, cidrs: [v4([10, 2, 0, 0], 16)] },
      ],
      [{ ...anything, cidrs: [v4([0, 0, 0, 0], 0)] }],
    );
    const out = 1n << 32n;
    assert.deepEqual(
      tables.prefixes.map(({ prefix, rules }) => [prefix.bits, rules]),
      [
        [104, 0b1n | out],
        [112, 0b11n | out],
        [128, 0b111n | out],
        [112, 0b1001n | out],
        [96, out],
      ],
    );
  });

  test('that write one prefix with different host bits share its entry', () => {
    const tables = compileFilter(
      [
        { ...anything, cidrs: [v4([10, 1, 2, 3], 8)] },
        { ...anything, cidrs: [v4([10, 9, 9, 9], 8)] },
      ],
      [],
    );
    assert.deepEqual(
      tables.prefixes.map(({ rules }) => rules),
      [0b11n, 0b11n],
    );
  });

  test('keep IPv4 out of IPv6 prefixes other than those above the mapped addresses', () => {
    const only = (cidr: Cidr): boolean => passes(compileFilter([{ ...anything, cidrs: [cidr] }], []), subject);
    assert.equal(only(v6([0x20, 0x01], 16)), false);
    assert.equal(only(v6([], 0)), true);
    assert.equal(only(v4([0, 0, 0, 0], 0)), true);
  });

  test('on ports and addresses never match a UNIX socket', () => {
    const unix = { ...subject, isUnix: true };
    assert.equal(passes(compileFilter([{ ...anything, localPorts: [{ first: 0, last: 65_535 }] }], []), unix), false);
    assert.equal(passes(compileFilter([], [{ ...anything, cidrs: [v6([], 0)] }]), unix), true);
    assert.equal(passes(compileFilter([{ ...anything, pids: [subject.pid] }], []), unix), true);
  });
});

test('compiled rules decide as the rules mean, for 20,000 random filters and subjects', () => {
  const random = new Random(3);
  const some = <T>(make: () => T): T[] => (random.below(3) > 0 ? [] : Array.from({ length: random.below(3) + 1 }, make));
  const octet = (): number => random.oneOf([0, 10, 127, 128, 192, 255]);
  const range = (): { first: number; last: number } => {
    const first = random.below(50);
    return { first, last: first + random.below(20) };
  };
  const cidr = (): Cidr => {
    if (random.below(3) > 0) return v4([octet(), octet(), octet(), octet()], random.below(33));
    return v6(Array.from({ length: 16 }, octet), random.oneOf([0, 1, 8, 64, 95, 96, 97, 127, 128]));
  };
  const rule = (): FilterRule => ({
    localPorts: some(range),
    remotePorts: some(range),
    cidrs: some(cidr),
    pids: some(() => random.below(4)),
    executables: some(() => random.oneOf(['/a', '/b', '/c'])),
    cgroups: some(() => random.oneOf(['/a', '/a/b', '/ab', '/c/d/e'])),
  });
  const decided = { true: 0, false: 0 };
  for (let round = 0; round < 4000; round++) {
    const include = Array.from({ length: random.below(5) }, rule);
    const exclude = Array.from({ length: random.below(3) }, rule);
    const tables = compileFilter(include, exclude);
    // Addresses near the rules' own, so that prefixes of every length are hit.
    const known = [...include, ...exclude].flatMap(({ cidrs }) =>
      cidrs.map(({ bytes }) => (bytes.length === 4 ? mapped(bytes) : bytes)),
    );
    const address = (): readonly number[] => {
      if (known.length === 0 || random.below(3) === 0) return mapped([octet(), octet(), octet(), octet()]);
      const bytes = [...random.oneOf(known)];
      bytes[random.below(16)] = octet();
      return bytes;
    };
    for (let i = 0; i < 5; i++) {
      const s: Subject = {
        isUnix: random.below(5) === 0,
        local: address(),
        peer: address(),
        localPort: random.below(70),
        remotePort: random.below(70),
        pid: random.below(4),
        executable: random.oneOf(['/a', '/b', '/c']),
        cgroup: random.oneOf(['', '/a', '/a/b', '/a/b/c', '/ab', '/c/d/e', '/c/d']),
      };
      const expected = isWanted(include, exclude, s);
      assert.equal(passes(tables, s), expected, JSON.stringify({ include, exclude, s }));
      decided[`${expected}`]++;
    }
  }
  assert.ok(decided.true > 2000 && decided.false > 2000, JSON.stringify(decided));
});
