// What `usm-receiver doctor` found → text for people, or JSON for programs; and the exit code.
import type { DoctorReport, ExaminedReport, Examination, Finding } from '../model/examination.ts';

const marks: Readonly<Record<Finding['outcome'], string>> = { found: '✓', missing: '✗', refused: '✗', note: '·' };
const verdictMarks: Readonly<Record<Examination['verdict'], string>> = {
  readable: '✓',
  absent: '–',
  unreadable: '✗',
  unknown: '✗',
};
/** Of a cell: names and paths may be long. */
const MAX_CELL = 100;

/** `isWhole`: also processes that have nothing of what was looked for; else they are one line together. */
export function formatDoctor({ version, host, processes }: DoctorReport, isWhole: boolean): string {
  const lines = [`usm-receiver ${version}`, ...host.flatMap((finding) => formatFinding(finding, '  ', 12))];
  const isSilent = ({ examinations }: ExaminedReport): boolean => examinations.every(({ verdict }) => verdict === 'absent');
  const shown = isWhole ? processes : processes.filter((process) => !isSilent(process));
  for (const process of shown) lines.push('', ...formatProcess(process));
  const silent = processes.length - shown.length;
  if (silent > 0) {
    lines.push('', `${String(silent)} other processes have nothing to read; --pid N tells more of one.`);
  }
  // Names, paths and values are other people's text.
  return `${lines.map((line) => line.replace(/\p{Cc}/gu, '?')).join('\n')}\n`;
}

export function formatDoctorJson({ version, host, processes }: DoctorReport): string {
  const report = {
    version,
    host: host.map(findingFacts),
    processes: processes.map(({ pid, executable, examinations }) => ({
      pid,
      executable,
      examinations: examinations.map(({ name, verdict, conclusion, findings, facts }) => ({
        name,
        verdict,
        conclusion,
        findings: findings.map(findingFacts),
        ...facts,
      })),
    })),
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

/**
 * Of named processes: 0 when something can be read of each, and nothing is in the way of the rest. Of all: 0 when everything that is known to be there
 * can be read. Else 2, so that 1 is left to failures of the command itself.
 */
export function doctorExitCode({ processes }: DoctorReport, isAll: boolean): 0 | 2 {
  const isGood = ({ examinations }: ExaminedReport): boolean =>
    examinations.every(({ verdict }) => verdict !== 'unreadable') &&
    (isAll ||
      (examinations.some(({ verdict }) => verdict === 'readable') && examinations.every(({ verdict }) => verdict !== 'unknown')));
  return processes.every(isGood) ? 0 : 2;
}

function formatProcess({ pid, executable, examinations }: ExaminedReport): string[] {
  const lines = [`process ${String(pid)}  ${executable}`];
  for (const { name, verdict, conclusion, findings, table } of examinations) {
    lines.push(`  ${name}`);
    const width = Math.max(...findings.map(({ step }) => step.length), 0);
    lines.push(...findings.flatMap((finding) => formatFinding(finding, '    ', width)));
    if (table !== undefined) lines.push(...formatTable(table.head, table.rows));
    lines.push(`  ${verdictMarks[verdict]} ${conclusion}`);
  }
  return lines;
}

function formatFinding({ step, outcome, detail, remedy }: Finding, indent: string, width: number): string[] {
  const lines = [`${indent}${marks[outcome]} ${step.padEnd(width)}  ${detail}`];
  if (remedy !== undefined) lines.push(`${indent}  ${' '.repeat(width)}  → ${remedy}`);
  return lines;
}

function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cut = (cell: string): string => (cell.length > MAX_CELL ? `${cell.slice(0, MAX_CELL - 1)}…` : cell);
  const cells = [head, ...rows.map((row) => row.map(cut))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) => `      ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
}

function findingFacts({ step, outcome, detail, remedy }: Finding): object {
  return { step, outcome, detail, ...(remedy !== undefined && { remedy }) };
}
