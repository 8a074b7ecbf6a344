// A process → its TLS libraries, and whether what they encrypt can be read: for `usm-receiver doctor`.
import type { Examination as Report, Examine, Finding as ReportFinding, Json } from '../model/examination.ts';
import { type Mapping, parseMappings, readElf } from '../../otel-thread-context/reader/index.ts';
import { examineFile, type Examination } from './examine.ts';
import type { Finding } from './probes.ts';
import type { Procfs } from './procfs.ts';
import { recognizeText, findVersion } from './recognize.ts';
import type { TargetFile } from './target-file.ts';

interface Library {
  readonly path: string;
  readonly finding: Finding;
}

const NAME = 'TLS libraries';

const names: Readonly<Record<Finding['library'], string>> = {
  openssl: 'OpenSSL',
  go: 'Go crypto/tls',
  gnutls: 'GnuTLS',
  boringssl: 'BoringSSL',
  rustls: 'rustls',
  nss: 'NSS',
  mbedtls: 'Mbed TLS',
  wolfssl: 'wolfSSL',
  jsse: 'Java (JSSE)',
};

/** `showsSites`: each of them, for people. */
export function createTlsExamination(procfs: Procfs, examinations: readonly Examination[], showsSites: boolean): Examine {
  /** By the identity of the file: many processes have the same ones. */
  const known = new Map<string, readonly Finding[]>();

  function findingsOf(file: TargetFile, path: string, isProgram: boolean): readonly Finding[] {
    const key = `${file.identity} ${String(isProgram)}`;
    let findings = known.get(key);
    if (findings === undefined) {
      findings = examineWhole(file, path, isProgram, examinations);
      known.set(key, findings);
    }
    return findings;
  }

  const report = (
    verdict: Report['verdict'],
    conclusion: string,
    libraries: readonly Library[],
    problems: readonly ReportFinding[],
  ): Report => ({
    name: NAME,
    verdict,
    conclusion,
    findings: [...libraries.map(describe), ...problems],
    table: showsSites ? tableOf(libraries) : undefined,
    facts: { libraries: libraries.map(facts) },
  });

  return ({ pid }) => {
    const maps = procfs.readMaps(pid);
    if (maps === undefined || maps.length === 0) {
      return report('unknown', 'Its mappings cannot be read.', [], []);
    }
    const program = procfs.programOf(pid);
    const libraries: Library[] = [];
    const problems: ReportFinding[] = [];
    for (const mapping of executables(parseMappings(maps))) {
      const file = procfs.openMapped(pid, mapping);
      if (file === undefined) {
        problems.push({ step: 'file', outcome: 'note', detail: `${mapping.name} cannot be opened` });
        continue;
      }
      for (const finding of findingsOf(file, mapping.name, mapping.name === program))
        libraries.push({ path: mapping.name, finding });
      file.close();
    }
    const refused = libraries.filter(({ finding }) => finding.kind === 'refused');
    if (libraries.length === 0) return report('absent', 'It runs no TLS library that is known.', libraries, problems);
    if (refused.length === 0) return report('readable', 'What it encrypts can be read.', libraries, problems);
    const conclusion =
      refused.length < libraries.length
        ? 'What some of its libraries encrypt can be read, that of others cannot.'
        : 'What it encrypts cannot be read.';
    return report('unreadable', conclusion, libraries, problems);
  };
}

function examineWhole(
  file: TargetFile,
  path: string,
  isProgram: boolean,
  examinations: readonly Examination[],
): readonly Finding[] {
  const elf = readElf(file.read);
  if (elf.kind === 'malformed') return [];
  const findings = finish(examineFile({ read: file.read, path, isProgram }, examinations));
  if (findings.length === 0) {
    const recognized = finish(recognizeText(file.read, elf));
    return recognized === undefined ? [] : [recognized];
  }
  return findings.map((finding) => {
    const version = finding.library === 'openssl' ? finish(findVersion(file.read, elf)) : '';
    return version === '' ? finding : { ...finding, version };
  });
}

/** Each file once. */
function executables(mappings: readonly Mapping[]): readonly Mapping[] {
  const files = new Map<string, Mapping>();
  for (const mapping of mappings) {
    if (mapping.isExecutable && mapping.inode !== 0) files.set(`${mapping.device} ${String(mapping.inode)}`, mapping);
  }
  return [...files.values()];
}

function tableOf(libraries: readonly Library[]): Report['table'] {
  const rows = libraries.flatMap(({ path, finding }) =>
    finding.kind === 'refused'
      ? []
      : finding.sites.map(({ program, description, isEmulated }) => [
          path.slice(path.lastIndexOf('/') + 1),
          description,
          program,
          isEmulated ? 'emulated' : 'single-stepped',
        ]),
  );
  return rows.length === 0 ? undefined : { head: ['file', 'probe at', 'program', 'instruction'], rows };
}

function describe({ path, finding }: Library): ReportFinding {
  const step = `${names[finding.library]}${finding.version === '' ? '' : ` ${finding.version}`}`;
  if (finding.kind === 'refused') {
    return {
      step,
      outcome: 'refused',
      detail: `${path}: ${finding.reason}: ${finding.detail}`,
      remedy: remedyOf(finding.reason),
    };
  }
  const slow = finding.sites.filter(({ isEmulated }) => !isEmulated).length;
  return {
    step,
    outcome: 'found',
    detail: `${path}, probe sites: ${String(finding.sites.length)}, single-stepped: ${String(slow)}`,
  };
}

function remedyOf(reason: string): string | undefined {
  return reason === 'no symbols' ? 'keep the symbols of the program, or link the library dynamically' : undefined;
}

function facts({ path, finding }: Library): Json {
  const { library, version } = finding;
  if (finding.kind === 'refused')
    return { library, version, path, readable: false, reason: finding.reason, detail: finding.detail };
  const sites = finding.sites.map(({ program, description, offset, isEmulated }) => ({
    program,
    at: description,
    offset,
    emulated: isEmulated,
  }));
  return { library, version, path, readable: true, sites };
}

function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}
