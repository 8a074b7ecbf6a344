// A process → whether its threads' contexts can be read, step by step, with a sample of what they say now (`usm-receiver doctor`). The sample is read
// from outside while the threads run, which is good enough to explain: what changed under our eyes is said to be torn. Never used for spans.
import {
  type DecodedRecord,
  ImageCache,
  locate,
  type Location,
  openProcess,
  type ProcessContext,
  readThreadContext,
  type ThreadSlot,
  threadSymbols,
} from '../../otel-thread-context/reader/index.ts';
import type { ExaminedProcess, Examination, Examine, Finding, Json, ThreadEntry } from '../model/examination.ts';
import { type Machine, type Placement, placementOf } from './context-place.ts';
import { remedyFor, remedyForPlacement, remedyForThreads } from './context-remedies.ts';

export interface ExamineThreadContextsOptions {
  /** Of programs on this host. */
  readonly machine: Machine;
  /** Also the values of attributes, which may be anybody's data. */
  readonly showsValues: boolean;
}

interface SampledThread {
  readonly thread: ThreadEntry;
  readonly record: DecodedRecord;
}

/** Threads that are looked at, and of those that are shown. */
const MAX_THREADS = 4096;
const MAX_SHOWN = 32;

export function createThreadContextExamination({ machine, showsValues }: ExamineThreadContextsOptions): Examine {
  const cache = new ImageCache(threadSymbols);
  return (examined) => {
    const process = openProcess(examined.pid);
    try {
      const location = locate(process, cache);
      const placement = placementOf(location, machine);
      const findings: Finding[] = location.steps.flatMap((step) => {
        const { name, outcome, detail } = step;
        const finding: Finding = { step: name, outcome, detail, remedy: remedyFor(step) };
        const isContext = name === 'process context' && location.context !== undefined;
        return isContext ? [finding, resourceFinding(location.context)] : [finding];
      });
      if (location.outcome.kind === 'located' || location.outcome.kind === 'goroutines')
        findings.push(placementFinding(placement));
      const slot = location.outcome.kind === 'located' ? location.outcome.slots[0] : undefined;
      const threads = placement.kind === 'place' && slot !== undefined ? examined.threads : undefined;
      const sample = (threads ?? []).slice(0, MAX_THREADS).map((thread) => ({
        thread,
        record: readThreadContext(
          process.readMemory,
          (slot as ThreadSlot).location,
          thread.threadPointer,
          location.schema?.keyMap ?? [],
          undefined,
          location.schema?.form.kind === 'nodejs' ? 'nodejs' : 'record_pointer',
        ),
      }));
      if (placement.kind === 'place') findings.push(slot === undefined ? goroutinesFinding : threadsFinding(examined, sample));
      return {
        name: 'thread context',
        ...verdictOf(placement, location),
        findings,
        table: sample.length > 0 ? tableOf(sample, showsValues) : undefined,
        facts: factsOf(location, placement, sample, showsValues),
      };
    } finally {
      process.close();
    }
  };
}

function resourceFinding({ resource }: ProcessContext): Finding {
  const names = ['service.namespace', 'service.name', 'service.version', 'service.instance.id'] as const;
  const told = names.flatMap((name) => {
    const value = resource.get(name);
    return typeof value === 'string' ? [`${name} ${JSON.stringify(value)}`] : [];
  });
  return { step: 'resource', outcome: 'note', detail: told.length === 0 ? 'says nothing of the service' : told.join(', ') };
}

function placementFinding(placement: Placement): Finding {
  if (placement.kind === 'place')
    return {
      step: 'place',
      outcome: 'found',
      detail: 'a receiver with thread_context.enabled reads it, in each thread itself at its I/O',
    };
  const detail = placement.kind === 'refused' ? placement.detail : '';
  return { step: 'place', outcome: 'refused', detail, remedy: remedyForPlacement(placement) };
}

function verdictOf(placement: Placement, { steps }: Location): Pick<Examination, 'verdict' | 'conclusion'> {
  if (placement.kind === 'place') return { verdict: 'readable', conclusion: 'The contexts of its threads can be read.' };
  const last = steps.at(-1);
  if (last?.name === 'mappings') return { verdict: 'unknown', conclusion: 'The process cannot be looked at.' };
  const isUnpublished = placement.kind === 'none' && last?.reason === 'absent';
  if (isUnpublished) return { verdict: 'absent', conclusion: 'It publishes no contexts of its threads.' };
  return { verdict: 'unreadable', conclusion: 'The contexts of its threads cannot be read.' };
}

const goroutinesFinding: Finding = {
  step: 'threads',
  outcome: 'note',
  detail: 'no sample: which goroutine a thread runs is known only in the thread itself',
};

function threadsFinding({ threads, threadsRefusal }: ExaminedProcess, sample: readonly SampledThread[]): Finding {
  if (threads === undefined) {
    const detail = `not looked at: ${threadsRefusal ?? 'they cannot be listed'}`;
    return { step: 'threads', outcome: 'missing', detail, remedy: remedyForThreads };
  }
  const count = (isWanted: (record: DecodedRecord) => boolean): number => sample.filter(({ record }) => isWanted(record)).length;
  const inSpan = count(({ kind }) => kind === 'context');
  const refused = count(({ kind }) => kind === 'refused');
  const rest = refused === 0 ? '' : `, ${String(refused)} not readable`;
  const detail = `${String(sample.length)} of ${String(threads.length)} looked at: ${String(inSpan)} in a span now, ${String(sample.length - inSpan - refused)} in none${rest}`;
  return { step: 'threads', outcome: 'found', detail };
}

const states: Readonly<Record<Extract<DecodedRecord, { readonly kind: 'none' | 'refused' }>['reason'], string>> = {
  no_record: 'in none: no record',
  not_valid: 'in none: a record that is not valid now',
  zero_ids: 'in none: a record without ids',
  no_block: 'in none: never touched the variable',
  short: 'not readable: cut off',
  misaligned: 'not readable: an odd address',
  oversize: 'not readable: more attributes than a record holds',
  half_set: 'not readable: one id without the other',
  torn: 'not readable: it changed meanwhile; look again',
  unreadable: 'not readable: no memory there',
};

/** Those in a span first. */
function shownOf(sample: readonly SampledThread[]): readonly SampledThread[] {
  const rank = ({ record }: SampledThread): number => ['context', 'refused', 'none'].indexOf(record.kind);
  return [...sample].sort((a, b) => rank(a) - rank(b)).slice(0, MAX_SHOWN);
}

function tableOf(sample: readonly SampledThread[], showsValues: boolean): Examination['table'] {
  const rows = shownOf(sample).map(({ thread, record }) => {
    const isInSpan = record.kind === 'context';
    return [
      String(thread.tid),
      thread.name,
      isInSpan ? 'in a span' : states[record.reason],
      isInSpan ? record.traceId : '',
      isInSpan ? record.spanId : '',
      isInSpan ? attributesText(record.attributes, showsValues) : '',
    ];
  });
  return { head: ['THREAD', 'NAME', 'STATE', 'TRACE', 'SPAN', 'ATTRIBUTES'], rows };
}

function attributesText(attributes: ReadonlyMap<string, string>, showsValues: boolean): string {
  return [...attributes].map(([name, value]) => (showsValues ? `${name}=${JSON.stringify(value)}` : name)).join(' ');
}

function factsOf(
  { context, schema, outcome }: Location,
  placement: Placement,
  sample: readonly SampledThread[],
  showsValues: boolean,
): Examination['facts'] {
  const slots = outcome.kind === 'located' ? outcome.slots : [];
  return {
    process_context: context === undefined ? null : contextFacts(context),
    schema: schema === undefined ? null : { version: schema.version, key_map: schema.keyMap },
    slots: slots.map((slot) => slotFacts(slot)),
    place: placement.kind === 'place' ? 'found' : placement.kind === 'none' ? null : placement.reason,
    threads: sample.map(({ thread, record }) => threadFacts(thread, record, showsValues)),
  };
}

function contextFacts({ address, publishedAt, resource }: ProcessContext): Json {
  const text = (value: unknown): Json => (typeof value === 'string' || typeof value === 'boolean' ? value : String(value));
  return {
    address: `0x${address.toString(16)}`,
    published_at_boottime_ns: String(publishedAt),
    resource: Object.fromEntries([...resource].map(([name, value]) => [name, text(value)])),
  };
}

function slotFacts({ symbol, object, access, location }: ThreadSlot): Json {
  const common = { symbol, object: object.mapping.name, access };
  if (location.model === 'static') return { ...common, model: 'static', offset: location.offset };
  if (location.model === 'unresolved') return { ...common, model: 'unresolved', reason: location.reason };
  const { moduleId, offset, generation, dtv } = location;
  return { ...common, model: 'dynamic', module: moduleId, offset, generation, libc: dtv.libc };
}

function threadFacts({ tid, name }: ThreadEntry, record: DecodedRecord, showsValues: boolean): Json {
  if (record.kind !== 'context') return { tid, name, state: record.kind, reason: record.reason };
  const { traceId, spanId, flags, attributes } = record;
  return {
    tid,
    name,
    state: 'context',
    trace_id: traceId,
    span_id: spanId,
    flags,
    attributes: showsValues ? Object.fromEntries(attributes) : [...attributes.keys()],
  };
}
