// Spans → text on the given output, as the Collector's debug exporter does it, at `basic` with one line per transaction.
import type { Span } from '../model/span.ts';
import { basicText, detailedText, normalText } from './debug-text.ts';
import type { Exporter, ExportResult, InstrumentationScope, Payload, RequestEncoder, Signal, UnixTime } from './exporter.ts';

export type Verbosity = 'basic' | 'normal' | 'detailed';

/** Writes all bytes; a promise, where the output can push back. */
export type Write = (bytes: Uint8Array) => void | Promise<void>;

export function createDebugExporter(id: string, signal: Signal, write: Write): Exporter {
  return {
    id,
    signal,
    async export(payload: Payload): Promise<ExportResult> {
      try {
        await write(payload.body);
        return { kind: 'accepted', rejected: 0 };
      } catch (cause) {
        return { kind: 'refused', message: `cannot write to the debug output: ${(cause as Error).message}` };
      }
    },
    close: () => Promise.resolve(),
  };
}

/** Keeps the spans until the end of the request: its text counts and groups them. */
export class DebugTraceEncoder implements RequestEncoder<Span> {
  readonly bytes = 0;
  readonly #verbosity: Verbosity;
  readonly #scope: InstrumentationScope;
  readonly #clock: UnixTime;
  #spans: Span[] = [];

  constructor(verbosity: Verbosity, scope: InstrumentationScope, clock: UnixTime) {
    this.#verbosity = verbosity;
    this.#scope = scope;
    this.#clock = clock;
  }

  add(span: Span): void {
    this.#spans.push(span);
  }

  finish(): Uint8Array {
    const spans = this.#spans;
    this.#spans = [];
    return Buffer.from(this.#textOf(spans));
  }

  #textOf(spans: readonly Span[]): string {
    switch (this.#verbosity) {
      case 'basic':
        return basicText(spans, this.#clock);
      case 'normal':
        return normalText(spans, this.#scope);
      case 'detailed':
        return detailedText(spans, this.#clock, this.#scope);
    }
  }
}
