// Records of threads' contexts → the contexts of the I/Os that they were told before. Layout: bpf/event.h, through layout.ts; the record within is that
// of OTEP 4947. Hot path where processes publish contexts.
import type { ConnectionId } from '../model/connection.ts';
import type { IoEvent } from '../model/stream-event.ts';
import type { IoContext } from '../model/thread-context.ts';
import { type TraceContext, TraceFlag } from '../model/trace.ts';
import { spanOfLabels } from './go-labels.ts';
import { bound, contextEvent, eventHeader, ioFlag, labelsEvent, threadContext } from './layout.ts';

interface Told {
  readonly connection: ConnectionId;
  readonly isSent: boolean;
  readonly context: IoContext;
}

const RECORD_HEADER_SIZE = threadContext.attributes;

export class IoContexts {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  /** The last one of each CPU: on one CPU, the I/O comes next. */
  readonly #told: (Told | undefined)[];

  /** `bytes`: the buffer that is drained into. */
  constructor(bytes: Uint8Array<ArrayBuffer>, cpus: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#told = new Array<Told | undefined>(cpus).fill(undefined);
  }

  /** A record of `length` bytes, as many as its kind has at least. */
  take(at: number, length: number): void {
    const view = this.#view;
    const cpu = view.getUint16(at + eventHeader.cpu, true);
    if (cpu >= this.#told.length) return;
    const record = at + contextEvent.context;
    const attributesSize = view.getUint16(record + threadContext.attributesSize, true);
    const size = RECORD_HEADER_SIZE + attributesSize;
    // The few bytes of attributes that are always there are none where they were not copied.
    const hasAttributes = attributesSize > 0 && length > contextEvent.sizeOf && record + size <= at + length;
    const position = Number(view.getBigUint64(at + contextEvent.position, true));
    this.#told[cpu] = {
      connection: Number(view.getBigUint64(at + contextEvent.cookie, true)),
      isSent: ((this.#bytes[at + eventHeader.flags] ?? 0) & ioFlag.sent) !== 0,
      context: {
        position,
        end: position + view.getUint32(at + contextEvent.size, true),
        context: this.#contextAt(record),
        record: hasAttributes ? this.#bytes.slice(record, record + size) : undefined,
      },
    };
  }

  /** Of an I/O in whose own record it is, at `at`. */
  within(at: number, { position, size }: IoEvent): IoContext {
    return { position, end: position + size, context: this.#contextAt(at), record: undefined };
  }

  #contextAt(at: number): TraceContext {
    const ids = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + at, 24).toString('hex');
    return {
      traceId: ids.slice(0, 32),
      spanId: ids.slice(32),
      flags: ((this.#bytes[at + threadContext.traceFlags] ?? 0) & TraceFlag.random) | TraceFlag.sampled,
      traceState: '',
    };
  }

  /** Labels of a goroutine: a record of `length` bytes, as many as its kind has at least. */
  takeLabels(at: number): void {
    const view = this.#view;
    const cpu = view.getUint16(at + eventHeader.cpu, true);
    if (cpu >= this.#told.length) return;
    const bytes = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    const count = Math.min(view.getUint32(at + labelsEvent.count, true), bound.maxLabels);
    const span = spanOfLabels(bytes, at + labelsEvent.labels, count);
    if (span === undefined) return;
    const position = Number(view.getBigUint64(at + labelsEvent.position, true));
    this.#told[cpu] = {
      connection: Number(view.getBigUint64(at + labelsEvent.cookie, true)),
      isSent: ((this.#bytes[at + eventHeader.flags] ?? 0) & ioFlag.sent) !== 0,
      context: {
        position,
        end: position + view.getUint32(at + labelsEvent.size, true),
        context: { ...span, flags: TraceFlag.sampled, traceState: '' },
        record: undefined,
        isOfServersAlone: true,
      },
    };
  }

  /** Of an I/O whose record that CPU made. A long I/O is told of in several. */
  of({ connection, isSent, position }: IoEvent, cpu: number): IoContext | undefined {
    const told = this.#told[cpu];
    if (told?.connection !== connection || told.isSent !== isSent) return undefined;
    const { context } = told;
    return position >= context.position && position < context.end ? context : undefined;
  }
}
