// An executable or library → the TLS libraries in it, each with its probes or with the reason why it is not read. In steps, so that a file with
// a million symbols holds up nothing.
import { type ElfFile, type ReadAt, readElf, sonameOf } from '../../otel-thread-context/reader/index.ts';
import { examineFunctions, functionNames, marks } from './c-libraries.ts';
import type { Finding } from './probes.ts';
import { exportedFunctions, type Functions, localFunctions } from './symbols.ts';

export interface ExaminedFile {
  readonly read: ReadAt;
  /** Where it was found; only names it. */
  readonly path: string;
  /** The program of a process, which alone is searched for functions that it does not export. */
  readonly isProgram: boolean;
}

/** Further examinations, of other families of libraries. */
export type Examination = (file: ExaminedFile, elf: ElfFile) => Generator<void, readonly Finding[]>;

/** By the beginning of the file's name. They are not read, whatever they hold. */
const recognized: readonly (readonly [prefix: string, Finding])[] = (
  [
    ['libjvm.so', 'jsse', 'Java does TLS in code that it compiles itself'],
    ['libssl3.so', 'nss', 'its functions are those of any file'],
    ['libmbedtls.so', 'mbedtls', 'no probes for it yet'],
    ['libwolfssl.so', 'wolfssl', 'no probes for it yet'],
    ['librustls', 'rustls', 'no probes for it yet'],
  ] as const
).map(([prefix, library, detail]) => [prefix, { kind: 'refused', library, version: '', reason: 'not supported', detail }]);

export function* examineFile(file: ExaminedFile, further: readonly Examination[]): Generator<void, readonly Finding[]> {
  const elf = readElf(file.read);
  if (elf.kind === 'malformed') return [];
  const name = file.path.slice(file.path.lastIndexOf('/') + 1);
  const known = recognized.find(([prefix]) => name.startsWith(prefix));
  if (known !== undefined) return [known[1]];
  const functions = yield* functionsOf(file, elf, name);
  const findings = [...(yield* examineFunctions(file.read, elf, functions))];
  for (const examination of further) findings.push(...(yield* examination(file, elf)));
  const version = versionOf(sonameOf(file.read, elf));
  return findings.map((finding) => (finding.version === '' ? { ...finding, version } : finding));
}

function* functionsOf({ read, isProgram }: ExaminedFile, elf: ElfFile, name: string): Generator<void, Functions> {
  const exported = exportedFunctions(read, elf, marks);
  yield;
  if (exported.size > 0) return exportedFunctions(read, elf, functionNames);
  // A library that exports none of this has it for itself at most, as some extensions of languages do.
  if (!isProgram && !/ssl|tls|crypto/i.test(name)) return exported;
  return yield* localFunctions(read, elf, new Set(functionNames));
}

/** `libssl.so.1.1` → 1.1. */
function versionOf(soname: string): string {
  return /\.so\.([0-9][0-9.]*)$/.exec(soname)?.[1] ?? '';
}
