// Filter rules -> what bpf/filter.h looks up. A rule is a bit (include: 0..31, exclude: 32..63); each criterion maps a value to the
// rules that want it, and has a mask of the rules that do not care.

/** One rule: every list that is not empty must have a match. */
export interface FilterRule {
  readonly localPorts: readonly PortRange[];
  readonly remotePorts: readonly PortRange[];
  readonly cidrs: readonly Cidr[];
  readonly pids: readonly number[];
  readonly executables: readonly string[];
  readonly cgroups: readonly string[];
}

/** Inclusive at both ends. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface Cidr {
  readonly ipVersion: 4 | 6;
  readonly bytes: readonly number[];
  readonly prefixLength: number;
}

/** Key of the address trie: 128 bits, IPv4 in IPv4-mapped form. */
interface Prefix {
  readonly address: readonly number[];
  readonly bits: number;
}

export interface FilterTables {
  readonly includeRules: bigint;
  readonly excludeRules: bigint;
  readonly anyLocalPort: bigint;
  readonly anyRemotePort: bigint;
  readonly anyAddress: bigint;
  readonly anyPid: bigint;
  readonly anyExecutable: bigint;
  readonly anyCgroup: bigint;
  readonly localPorts: ReadonlyMap<number, bigint>;
  readonly remotePorts: ReadonlyMap<number, bigint>;
  readonly prefixes: readonly { readonly prefix: Prefix; readonly rules: bigint }[];
  readonly pids: ReadonlyMap<number, bigint>;
  readonly executables: ReadonlyMap<string, bigint>;
  readonly cgroups: ReadonlyMap<string, bigint>;
}

export const MAX_RULES = 32;
const ALL = 0xffff_ffff_ffff_ffffn;

export function compileFilter(include: readonly FilterRule[], exclude: readonly FilterRule[]): FilterTables {
  const rules = [
    ...include.slice(0, MAX_RULES).map((rule, i) => ({ rule, bit: 1n << BigInt(i) })),
    ...exclude.slice(0, MAX_RULES).map((rule, i) => ({ rule, bit: 1n << BigInt(32 + i) })),
  ];
  const any = (list: (rule: FilterRule) => readonly unknown[]) =>
    rules.reduce((mask, { rule, bit }) => (list(rule).length === 0 ? mask : mask & ~bit), ALL);
  const table = <K>(values: (rule: FilterRule) => readonly K[]): Map<K, bigint> => {
    const map = new Map<K, bigint>();
    for (const { rule, bit } of rules) for (const value of values(rule)) map.set(value, (map.get(value) ?? 0n) | bit);
    return map;
  };
  const ports = (ranges: readonly PortRange[]) =>
    ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
  const prefixes = rules.flatMap(({ rule, bit }) => rule.cidrs.map((cidr) => ({ prefix: prefixOf(cidr), bit })));
  return {
    includeRules: rules.reduce((mask, { bit }) => (bit < 1n << 32n ? mask | bit : mask), 0n),
    excludeRules: rules.reduce((mask, { bit }) => (bit < 1n << 32n ? mask : mask | bit), 0n),
    anyLocalPort: any((rule) => rule.localPorts),
    anyRemotePort: any((rule) => rule.remotePorts),
    anyAddress: any((rule) => rule.cidrs),
    anyPid: any((rule) => rule.pids),
    anyExecutable: any((rule) => rule.executables),
    anyCgroup: any((rule) => rule.cgroups),
    localPorts: table((rule) => ports(rule.localPorts)),
    remotePorts: table((rule) => ports(rule.remotePorts)),
    // A trie finds only the longest prefix, so each prefix also carries the rules of those that contain it.
    prefixes: prefixes.map(({ prefix }) => ({
      prefix,
      rules: prefixes.reduce((mask, other) => (contains(other.prefix, prefix) ? mask | other.bit : mask), 0n),
    })),
    pids: table((rule) => rule.pids),
    executables: table((rule) => rule.executables),
    cgroups: table((rule) => rule.cgroups),
  };
}

function prefixOf(cidr: Cidr): Prefix {
  if (cidr.ipVersion === 6) return { address: cidr.bytes, bits: cidr.prefixLength };
  return { address: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...cidr.bytes], bits: cidr.prefixLength + 96 };
}

function contains(outer: Prefix, inner: Prefix): boolean {
  if (outer.bits > inner.bits) return false;
  for (let bit = 0; bit < outer.bits; bit++) {
    const mask = 0x80 >> (bit & 7);
    if (((outer.address[bit >> 3] ?? 0) & mask) !== ((inner.address[bit >> 3] ?? 0) & mask)) return false;
  }
  return true;
}
