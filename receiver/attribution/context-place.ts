// What was found of a process's thread contexts → the place that the kernel side reads them at, or why it is told of none.
import type { Location, ThreadSchema, ThreadSlot } from '../../otel-thread-context/reader/index.ts';
import type { ContextForm, ContextPlace } from '../model/thread-context.ts';

export type Machine = ThreadSlot['object']['image']['elf']['machine'];

export type Placement =
  | { readonly kind: 'place'; readonly place: ContextPlace }
  /** Nothing is published. */
  | { readonly kind: 'none' }
  | { readonly kind: 'refused'; readonly reason: PlacementRefusal; readonly detail: string };

export type PlacementRefusal = 'unresolved' | 'form' | 'several_slots' | 'machine';

/** `machine`: of programs on this host; others run in an emulator, whose threads these are. */
export function placementOf({ outcome, schema }: Location, machine: Machine): Placement {
  if (outcome.kind === 'not_published') return { kind: 'none' };
  if (outcome.kind === 'unsupported') {
    return { kind: 'refused', reason: 'form', detail: 'the form in which it publishes is not read' };
  }
  if (outcome.kind === 'goroutines') {
    const { current, labels } = outcome.runtime;
    return { kind: 'place', place: { kind: 'goroutine', current, labels } };
  }
  const [slot, ...others] = outcome.kind === 'located' ? outcome.slots : [];
  if (slot === undefined) return { kind: 'refused', reason: 'unresolved', detail: 'where its threads have them is not proven' };
  const form = schema === undefined ? undefined : formOf(schema);
  if (form === undefined) {
    return { kind: 'refused', reason: 'form', detail: `${schema?.version ?? 'the schema'} is found, but not read` };
  }
  if (others.length > 0) {
    const detail = `${String(outcome.kind === 'located' ? outcome.slots.length : 0)} variables, and nobody knows which of them a thread uses`;
    return { kind: 'refused', reason: 'several_slots', detail };
  }
  const { machine: own } = slot.object.image.elf;
  if (own !== machine) return { kind: 'refused', reason: 'machine', detail: `a program for ${own}, in an emulator` };
  const place = placeOf(slot, form);
  return place === undefined
    ? { kind: 'refused', reason: 'unresolved', detail: 'where its threads have them is not proven' }
    : { kind: 'place', place };
}

interface Form {
  readonly form?: ContextForm;
}

/** What a place of this schema is, beside where it is. */
function formOf({ form, constants }: ThreadSchema): Form | undefined {
  if (form.kind === 'record_pointer') return {};
  // One generation of writers had another object between the wrapper and the record, and said so.
  const isIndirect = constants.has('native_wrap_fields_offset') && !constants.has('js_object_record_offset');
  return form.kind === 'nodejs' && !isIndirect ? { form: 'nodejs' } : undefined;
}

function placeOf({ location }: ThreadSlot, form: Form): ContextPlace | undefined {
  if (location.model === 'static') return { kind: 'static', ...form, offset: location.offset };
  if (location.model === 'unresolved') return undefined;
  const { offset, moduleId, generation, dtv } = location;
  return {
    kind: 'module',
    ...form,
    offset,
    moduleId,
    generation: dtv.hasGeneration ? generation : 0,
    dtvOffset: dtv.pointerOffset,
    countOffset: dtv.countOffset,
    entrySize: dtv.entrySize,
  };
}
