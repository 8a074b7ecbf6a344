// An executable or library with OpenSSL or GnuTLS in it → the probes that see its plaintext, or why there are none. A file may hold all of
// OpenSSL, or one of its two libraries; what it has is told by its symbols.
import { type ElfFile, fileOffsetOf, type ReadAt, symbolOfSlot } from '../../otel-thread-context/reader/index.ts';
import { probeFlag, tlsLibrary } from '../kernel/layout.ts';
import { aarch64 } from './aarch64.ts';
import { type CallShape, type CallSites, chooseSites, forwardsTo, type Place } from './call-sites.ts';
import type { Architecture } from './instruction.ts';
import { gnuTlsCalls, type LibraryCall, type LibraryCalls, openSslCalls } from './library-calls.ts';
import type { Finding, ProbeSite, ReadableLibrary } from './probes.ts';
import { MAX_INSTRUCTION, type RoutineCode, type Unreadable } from './routine.ts';
import type { Functions, FunctionSymbol } from './symbols.ts';
import { x86 } from './x86.ts';

const record: CallShape = { needs: [0, 1, 2], result: 'none' };
const object: CallShape = { needs: [0], result: 'none' };
/** Nothing of it but its part that encrypts in memory. */
const noCalls: LibraryCalls = { calls: [], forgets: [], clears: [], unfollowed: [] };
const MAX_STUB = 2;
/** BoringSSL has OpenSSL's functions, and some of its own. */
const boringSslMark = 'SSL_CTX_set_custom_verify';

/** What to look up; those that tell whether anything of it is there come first. */
export const marks: readonly string[] = ['SSL_read', 'BIO_write', 'gnutls_record_recv'];
export const functionNames: readonly string[] = [
  'BIO_write',
  boringSslMark,
  ...[openSslCalls, gnuTlsCalls].flatMap(({ calls, forgets, clears, unfollowed }) => [
    ...calls.map(({ name }) => name),
    ...forgets,
    ...clears,
    ...unfollowed,
  ]),
];

/** Nothing when the file has none of the libraries. */
export function* examineFunctions(read: ReadAt, elf: ElfFile, functions: Functions): Generator<void, readonly Finding[]> {
  const findings: Finding[] = [];
  const file = { read, elf, functions };
  if (functions.has(boringSslMark) && functions.has('SSL_read')) {
    const detail = 'its connection objects are not those of OpenSSL';
    findings.push({ kind: 'refused', library: 'boringssl', version: '', reason: 'not supported', detail });
  } else if (functions.has('SSL_read') && functions.has('SSL_write')) {
    findings.push(yield* examineLibrary(file, 'openssl', openSslCalls));
  } else if (functions.has('BIO_write')) {
    findings.push(yield* examineLibrary(file, 'openssl', noCalls));
  }
  if (functions.has('gnutls_record_recv')) findings.push(yield* examineLibrary(file, 'gnutls', gnuTlsCalls));
  return findings;
}

interface ExaminedFile {
  readonly read: ReadAt;
  readonly elf: ElfFile;
  readonly functions: Functions;
}

function* examineLibrary(
  file: ExaminedFile,
  library: ReadableLibrary & ('openssl' | 'gnutls'),
  { calls, forgets, clears, unfollowed }: LibraryCalls,
): Generator<void, Finding> {
  const sites: ProbeSite[] = [];
  const base = tlsLibrary[library] << 8;
  const refuse = (name: string, reason: string): Finding => ({
    kind: 'refused',
    library,
    version: '',
    reason: 'no probe site',
    detail: `${name}: ${reason}`,
  });
  const given: string[] = [];
  for (const call of calls) {
    const symbol = file.functions.get(call.name);
    if (symbol === undefined || isForwarded(file, call, symbol)) continue;
    const found = yield* choose(file, symbol, call.shape, call.followsJumps);
    if (found.kind === 'unreadable') {
      // Half of what is said would be worse than nothing.
      if (call.isRare !== true) return refuse(call.name, found.reason);
      given.push(call.name);
      continue;
    }
    const at = (place: Place): string => describe(call.name, symbol, place);
    sites.push(siteOf(file.elf, 'tls_enter', at(found.entry), found.entry, BigInt(base | call.flags)));
    for (const exit of found.exits) {
      const site = siteOf(file.elf, 'tls_leave', at(exit), exit, leaveCookie(base, exit));
      // Two functions may end in the same one.
      if (!sites.some(({ program, offset }) => program === site.program && offset === site.offset)) sites.push(site);
    }
  }
  const entries = [
    ...forgets.map((name) => ['tls_forget', name, object] as const),
    ...clears.map((name) => ['tls_forget', name, object, probeFlag.clears] as const),
    ...[...unfollowed, ...given].map((name) => ['tls_unfollowed', name, object] as const),
    ...(library === 'openssl' ? [['tls_record', 'BIO_write', record] as const] : []),
  ];
  for (const [program, name, shape, flags = 0] of entries) {
    const symbol = file.functions.get(name);
    if (symbol === undefined) continue;
    const found = yield* choose(file, symbol, shape);
    if (found.kind === 'sites')
      sites.push(siteOf(file.elf, program, describe(name, symbol, found.entry), found.entry, BigInt(base | flags)));
    // Without BIO_write(), connections are bound by the other evidence alone.
    else if (program !== 'tls_record') return refuse(name, found.reason);
  }
  return { kind: 'probes', library, version: '', sites };
}

function* choose(
  { read, elf }: ExaminedFile,
  symbol: FunctionSymbol,
  shape: CallShape,
  followsJumps = false,
): Generator<void, CallSites | Unreadable> {
  return yield* chooseSites(architectureOf(elf), { ...codeOf(read, elf, symbol), followsJumps }, shape);
}

function architectureOf({ machine }: ElfFile): Architecture {
  return machine === 'x86-64' ? x86 : aarch64;
}

/** Whether what is called is in truth another function, which is probed. */
function isForwarded({ read, elf, functions }: ExaminedFile, call: LibraryCall, symbol: FunctionSymbol): boolean {
  const other = call.forwardsTo === undefined ? undefined : functions.get(call.forwardsTo);
  if (other === undefined) return false;
  const architecture = architectureOf(elf);
  const code = codeOf(read, elf, symbol);
  const target = forwardsTo(architecture, code, call.shape);
  if (target === undefined || target === other.address) return target !== undefined;
  // Through the procedure linkage table: at most a hint, and a jump by a word that the loader fills in.
  for (let at = target, instructions = 0; instructions < MAX_STUB; instructions++) {
    const bytes = code.codeAt(at, MAX_INSTRUCTION);
    const instruction = bytes && architecture.decode(bytes, 0, at);
    if (instruction === undefined) return false;
    const { by, flow, size } = instruction;
    if (by !== undefined) return 'word' in by && symbolOfSlot(read, elf, by.word) === call.forwardsTo;
    if (flow !== 'next') return false;
    at += size;
  }
  return false;
}

function siteOf(elf: ElfFile, program: string, description: string, at: Place, cookie: bigint): ProbeSite {
  return { program, offset: fileOffsetOf(elf, at.address, 1) ?? 0, cookie, description, isEmulated: at.isEmulated };
}

/** Places in other functions are beyond the end of this one, or before its beginning. */
function describe(name: string, { address }: FunctionSymbol, at: Place): string {
  const distance = at.address - address;
  return `${name}${distance < 0 ? '-' : '+'}0x${Math.abs(distance).toString(16)}`;
}

function leaveCookie(base: number, { countAt }: Place): bigint {
  if (countAt === undefined) return BigInt(base);
  return (BigInt.asUintN(32, BigInt(countAt)) << 32n) | BigInt(base | probeFlag.countOnStack);
}

/** Code of the file's executable segments; read in pieces, of which the last one is kept. */
function codeOf(read: ReadAt, elf: ElfFile, { address, size }: FunctionSymbol): RoutineCode {
  const piece = 4096;
  let kept: Uint8Array | undefined;
  let keptAt = 0;
  return {
    start: address,
    size,
    dataAt: (at, wanted) => {
      const offset = fileOffsetOf(elf, at, wanted);
      return offset === undefined ? undefined : read(offset, wanted);
    },
    codeAt: (at, wanted) => {
      if (kept !== undefined && at >= keptAt && at + wanted <= keptAt + kept.length) {
        return kept.subarray(at - keptAt, at - keptAt + wanted);
      }
      const load = elf.loads.find(({ vaddr, fileSize, isExecutable }) => isExecutable && at >= vaddr && at < vaddr + fileSize);
      if (load === undefined) return undefined;
      kept = read(at - load.vaddr + load.offset, Math.min(piece, load.vaddr + load.fileSize - at));
      keptAt = at;
      return kept?.subarray(0, wanted);
    },
  };
}
