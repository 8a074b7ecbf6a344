// Spans → text on the given output, as the Collector's debug exporter does it, at `basic` with one line per transaction.
import type { Batch } from '../model/span.ts';
import { basicText, detailedText, normalText } from './debug-text.ts';
import type { Exporter, ExportResult, InstrumentationScope, Payload, Signal, UnixTime } from './exporter.ts';

export interface DebugOptions {
  readonly id: string;
  readonly verbosity: 'basic' | 'normal' | 'detailed';
}

/** Writes all bytes; a promise, where the output can push back. */
export type Write = (bytes: Uint8Array) => void | Promise<void>;

export function createDebugExporter(
  options: DebugOptions,
  signal: Signal,
  scope: InstrumentationScope,
  clock: UnixTime,
  write: Write,
): Exporter {
  return {
    id: options.id,
    signal,
    encode: (batch) => ({ items: batch.spans.length, body: Buffer.from(textOf(batch)) }),
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

  function textOf(batch: Batch): string {
    switch (options.verbosity) {
      case 'basic':
        return basicText(batch.spans, clock);
      case 'normal':
        return normalText(batch.spans, scope);
      case 'detailed':
        return detailedText(batch.spans, clock, scope);
    }
  }
}
