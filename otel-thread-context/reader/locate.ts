// A process → where its threads' contexts are, step by step: process context, schema, program, symbol, slots. One call for each process, and
// again when its process context changes or it loads code; what was found of a file is kept in the cache.
import { hexAddress, signedHex } from './bytes.ts';
import { type GoRuntime, goRuntime, type GoRuntimeResult } from './go-runtime.ts';
import { type Mapping, parseMappings } from './mappings.ts';
import { loadedObjects, type LoadedObject, withFile } from './objects.ts';
import { type ObservedProcess, withinBudget } from './process.ts';
import { findProcessContext, type ProcessContext } from './process-context.ts';
import { type ThreadSchema, threadSchema } from './schema.ts';
import { definitionsOf, objectionTo, threadSlots, type ThreadSlot } from './thread-slots.ts';
import type { ImageCache } from './tls-image.ts';

export interface Step {
  readonly name: 'mappings' | 'process context' | 'schema' | 'program' | 'symbol' | 'slot' | 'runtime';
  /** 'note': of interest, but neither a success nor a failure. */
  readonly outcome: 'found' | 'missing' | 'refused' | 'note';
  readonly detail: string;
  /** What is in the way, for programs: of a step that is missing or refused. */
  readonly reason?: string;
}

export type LocateOutcome =
  /** The slots are known; there may be several, of which a thread uses one. */
  | { readonly kind: 'located'; readonly slots: readonly ThreadSlot[] }
  /** No variable: the labels of the goroutine that runs. */
  | { readonly kind: 'goroutines'; readonly runtime: GoRuntime }
  /** There is nothing to be read yet: look again when the process context changes, or new code is loaded. */
  | { readonly kind: 'not_published' }
  /** A schema without a variable, or one that nobody here knows. */
  | { readonly kind: 'unsupported' }
  /** It publishes, but the place can't be proven; the steps say why. */
  | { readonly kind: 'unresolved' };

export interface Location {
  readonly outcome: LocateOutcome;
  readonly context: ProcessContext | undefined;
  readonly schema: ThreadSchema | undefined;
  /** In the order in which they were done; the last one says why it went no further. */
  readonly steps: readonly Step[];
}

export interface LocateOptions {
  /** 'process context': that is the last step, and no file of the process is opened. Default: 'slot'. */
  readonly until?: 'process context' | 'slot';
  /** Programs made by Go have labels also where they publish nothing. Default: they are not read. */
  readonly hasGoLabels?: boolean;
}

/** Of files that were not known before, in one call; the largest programs there are need a tenth. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;

/** Never throws for what the process does or holds; costs a few milliseconds for a process whose files are in the cache. */
export function locate(
  observed: ObservedProcess,
  cache: ImageCache,
  { until = 'slot', hasGoLabels = false }: LocateOptions = {},
): Location {
  const process = withinBudget(observed, MAX_FILE_BYTES);
  const steps: Step[] = [];
  const note = (name: Step['name'], outcome: Step['outcome'], detail: string, reason?: string): void => {
    // Names of files come from others, and go to terminals and logs.
    steps.push({ name, outcome, detail: detail.replace(/\p{Cc}/gu, '?'), ...(reason === undefined ? undefined : { reason }) });
  };
  const end = (outcome: LocateOutcome, context?: ProcessContext, schema?: ThreadSchema) => ({ outcome, context, schema, steps });

  const goroutines = (context: ProcessContext | undefined, schema: ThreadSchema | undefined): Location => {
    const runtime = goRuntimeOf(process, mappings, cache);
    const nothing = schema === undefined ? 'not_published' : 'unsupported';
    if (runtime.kind === 'runtime') {
      note('runtime', 'found', `${runtime.version}: labels of the goroutine that runs`);
      return end({ kind: 'goroutines', runtime }, context, schema);
    }
    if (runtime.kind === 'unknown_version')
      note('runtime', 'refused', `${runtime.version}, not go1.24 to go1.27`, 'unknown_version');
    else if (schema !== undefined) note('runtime', 'missing', 'the program was not made by Go', 'absent');
    return end({ kind: nothing }, context, schema);
  };

  const listing = process.readMaps();
  if (!listing || listing.length === 0) {
    note(
      'mappings',
      'missing',
      'the list of mappings cannot be read: the process has ended, or reading it is not permitted',
      'unreadable',
    );
    return end({ kind: 'not_published' });
  }
  const mappings = parseMappings(listing);
  note('mappings', 'found', `${mappings.length} with a name`);

  const context = findProcessContext(process.readMemory, mappings);
  if (context.kind !== 'context') {
    if (context.kind === 'absent') note('process context', 'missing', 'no mapping is named OTEL_CTX', 'absent');
    else {
      const { address, detail, reason } = context;
      note('process context', 'refused', `at ${hexAddress(address)}: ${detail} (${reason})`, reason);
    }
    if (hasGoLabels && until === 'slot') return goroutines(undefined, undefined);
    return end({ kind: 'not_published' });
  }
  const published = `at ${hexAddress(context.address)}, published at ${context.publishedAt} ns`;
  note('process context', 'found', `${published}, ${context.resource.size} resource attributes`);
  if (until === 'process context') return end({ kind: 'not_published' }, context);

  const schema = threadSchema(context);
  if (schema.kind === 'absent') {
    note('schema', 'missing', 'the process context has no threadlocal.schema_version', 'absent');
    if (hasGoLabels) return goroutines(context, undefined);
    return end({ kind: 'not_published' }, context);
  }
  if (schema.kind === 'unsupported') {
    note('schema', 'refused', `${schema.version} is not known here`, 'unknown');
    return end({ kind: 'unsupported' }, context);
  }
  const misplaced = schema.isMisplaced ? ', among the attributes of the resource, where it does not belong' : '';
  note('schema', 'found', `${schema.version}, ${schema.keyMap.length} attribute keys${misplaced}`);
  if (schema.form.kind === 'go_labels') return goroutines(context, schema);

  const loaded = loadedObjects(process, mappings, cache);
  const program = describeProgram(loaded.main, loaded.objects.length, loaded.libc);
  if (loaded.main) note('program', 'found', program);
  else note('program', 'missing', program, 'absent');
  for (const skipped of loaded.skipped) note('program', 'note', `skipped ${skipped}`);

  const { symbol } = schema.form;
  const definitions = definitionsOf(process, loaded, symbol.name, cache).filter((definition) => {
    const objection = objectionTo(definition, symbol.size);
    const { table, value } = definition.symbol;
    const where = `${symbol.name} in .${table} of ${definition.object.mapping.name}`;
    if (objection !== undefined) note('symbol', 'refused', `${where}: ${objection}`, 'objection');
    else note('symbol', 'found', `${where}, ${hexAddress(value)} bytes into its thread-local storage`);
    return objection === undefined;
  });
  if (process.isUsedUp()) note('symbol', 'note', `of its files no more than ${MAX_FILE_BYTES} bytes were read`);
  if (definitions.length === 0) {
    note(
      'symbol',
      'missing',
      `no object that can be read defines ${symbol.name} as a thread-local variable of ${symbol.size} bytes`,
      'absent',
    );
    return end({ kind: 'unresolved' }, context, schema);
  }

  const slots = threadSlots(process, loaded, definitions);
  for (const slot of slots) {
    if (slot.location.model === 'unresolved') note('slot', 'refused', describeSlot(slot), slot.location.reason);
    else note('slot', 'found', describeSlot(slot));
  }
  if (slots.length === 0) note('slot', 'missing', 'no loaded object reaches the symbol', 'absent');
  const resolved = slots.filter(({ location }) => location.model !== 'unresolved');
  return end(resolved.length > 0 ? { kind: 'located', slots: resolved } : { kind: 'unresolved' }, context, schema);
}

function goRuntimeOf(process: ObservedProcess, mappings: readonly Mapping[], cache: ImageCache): GoRuntimeResult {
  const { main } = loadedObjects(process, mappings, cache);
  const runtime = main && withFile(process, main.mapping, ({ read }) => goRuntime(read, main.image.elf));
  return runtime ?? { kind: 'not_go' };
}

function describeProgram(main: LoadedObject | undefined, count: number, libc: string | undefined): string {
  const rest = `${count} objects, ${libc ?? 'no shared libc'}`;
  if (!main) return `the program itself is not among its mapped files; ${rest}`;
  const { machine, isFixed, buildId } = main.image.elf;
  const build = buildId === '' ? 'no build id' : `build id ${buildId}`;
  return `${main.mapping.name}, ${machine}, ${isFixed ? 'at a fixed address' : 'position-independent'}, ${build}; ${rest}`;
}

function describeSlot({ object, access, words, location }: ThreadSlot): string {
  const from = words === undefined ? '' : `, words at ${hexAddress(words)}`;
  const how = `${access} by ${object.mapping.name}${from}`;
  switch (location.model) {
    case 'static':
      return `${how}: ${signedHex(location.offset)} from the thread pointer`;
    case 'dynamic': {
      const generation = location.generation === 0 ? '' : `, generation ${location.generation}`;
      return `${how}: module ${location.moduleId} of the ${location.dtv.libc} DTV${generation}, ${hexAddress(location.offset)} into its block`;
    }
    case 'unresolved':
      return `${how}: ${location.detail} (${location.reason})`;
  }
}
