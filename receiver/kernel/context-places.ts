// Where the threads of a process have their contexts → the slots in which the kernel side looks it up (bpf/thread_context.h), and the number that
// says that they have changed. Both are memory that the kernel reads at any time.
import type { ContextPlace, ProcessInstance } from '../model/thread-context.ts';
import { bound, contextPlace, placeFlag, placeSlot } from './layout.ts';

const FREE = 0;
const WORDS = placeSlot.sizeOf / 8;
const PLACE_WORD = placeSlot.place / 8;

export class ContextPlaces {
  readonly #words: BigUint64Array<ArrayBuffer>;
  readonly #changes: BigUint64Array<ArrayBuffer>;
  /** Slot -> process. */
  readonly #holders: Uint32Array;
  /** Of the slot that was written last. */
  #version = 0n;

  /** `slots`: as many as there is room for; `changes`: 8 bytes. */
  constructor(slots: ArrayBuffer, changes: ArrayBuffer) {
    this.#words = new BigUint64Array(slots);
    this.#holders = new Uint32Array(Math.floor(this.#words.length / WORDS));
    this.#changes = new BigUint64Array(changes, 0, 1);
  }

  /** Of no use to another process that gets this id, or to another program in this process. Throws when there is no room. */
  set(instance: ProcessInstance, place: ContextPlace): void {
    const slot = this.#find(instance.pid) ?? this.#find(FREE, instance.pid);
    if (slot === undefined) throw new RangeError(`no slot is free for the place of process ${instance.pid}`);
    const value = new DataView(new ArrayBuffer(contextPlace.sizeOf));
    value.setBigUint64(contextPlace.startTime, instance.startTime, true);
    value.setUint32(contextPlace.execId, instance.execId, true);
    writePlace(value, place);
    value.setUint32(contextPlace.flags, placeFlag.resolved | formFlag(place), true);
    const at = slot * WORDS;
    this.#store(at + placeSlot.version / 8, 0n);
    this.#store(at + placeSlot.tgid / 8, BigInt(instance.pid));
    for (let i = 0; i < contextPlace.sizeOf / 8; i++) this.#store(at + PLACE_WORD + i, value.getBigUint64(8 * i, true));
    this.#store(at + placeSlot.version / 8, ++this.#version);
    this.#holders[slot] = instance.pid;
    this.#changed();
  }

  delete(pid: number): void {
    const slot = this.#find(pid);
    if (slot === undefined) return;
    // Its id stays: who looks for another one's place goes on to the next slot.
    this.#store(slot * WORDS + placeSlot.version / 8, 0n);
    this.#holders[slot] = FREE;
    this.#changed();
  }

  /** Of the slots of `pid`, the first that `holder` has. */
  #find(holder: number, pid = holder): number | undefined {
    for (let way = 0; way < bound.placeWays; way++) {
      const slot = (pid + way) % this.#holders.length;
      if (this.#holders[slot] === holder) return slot;
    }
    return undefined;
  }

  /** Whole words, in this order. */
  #store(word: number, value: bigint): void {
    Atomics.store(this.#words, word, value);
  }

  /** After the slots: who sees the new number finds what it stands for. */
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
