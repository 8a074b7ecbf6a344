// The answer of `GET /debug/usm` → a table for people: what the receiver is doing, and where each connection and open exchange stands.
import type { ConnectionInspection, ConnectionsInspection } from '../model/inspection.ts';

/** What of the answer is printed; the whole of it is in the JSON. */
export interface InspectionAnswer {
  readonly receiver: { readonly version: string; readonly phase: string; readonly uptime_seconds: number };
  /** Absent until capture runs, as all that follows. */
  readonly connections?: ConnectionsInspection;
  readonly exporters?: readonly {
    readonly id: string;
    readonly signal: string;
    readonly accepted: number;
    readonly rejected: number;
    readonly failed: number;
    readonly queueFull: number;
    readonly queueSize: number;
    readonly queueCapacity: number;
  }[];
  readonly ring?: { readonly pending_bytes: number; readonly capacity_bytes: number };
  readonly ledger?: {
    readonly transactions: {
      readonly seen: number;
      readonly exported: number;
      readonly pending?: number;
      readonly not_exported: Counts;
    };
    readonly bytes: { readonly lost: Counts };
    readonly events: { readonly dropped: Counts };
  };
}

type Counts = Readonly<Record<string, number>>;

export function formatInspection(answer: InspectionAnswer): string {
  const { receiver, ledger, exporters = [], ring, connections } = answer;
  const lines = [`usm-receiver ${receiver.version}, ${receiver.phase}, up ${receiver.uptime_seconds} s`];
  if (ledger !== undefined) {
    const { seen, exported, pending = 0, not_exported } = ledger.transactions;
    lines.push(
      `transactions  ${seen} seen, ${exported} exported, ${pending} pending${formatCounts('not exported', not_exported)}`,
    );
    const losses = `${formatCounts('bytes lost', ledger.bytes.lost)}${formatCounts('events dropped', ledger.events.dropped)}`;
    if (losses !== '') lines.push(`losses        ${losses.slice(2)}`);
  }
  if (ring !== undefined) lines.push(`ring          ${ring.pending_bytes} of ${ring.capacity_bytes} bytes`);
  for (const exporter of exporters) {
    const { id, signal, accepted, rejected, failed, queueFull, queueSize, queueCapacity } = exporter;
    lines.push(
      `exporter      ${id} (${signal}): ${accepted} delivered, ${rejected} refused, ${failed} given up, ${queueFull} not queued; queue ${queueSize} of ${queueCapacity}`,
    );
  }
  if (connections !== undefined) lines.push('', ...formatConnections(connections));
  // Paths of UNIX sockets are other people's text.
  return `${lines.map(escapeControls).join('\n')}\n`;
}

const head = [
  'CONNECTION',
  'ROLE',
  'BY',
  'PID',
  'LOCAL',
  'PEER',
  'PROTOCOL',
  'RECEIVED',
  'SENT',
  'REQUEST',
  'RESPONSE',
  'OPEN',
  'IDLE',
];

function formatConnections(connections: ConnectionsInspection): string[] {
  const { tracked, matching, shown, given_up } = connections;
  const lines = [`connections   ${tracked} tracked, ${matching} matching, ${shown.length} shown`];
  if (given_up !== undefined) lines.push(`This connection was given up: ${given_up}.`);
  if (shown.length === 0) return lines;
  const rows = shown.map(formatRow);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const pad = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  lines.push(pad(head));
  for (const [at, connection] of shown.entries()) lines.push(pad(rows[at] ?? []), ...formatDetails(connection));
  return lines;
}

function formatRow(connection: ConnectionInspection): string[] {
  const { conversation } = connection;
  return [
    String(connection.connection),
    connection.role,
    connection.role_evidence,
    String(connection.pid),
    connection.local || '-',
    connection.peer || '-',
    connection.protocol,
    String(connection.received.position),
    String(connection.sent.position),
    conversation === undefined ? '-' : formatSide(conversation.request),
    conversation === undefined ? '-' : formatSide(conversation.response),
    conversation === undefined ? '-' : String(conversation.open + conversation.held),
    formatMs(connection.idle_ms),
  ];
}

function formatSide({
  phase,
  buffered_bytes,
  body_bytes,
}: {
  phase: string;
  buffered_bytes: number;
  body_bytes: number;
}): string {
  if (phase === 'head') return `head (${buffered_bytes} bytes)`;
  return phase === 'length' || phase === 'chunked' || phase === 'until_end' ? `${phase} (${body_bytes} bytes)` : phase;
}

function formatDetails(connection: ConnectionInspection): string[] {
  const { conversation, executable, joined, closing, waiting_ms, waiting_bytes, lost_bytes, last_loss } = connection;
  const lines: string[] = [];
  if (executable !== undefined) lines.push(`  process ${connection.pid}: ${executable}`);
  if (joined !== 'beginning') lines.push(`  joined in the ${joined === 'boundary' ? 'middle, between two exchanges' : 'middle'}`);
  if (conversation !== undefined && conversation.pairing !== 'firm') lines.push(`  pairing: ${conversation.pairing}`);
  if (closing !== undefined) lines.push(`  over: ${closing}`);
  if (waiting_ms !== undefined) lines.push(`  events wait for ${formatMs(waiting_ms)}, ${waiting_bytes} bytes`);
  if (lost_bytes > 0) lines.push(`  ${lost_bytes} bytes lost, the last ones: ${last_loss ?? 'unknown'}`);
  for (const { request_position, age_ms, pid, status_code } of conversation?.open_exchanges ?? []) {
    const state = status_code === undefined ? 'waits for its answer' : `is being answered with ${status_code}`;
    lines.push(`  request at ${request_position}, ${formatMs(age_ms)} old, process ${pid}: ${state}`);
  }
  if (conversation !== undefined && conversation.held > 0) lines.push(`  ${conversation.held} finished exchanges held in doubt`);
  return lines;
}

function formatCounts(title: string, counts: Counts): string {
  const entries = Object.entries(counts);
  return entries.length === 0 ? '' : `; ${title}: ${entries.map(([name, count]) => `${name} ${count}`).join(', ')}`;
}

function formatMs(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function escapeControls(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
