// A file without the functions that are looked for → the TLS library that it holds all the same, by what the library says of itself in texts. It cannot be
// read, but people are told why.
import { dynamicTable, type ElfFile, type ReadAt, type Segment } from '../../otel-thread-context/reader/index.ts';
import type { Refused, TlsLibrary } from './probes.ts';

interface Mark {
  readonly library: TlsLibrary;
  readonly text: Buffer;
  /** Of the version, behind the text; undefined: it says none. */
  readonly version: RegExp | undefined;
}

const PIECE = 1024 * 1024;
const OVERLAP = 128;
const MAX_STRINGS = 16 * 1024 * 1024;
const MAX_SCANNED = 256 * 1024 * 1024;
const number = /^\d+\.\d+(\.\d+)?[a-z]*/;

/** BoringSSL also says that it is like OpenSSL, so that comes first. */
const marks: readonly Mark[] = [
  { library: 'boringssl', text: Buffer.from('BoringSSL'), version: undefined },
  { library: 'openssl', text: Buffer.from('OpenSSL 1.'), version: /^\d+\.\d+[a-z]*  ?\d/ },
  { library: 'openssl', text: Buffer.from('OpenSSL 3.'), version: /^\d+\.\d+  ?\d/ },
  { library: 'openssl', text: Buffer.from('OpenSSL 4.'), version: /^\d+\.\d+  ?\d/ },
  { library: 'rustls', text: Buffer.from('/rustls-'), version: number },
];

/** A mebibyte a step. */
export function* recognizeText(read: ReadAt, elf: ElfFile): Generator<void, Refused | undefined> {
  const found = yield* searchTexts(read, elf);
  return found?.library === 'openssl' && needsOpenSsl(read, elf) ? undefined : found;
}

/** Linked to the shared libraries: programs also say which version they were built with. */
function needsOpenSsl(read: ReadAt, elf: ElfFile): boolean {
  const strings = dynamicTable(read, elf)?.strings;
  const bytes = strings && read(strings.offset, Math.min(strings.size, MAX_STRINGS));
  if (bytes === undefined) return false;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return text.includes('libssl') || text.includes('libcrypto');
}

function* searchTexts(read: ReadAt, elf: ElfFile): Generator<void, Refused | undefined> {
  let scanned = 0;
  let found: Refused | undefined;
  for (const segment of elf.loads) {
    if (segment.isExecutable && elf.loads.length > 1) continue;
    for (let from = 0; from < segment.fileSize && scanned < MAX_SCANNED; from += PIECE, scanned += PIECE) {
      found = better(found, searchPiece(read, segment, from));
      if (found?.library === 'boringssl') return found;
      yield;
    }
  }
  return found;
}

/** The version that a library with a known place for it says of itself, '' when none is found. */
export function* findVersion(read: ReadAt, elf: ElfFile): Generator<void, string> {
  const found = yield* searchTexts(read, elf);
  return found?.library === 'openssl' ? found.version : '';
}

function searchPiece(read: ReadAt, { offset, fileSize }: Segment, from: number): Refused | undefined {
  const bytes = read(offset + from, Math.min(PIECE + OVERLAP, fileSize - from));
  if (bytes === undefined) return undefined;
  const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let found: Refused | undefined;
  for (const { library, text, version } of marks) {
    for (let at = piece.indexOf(text); at !== -1; at = piece.indexOf(text, at + 1)) {
      // The major number is in the text.
      const digits = /\d+\.$/.exec(text.toString())?.[0] ?? '';
      const rest = piece.toString('latin1', at + text.length, at + text.length + OVERLAP / 2);
      const match = version?.exec(rest);
      if (version !== undefined && match === null) continue;
      found = better(
        found,
        refused(library, match === undefined || match === null ? '' : digits + (/^[\w.]+/.exec(match[0])?.[0] ?? '')),
      );
      break;
    }
  }
  return found;
}

function better(known: Refused | undefined, other: Refused | undefined): Refused | undefined {
  if (known === undefined || other?.library === 'boringssl') return other ?? known;
  return known;
}

function refused(library: TlsLibrary, version: string): Refused {
  if (library === 'openssl') {
    return {
      kind: 'refused',
      library,
      version,
      reason: 'no symbols',
      detail: 'it is part of the file, whose symbols do not name its functions',
    };
  }
  return { kind: 'refused', library, version, reason: 'not supported', detail: 'its functions are not probed' };
}
