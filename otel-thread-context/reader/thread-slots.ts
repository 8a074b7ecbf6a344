// Loaded objects → where the threads of the process have the symbol. Every object that reaches the symbol is asked what its loader told
// it, so that a definition that another one pre-empts, or two that live side by side, come out as they are.
import type { ObservedProcess } from './process.ts';
import type { RelocationKind, TlsRelocation, TlsSymbol } from './elf-tables.ts';
import { moduleEntry, moduleIdOf } from './glibc-modules.ts';
import { dtvLayout } from './libc.ts';
import { isEntryOf, type LoadedObject, type LoadedObjects, withFile } from './objects.ts';
import type { ImageCache } from './tls-image.ts';
import { localExecLocation, locationOf, type SymbolFacts, type TlsLocation, unresolved } from './tls-location.ts';

export type AccessModel = 'local-exec' | 'initial-exec' | 'tlsdesc' | 'general-dynamic' | 'local-dynamic' | 'link-map';

/** One answer to where the symbol is. */
export interface ThreadSlot {
  readonly symbol: string;
  /** The object that was asked. */
  readonly object: LoadedObject;
  readonly access: AccessModel;
  /** Address of the words that the loader filled in, undefined when there are none. */
  readonly words: number | undefined;
  readonly location: TlsLocation;
}

export interface Definition {
  readonly object: LoadedObject;
  readonly symbol: TlsSymbol;
  /** The same table has others by that name, at other places: a local symbol can stand in .symtab once for each source file. */
  readonly isAmbiguous: boolean;
}

/** More than one definition is legal, more than these are not believed. */
const MAX_SLOTS = 8;
/** No loader in between is the cheapest and surest; a DTV may lag behind. */
const preference: readonly RelocationKind[] = ['tpoff', 'tlsdesc', 'dtpmod'];

/** Who defines the symbol: by .dynsym; if nobody does, by .symtab. */
export function definitionsOf(
  process: ObservedProcess,
  loaded: LoadedObjects,
  name: string,
  cache: ImageCache,
): readonly Definition[] {
  const exported = loaded.objects.flatMap((object) => definitionsIn(object, object.image.symbols, name));
  if (exported.length > 0) return exported;
  return loaded.objects.flatMap((object) => {
    if (!object.image.elf.tls) return [];
    const symbols = withFile(process, object.mapping, (file) => cache.staticSymbolsOf(file)) ?? [];
    return definitionsIn(object, symbols, name);
  });
}

function definitionsIn(object: LoadedObject, symbols: readonly TlsSymbol[], name: string): readonly Definition[] {
  const [symbol, ...others] = symbols.filter((candidate) => candidate.name === name && candidate.isDefined);
  return symbol ? [{ object, symbol, isAmbiguous: others.some(({ value }) => value !== symbol.value) }] : [];
}

/** Why a definition is not the OTEP's variable, or undefined when it may be. */
export function objectionTo({ object, symbol, isAmbiguous }: Definition, size: number): string | undefined {
  if (isAmbiguous) return 'it is there more than once';
  const tls = object.image.elf.tls;
  if (symbol.size !== size) return `its size is ${symbol.size} bytes, not ${size}`;
  if (!tls) return 'its object has no thread-local storage';
  return symbol.value + size <= tls.memorySize ? undefined : 'it lies outside the thread-local storage of its object';
}

/** The distinct places of the symbol, resolved ones first; when there is one definition, one place. */
export function threadSlots(
  process: ObservedProcess,
  loaded: LoadedObjects,
  definitions: readonly Definition[],
): readonly ThreadSlot[] {
  const [first] = definitions;
  if (!first) return [];
  const slots: ThreadSlot[] = [];
  for (const object of loaded.objects) {
    const slot = slotOf(process, loaded, object, first.symbol.name, definitions);
    if (slot) slots.push(slot);
  }
  const resolved = slots.filter(({ location }) => location.model !== 'unresolved');
  if (resolved.length === 0) return slots.slice(0, MAX_SLOTS);
  resolved.sort((a, b) => Number(a.location.model === 'dynamic') - Number(b.location.model === 'dynamic'));
  // All that reach a symbol with one definition reach the same variable.
  if (definitions.length === 1) return resolved.slice(0, 1);
  const seen = new Set<string>();
  const distinct = resolved.filter(({ location }) => !seen.has(keyOf(location)) && seen.add(keyOf(location)));
  return distinct.slice(0, MAX_SLOTS);
}

function keyOf(location: TlsLocation): string {
  if (location.model === 'static') return `static ${location.offset}`;
  return location.model === 'dynamic' ? `dynamic ${location.moduleId} ${location.offset}` : location.reason;
}

function slotOf(
  process: ObservedProcess,
  loaded: LoadedObjects,
  object: LoadedObject,
  name: string,
  definitions: readonly Definition[],
): ThreadSlot | undefined {
  const own = definitions.find((definition) => definition.object === object);
  const { elf, relocations } = object.image;
  if (own && object === loaded.main && elf.tls) {
    const location = localExecLocation(elf.machine, elf.tls, own.symbol.value);
    return { symbol: name, object, access: 'local-exec', words: undefined, location };
  }
  const named = relocations.filter(({ symbol }) => symbol === name);
  const unnamed = relocations.filter(
    ({ symbol, kind, addend }) => symbol === '' && own && (kind === 'dtpmod' || addend <= own.symbol.value),
  );
  const relocation = pick(named) ?? pick(unnamed);
  if (relocation) {
    const facts: SymbolFacts = {
      machine: elf.machine,
      libc: loaded.libc,
      offsets: definitions.map(({ symbol }) => symbol.value),
      ownOffset: relocation.symbol === '' ? own?.symbol.value : undefined,
    };
    const location = confirmed(process, loaded, locationOf(process.readMemory, relocation, object.bias, facts), definitions);
    return { symbol: name, object, access: accessOf(relocation), words: relocation.vaddr + object.bias, location };
  }
  if (!own) return undefined;
  const location = confirmed(process, loaded, linkMapLocation(process, loaded, own), definitions);
  return { symbol: name, object, access: 'link-map', words: undefined, location };
}

/** The preferred kind; of those without a symbol the one whose addend is nearest to the variable. */
function pick(relocations: readonly TlsRelocation[]): TlsRelocation | undefined {
  for (const kind of preference) {
    let best: TlsRelocation | undefined;
    for (const relocation of relocations) {
      if (relocation.kind === kind && (!best || relocation.addend > best.addend)) best = relocation;
    }
    if (best) return best;
  }
  return undefined;
}

function accessOf({ kind, symbol }: TlsRelocation): AccessModel {
  if (kind === 'tpoff') return 'initial-exec';
  if (kind === 'tlsdesc') return 'tlsdesc';
  return symbol === '' ? 'local-dynamic' : 'general-dynamic';
}

/** A definition that its own object never reaches, only dlsym(3) does: the loader's list knows the module. */
function linkMapLocation(process: ObservedProcess, loaded: LoadedObjects, { object, symbol }: Definition): TlsLocation {
  if (loaded.libc !== 'glibc')
    return unresolved('not_accessed', 'no relocation of its object or of another one is about the symbol');
  const moduleId = moduleIdOf(process, loaded, object);
  if (moduleId === undefined) return unresolved('not_accessed', 'and the list of loaded objects does not tell its module id');
  const dtv = dtvLayout('glibc', object.image.elf.machine);
  return { model: 'dynamic', moduleId, offset: symbol.value, generation: 0, dtv };
}

/** glibc's own notes of the module, where they can be had: that it is that of a definition, and since when. */
function confirmed(
  process: ObservedProcess,
  loaded: LoadedObjects,
  location: TlsLocation,
  definitions: readonly Definition[],
): TlsLocation {
  if (location.model !== 'dynamic' || location.dtv.libc !== 'glibc') return location;
  const entry = moduleEntry(process, loaded, location.moduleId);
  if (!entry) return location;
  const isOfDefinition = definitions.some(({ object, symbol }) => symbol.value === location.offset && isEntryOf(object, entry));
  if (!isOfDefinition) return unresolved('contradiction', `module ${location.moduleId} is another object's`);
  return { ...location, generation: Math.max(location.generation, entry.generation) };
}
