// Where the threads of a process have their contexts → the map that the kernel side looks it up in (bpf/thread_context.h), and the number that
// says that it has changed.
import type { ContextPlace, ProcessInstance } from '../model/thread-context.ts';
import { contextPlace, placeFlag } from './layout.ts';

/** What is used of a map. */
interface PlaceMap {
  /** Throws when there is no room. */
  update(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): boolean;
}

export class ContextPlaces {
  readonly #map: PlaceMap;
  readonly #changes: BigUint64Array;

  /** `changes`: 8 bytes that the kernel reads. */
  constructor(map: PlaceMap, changes: ArrayBuffer) {
    this.#map = map;
    this.#changes = new BigUint64Array(changes, 0, 1);
  }

  /** Of no use to another process that gets this id, or to another program in this process. */
  set(instance: ProcessInstance, place: ContextPlace): void {
    const value = new DataView(new ArrayBuffer(contextPlace.sizeOf));
    value.setBigUint64(contextPlace.startTime, instance.startTime, true);
    value.setUint32(contextPlace.execId, instance.execId, true);
    writePlace(value, place);
    value.setUint32(contextPlace.flags, placeFlag.resolved | formFlag(place), true);
    this.#map.update(keyOf(instance.pid), new Uint8Array(value.buffer));
    this.#changed();
  }

  delete(pid: number): void {
    if (this.#map.delete(keyOf(pid))) this.#changed();
  }

  /** After the map: who sees the new number finds what it stands for. */
  #changed(): void {
    Atomics.add(this.#changes, 0, 1n);
  }
}

function formFlag(place: ContextPlace): number {
  if (place.kind === 'goroutine') return placeFlag.go;
  return place.form === 'nodejs' ? placeFlag.nodejs : 0;
}

/** The place at the beginning of `value`, without whose it is. */
export function writePlace(value: DataView, place: ContextPlace): void {
  if (place.kind === 'goroutine') {
    value.setInt32(contextPlace.dtvOffset, place.current, true);
    value.setInt32(contextPlace.countOffset, place.labels, true);
    return;
  }
  value.setBigInt64(contextPlace.offset, BigInt(place.offset), true);
  if (place.kind === 'static') return;
  value.setUint32(contextPlace.module, place.moduleId, true);
  value.setBigUint64(contextPlace.generation, BigInt(place.generation), true);
  value.setInt32(contextPlace.dtvOffset, place.dtvOffset, true);
  value.setInt32(contextPlace.countOffset, place.countOffset, true);
  value.setUint32(contextPlace.entrySize, place.entrySize, true);
}

function keyOf(pid: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(pid).buffer);
}
