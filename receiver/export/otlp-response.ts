// What a backend answers → what it means: partial success of an export, and the status details of a refusal
// (https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-response, google/rpc/status.proto, google/rpc/error_details.proto). Bad bytes mean nothing.
import type { ExportResult, Signal } from './exporter.ts';
import type { ProtobufField } from './protobuf-reader.ts';
import { readProtobuf } from './protobuf-reader.ts';

const MAX_MESSAGE_CHARACTERS = 1024;

export interface RpcStatus {
  readonly message: string;
  /** Set when the details hold a RetryInfo: the backend asks for another attempt, after this delay. */
  readonly retryDelayMs: number | undefined;
}

/** An Export*ServiceResponse in protobuf: those of traces and metrics are alike. `items` were sent: more than that can't have been rejected. */
export function readExportResponse(bytes: Uint8Array, items: number): ExportResult {
  const partialSuccess = last(readProtobuf(bytes), 1);
  const fields = partialSuccess === undefined ? undefined : readProtobuf(partialSuccess.bytes);
  return accepted(last(fields, 1)?.value ?? 0, textOf(last(fields, 2)), items);
}

/** The same in OTLP/JSON. */
export function readExportResponseJson(text: string, signal: Signal, items: number): ExportResult {
  const partialSuccess = member(parseJson(text), 'partialSuccess');
  const message = member(partialSuccess, 'errorMessage');
  const rejected = member(partialSuccess, signal === 'traces' ? 'rejectedSpans' : 'rejectedDataPoints');
  return accepted(Number(rejected ?? 0), typeof message === 'string' ? message : '', items);
}

/** A google.rpc.Status in protobuf: gRPC's `grpc-status-details-bin`, or the body of an HTTP error. */
export function readRpcStatus(bytes: Uint8Array): RpcStatus | undefined {
  const fields = readProtobuf(bytes);
  if (fields === undefined) return undefined;
  let retryDelayMs: number | undefined;
  for (const field of fields) {
    if (field.number !== 3) continue;
    const detail = readProtobuf(field.bytes);
    const type = textOf(last(detail, 1));
    if (!type.endsWith('/google.rpc.RetryInfo')) continue;
    const delay = last(readProtobuf(last(detail, 2)?.bytes ?? new Uint8Array(0)), 1);
    const duration = delay === undefined ? undefined : readProtobuf(delay.bytes);
    const milliseconds = (last(duration, 1)?.value ?? 0) * 1000 + (last(duration, 2)?.value ?? 0) / 1e6;
    retryDelayMs = Math.max(0, milliseconds);
  }
  return { message: textOf(last(fields, 2)), retryDelayMs };
}

export function readRpcStatusJson(text: string): RpcStatus | undefined {
  const message = member(parseJson(text), 'message');
  return typeof message === 'string' ? { message: shorten(message), retryDelayMs: undefined } : undefined;
}

function accepted(rejected: number, message: string, items: number): ExportResult {
  const count = Number.isFinite(rejected) ? Math.min(Math.max(0, Math.trunc(rejected)), items) : 0;
  return message === ''
    ? { kind: 'accepted', rejected: count }
    : { kind: 'accepted', rejected: count, message: shorten(message) };
}

/** The last field of a number wins, as protobuf has it. */
function last(fields: readonly ProtobufField[] | undefined, number: number): ProtobufField | undefined {
  return fields?.findLast((field) => field.number === number);
}

function textOf(field: ProtobufField | undefined): string {
  return field === undefined ? '' : shorten(new TextDecoder().decode(field.bytes));
}

function shorten(text: string): string {
  return text.length > MAX_MESSAGE_CHARACTERS ? `${text.slice(0, MAX_MESSAGE_CHARACTERS)}…` : text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}
