// An executable written in Go, stripped or not → the two probes that see the plaintext of its crypto/tls, and what they need to know of it to find the
// socket of a connection (bpf/tls_go.bpf.c), or why there are none.
import { type ElfFile, fileOffsetOf, type ReadAt, viewOf } from '../../otel-thread-context/reader/index.ts';
import { goFlag, probeFlag, tlsLibrary, tlsTarget } from '../kernel/layout.ts';
import { goArchitectures } from './go-architectures.ts';
import { type GoVersion, readGoVersion } from './go-build-info.ts';
import { findGoFunctions, type GoFunction, type GoFunctions, searchTable } from './go-functions.ts';
import { chooseReadSite, chooseWriteSite, type GoSite, type ReadSite, type WriteSite } from './go-sites.ts';
import type { Finding, ProbeSite } from './probes.ts';
import type { RoutineCode } from './routine.ts';
import { type Section, sectionsOf } from './sections.ts';

/** Calls with arguments in registers, and structs as the BPF programs know them: verified for these, none other. */
export const firstMinor = 17;
export const lastMinor = 26;

const READ = 'crypto/tls.(*Conn).Read';
const WRITE = 'crypto/tls.(*Conn).writeRecordLocked';
const CLOSE = 'net.(*TCPConn).Close';
const COPY = 'runtime.memmove';
/** Types that hand all to the net.Conn that is their first field. */
const WRAPPERS = ['golang.org/x/net/netutil.(*limitListenerConn).Close', 'github.com/soheilhy/cmux.(*MuxConn).Close'];
/** Behind the code that C compilers put before it, at most so far from the beginning of its section. */
const MAX_BEFORE_TEXT = 4 << 20;
const TEXT_ALIGNMENT = 16;
const PREFIX = 4;
const STEP = 256 << 10;

/** Nothing: no program of Go, or one without crypto/tls. Each `yield` is a place where something else may run. */
export function* examineGo({ read }: { readonly read: ReadAt }, elf: ElfFile): Generator<void, readonly Finding[]> {
  const sections = sectionsOf(read, elf);
  const table = sections.get('.gopclntab') ?? sections.get('.data.rel.ro.gopclntab');
  const constants = sections.get('.data.rel.ro');
  const information = sections.get('.go.buildinfo');
  if (table === undefined && information === undefined) return [];
  const version = information && readGoVersion(read, elf, information);
  const refuse = (reason: string, detail: string): readonly Finding[] => {
    return [{ kind: 'refused', library: 'go', version: version?.text ?? '', reason, detail }];
  };
  const found = table ?? (constants && (yield* searchTable(read, constants)));
  if (found === undefined) return refuse('no symbols', 'the table of its functions (.gopclntab) was not found');
  const functions = yield* findGoFunctions(read, found, [READ, WRITE, CLOSE, COPY, ...WRAPPERS]);
  if (functions === undefined)
    return refuse('no symbols', 'the table of its functions (.gopclntab) is damaged, or of a version that is not known');
  const [readFunction] = functions.byName.get(READ) ?? [];
  if (readFunction === undefined) return [];
  const unsupported = whyUnsupported(version);
  if (unsupported !== undefined) return refuse('not supported', unsupported);
  const [writeFunction] = functions.byName.get(WRITE) ?? [];
  const [close] = functions.byName.get(CLOSE) ?? [];
  // What is never called the linker leaves out.
  if (writeFunction === undefined || close === undefined) return [];
  const text = yield* findText(read, elf, sections.get('.text'), functions);
  if (text === undefined) return refuse('no symbols', 'where its code begins could not be found');

  const architecture = goArchitectures[elf.machine];
  const copies = (functions.byName.get(COPY) ?? []).map(({ offset }) => text + offset);
  const reading = chooseReadSite(architecture, codeOf(read, elf, text, readFunction), copies);
  if (reading.kind === 'unreadable') return refuse('no probe site', `${READ}: ${reading.reason}`);
  const writing = chooseWriteSite(architecture, codeOf(read, elf, text, writeFunction));
  if (writing.kind === 'unreadable') return refuse('no probe site', `${WRITE}: ${writing.reason}`);
  const wrappers = WRAPPERS.flatMap((name) => functions.byName.get(name)?.[0] ?? []).map(({ offset }) => text + offset);
  const sites = [
    siteOf(elf, READ, text + readFunction.offset, reading, 0),
    siteOf(elf, WRITE, text + writeFunction.offset, writing, probeFlag.sent),
  ];
  const target = encodeTarget(reading, writing, text + close.offset, wrappers);
  return [{ kind: 'probes', library: 'go', version: version?.text ?? '', sites, target }];
}

function whyUnsupported(version: GoVersion | undefined): string | undefined {
  const range = `1.${String(firstMinor)} to 1.${String(lastMinor)} are`;
  if (version?.minor === undefined) return `its version of Go (${version?.text ?? 'not told'}) is not known; ${range}`;
  const isKnown = version.minor >= firstMinor && version.minor <= lastMinor;
  return isKnown ? undefined : `${version.text} is not among the versions of Go that are known; ${range}`;
}

/**
 * Address of the start of Go's own code. The table tells it up to Go 1.25. Else it is that of its section or, with C code before it, where both functions
 * begin as functions of Go do, and the first one has a call that leads to the copy.
 */
function* findText(
  read: ReadAt,
  elf: ElfFile,
  section: Section | undefined,
  { text, byName }: GoFunctions,
): Generator<void, number | undefined> {
  const [reading] = byName.get(READ) ?? [];
  const [writing] = byName.get(WRITE) ?? [];
  const [copy] = byName.get(COPY) ?? [];
  if (reading === undefined || writing === undefined) return undefined;
  const isStart = (start: number): boolean =>
    [reading, writing].every(({ offset }) => {
      const code = codeBytes(read, elf, start + offset, 2 * PREFIX);
      return code !== undefined && isGoStart(elf, code, 0);
    });
  const found = [text, section?.address].find((start) => start !== undefined && isStart(start));
  if (found !== undefined || section === undefined || copy === undefined) return found;
  const room = Math.min(MAX_BEFORE_TEXT, section.size);
  const ofReading = codeBytes(read, elf, section.address + reading.offset, room);
  const ofWriting = codeBytes(read, elf, section.address + writing.offset, room);
  if (ofReading === undefined || ofWriting === undefined) return undefined;
  const starts: number[] = [];
  for (let at = 0; at + reading.size <= ofReading.length; at += TEXT_ALIGNMENT) {
    if (at % STEP === 0) yield;
    if (!isGoStart(elf, ofReading, at) || !isGoStart(elf, ofWriting, at)) continue;
    const code = ofReading.subarray(at, at + reading.size);
    if (hasCall(elf, code, copy.offset - reading.offset)) starts.push(section.address + at);
  }
  return starts.length === 1 ? starts[0] : undefined;
}

/** Whether the code has a direct call to what is so many bytes from its beginning. */
function hasCall({ machine }: ElfFile, code: Uint8Array, distance: number): boolean {
  const view = viewOf(code);
  if (machine === 'aarch64') {
    for (let at = 0; at + 4 <= code.length; at += 4) {
      const word = view.getUint32(at, true);
      if (word >>> 26 === 0x25 && at + ((word << 6) >> 4) === distance) return true;
    }
    return false;
  }
  for (let at = 0; at + 5 <= code.length; at++) {
    if (code[at] === 0xe8 && at + 5 + view.getInt32(at + 1, true) === distance) return true;
  }
  return false;
}

/** With the check for room on the stack: the stack pointer, or so many bytes below it, against the goroutine's bound. */
function isGoStart({ machine }: ElfFile, code: Uint8Array, at: number): boolean {
  if (at + 2 * PREFIX > code.length) return false;
  const word = viewOf(code).getUint32(at, true);
  // ldr x16, [x28, #16]
  if (machine === 'aarch64') return word === 0xf9400b90;
  // cmp 16(%r14), %rsp; lea -n(%rsp), %r12
  return word === 0x10663b49 || word === 0x24648d4c || word === 0x24a48d4c;
}

function siteOf(elf: ElfFile, name: string, start: number, { address, isEmulated }: GoSite, flags: number): ProbeSite {
  const description = `${name}+0x${(address - start).toString(16)}`;
  const cookie = BigInt((tlsLibrary.go << 8) | flags);
  return { program: 'tls_go', offset: fileOffsetOf(elf, address, 1) ?? 0, cookie, description, isEmulated };
}

function encodeTarget(reading: ReadSite, writing: WriteSite, close: number, wrappers: readonly number[]): Uint8Array {
  const target = new Uint8Array(tlsTarget.sizeOf);
  const view = viewOf(target);
  view.setBigUint64(tlsTarget.writeSite, BigInt(writing.address), true);
  view.setBigUint64(tlsTarget.readSite, BigInt(reading.address), true);
  view.setBigUint64(tlsTarget.tcpClose, BigInt(close), true);
  wrappers.forEach((address, index) => {
    view.setBigUint64(tlsTarget.wrappedClose + 8 * index, BigInt(address), true);
  });
  view.setUint32(tlsTarget.connSlot, reading.connSlot, true);
  view.setUint32(tlsTarget.flags, writing.isBranch ? goFlag.branch : 0, true);
  return target;
}

function codeOf(read: ReadAt, elf: ElfFile, text: number, { offset, size }: GoFunction): RoutineCode {
  const start = text + offset;
  const code = codeBytes(read, elf, start, size) ?? new Uint8Array(0);
  return {
    start,
    size,
    codeAt: (address, wanted) =>
      address >= start && address < start + code.length ? code.subarray(address - start, address - start + wanted) : undefined,
  };
}

/** Up to `size` bytes of an executable segment; undefined where there are none. */
function codeBytes(read: ReadAt, elf: ElfFile, address: number, size: number): Uint8Array | undefined {
  const load = elf.loads.find(
    ({ vaddr, fileSize, isExecutable }) => isExecutable && address >= vaddr && address < vaddr + fileSize,
  );
  if (load === undefined) return undefined;
  return read(address - load.vaddr + load.offset, Math.min(size, load.vaddr + load.fileSize - address));
}
