// An executable or library with OpenSSL in it → the probes that see its plaintext, or why there are none. A file may hold all of it, or
// one of its two libraries; what it has is told by its symbols.
// https://docs.openssl.org/3.0/man3/SSL_read/
import { type ElfFile, fileOffsetOf, type ReadAt } from '../../otel-thread-context/reader/index.ts';
import { probeFlag, tlsLibrary } from '../kernel/layout.ts';
import { aarch64 } from './aarch64.ts';
import { type CallShape, chooseSites, type Place } from './call-sites.ts';
import type { Finding, ProbeSite, ReadableLibrary } from './probes.ts';
import type { RoutineCode } from './routine.ts';
import type { Functions, FunctionSymbol } from './symbols.ts';
import { x86 } from './x86.ts';

interface Call {
  readonly name: string;
  readonly shape: CallShape;
  readonly flags: number;
}

const count: CallShape = { needs: [0, 1], result: 'count' };
const success: CallShape = { needs: [0, 1, 3], result: 'success' };
const record: CallShape = { needs: [0, 1, 2], result: 'none' };
const object: CallShape = { needs: [0], result: 'none' };

const openSslCalls: readonly Call[] = [
  { name: 'SSL_read', shape: count, flags: 0 },
  { name: 'SSL_write', shape: count, flags: probeFlag.sent },
  { name: 'SSL_read_ex', shape: success, flags: probeFlag.countPointer },
  { name: 'SSL_write_ex', shape: success, flags: probeFlag.sent | probeFlag.countPointer },
];
const gnuTlsCalls: readonly Call[] = [
  { name: 'gnutls_record_recv', shape: count, flags: 0 },
  { name: 'gnutls_record_send', shape: count, flags: probeFlag.sent },
];
/** What makes another connection of an object, or none. */
const openSslForgets = [
  'SSL_free',
  'SSL_clear',
  'SSL_set_fd',
  'SSL_set_rfd',
  'SSL_set_wfd',
  'SSL_set_bio',
  'SSL_set0_rbio',
  'SSL_set0_wbio',
];
const gnuTlsForgets = ['gnutls_deinit', 'gnutls_transport_set_ptr', 'gnutls_transport_set_ptr2', 'gnutls_transport_set_int2'];
/** BoringSSL has OpenSSL's functions, and some of its own. */
const boringSslMark = 'SSL_CTX_set_custom_verify';

/** What to look up; those that tell whether anything of it is there come first. */
export const marks: readonly string[] = ['SSL_read', 'BIO_write', 'gnutls_record_recv'];
export const functionNames: readonly string[] = [
  ...openSslCalls.map(({ name }) => name),
  'BIO_write',
  boringSslMark,
  ...openSslForgets,
  ...gnuTlsCalls.map(({ name }) => name),
  ...gnuTlsForgets,
];

/** Nothing when the file has none of the libraries. */
export function* examineFunctions(read: ReadAt, elf: ElfFile, functions: Functions): Generator<void, readonly Finding[]> {
  const findings: Finding[] = [];
  const file = { read, elf, functions };
  if (functions.has(boringSslMark) && functions.has('SSL_read')) {
    const detail = 'its connection objects are not those of OpenSSL';
    findings.push({ kind: 'refused', library: 'boringssl', version: '', reason: 'not supported', detail });
  } else if (functions.has('SSL_read') && functions.has('SSL_write')) {
    findings.push(yield* examineLibrary(file, 'openssl', openSslCalls, openSslForgets));
  } else if (functions.has('BIO_write')) {
    findings.push(yield* examineLibrary(file, 'openssl', [], []));
  }
  if (functions.has('gnutls_record_recv')) findings.push(yield* examineLibrary(file, 'gnutls', gnuTlsCalls, gnuTlsForgets));
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
  calls: readonly Call[],
  forgets: readonly string[],
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
  for (const { name, shape, flags } of calls) {
    const found = yield* choose(file, name, shape);
    if (found === undefined) continue;
    // Half of what is said would be worse than nothing.
    if (typeof found === 'string') return refuse(name, found);
    sites.push(siteOf(file.elf, 'tls_enter', name, found, found.entry, BigInt(base | flags)));
    for (const exit of found.exits) sites.push(siteOf(file.elf, 'tls_leave', name, found, exit, leaveCookie(base, exit)));
  }
  for (const name of forgets) {
    const found = yield* choose(file, name, object);
    if (found === undefined) continue;
    if (typeof found === 'string') return refuse(name, found);
    sites.push(siteOf(file.elf, 'tls_forget', name, found, found.entry, BigInt(base)));
  }
  if (library === 'openssl') {
    const found = yield* choose(file, 'BIO_write', record);
    // Without it, connections are bound by the other evidence alone.
    if (typeof found === 'object') sites.push(siteOf(file.elf, 'tls_record', 'BIO_write', found, found.entry, BigInt(base)));
  }
  return { kind: 'probes', library, version: '', sites };
}

interface Chosen {
  readonly start: number;
  readonly entry: Place;
  readonly exits: readonly Place[];
}

function* choose(
  { read, elf, functions }: ExaminedFile,
  name: string,
  shape: CallShape,
): Generator<void, Chosen | string | undefined> {
  const symbol = functions.get(name);
  if (symbol === undefined) return undefined;
  const sites = yield* chooseSites(elf.machine === 'x86-64' ? x86 : aarch64, codeOf(read, elf, symbol), shape);
  return sites.kind === 'sites' ? { start: symbol.address, entry: sites.entry, exits: sites.exits } : sites.reason;
}

function siteOf(elf: ElfFile, program: string, name: string, { start }: Chosen, at: Place, cookie: bigint): ProbeSite {
  const description = `${name}+0x${(at.address - start).toString(16)}`;
  return { program, offset: fileOffsetOf(elf, at.address, 1) ?? 0, cookie, description, isEmulated: at.isEmulated };
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
