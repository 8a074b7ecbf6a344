// The dynamic table of one direction: of each entry the name as a field, the sizes, and the value where it is kept. RFC 7541, 2.3.2 and 4.
//
// What an index means after entries were lost. An entry's index is the number of insertions since its own, because eviction takes only the
// oldest. So index i is the i-th last insertion, if that was seen, whatever was in the table before and whatever its size is: had the entry been
// evicted, or been too large to be inserted (which empties the table), no index of a conforming encoder would reach it. An index
// beyond what was inserted since the loss is an unknown entry. Only a table that is complete can tell that an index is wrong.
// Hot path.
import { ENTRY_OVERHEAD, type Field } from './fields.ts';

/** The maximum that both ends begin with. */
const INITIAL_MAX = 4096;
/** A larger table is not followed. */
export const LARGEST_MAX = 64 * 1024;
/** With the maximum unknown, entries are kept up to this much. */
const UNKNOWN_MAX = 16 * 1024;
const FIRST_CAPACITY = 16;
/** Numbers of an entry: its size; the length of its name << 8 | field. */
const STRIDE = 2;
const NO_NUMBERS = new Uint32Array(0);

export class HeaderTable {
  /** All entries are known, and so is the maximum. */
  isComplete = true;
  /** Entries that are known. */
  count = 0;
  #max = INITIAL_MAX;
  #size = 0;
  /** A ring of as many as `#values` has; the newest entry is before `#next`. */
  #numbers: Uint32Array = NO_NUMBERS;
  #values: (string | undefined)[] = [];
  #next = 0;

  /** Slot of the entry that was inserted `index` entries before the newest; it is known. */
  slotOf(index: number): number {
    return (this.#next - 1 - index) & (this.#values.length - 1);
  }

  fieldAt(slot: number): Field {
    return ((this.#numbers[slot * STRIDE + 1] as number) & 0xff) as Field;
  }

  nameLengthAt(slot: number): number {
    return (this.#numbers[slot * STRIDE + 1] as number) >>> 8;
  }

  sizeAt(slot: number): number {
    return this.#numbers[slot * STRIDE] as number;
  }

  valueAt(slot: number): string | undefined {
    return this.#values[slot];
  }

  insert(field: Field, nameLength: number, valueLength: number, value: string | undefined): void {
    const size = nameLength + valueLength + ENTRY_OVERHEAD;
    this.#shrinkTo(this.#max - size);
    if (size > this.#max) return;
    if (this.count === this.#values.length) this.#grow();
    const slot = this.#next;
    this.#numbers[slot * STRIDE] = size;
    this.#numbers[slot * STRIDE + 1] = (nameLength << 8) | field;
    this.#values[slot] = value;
    this.#next = (slot + 1) & (this.#values.length - 1);
    this.#size += size;
    this.count++;
  }

  /** The encoder's new maximum. */
  resize(max: number): void {
    this.#max = max;
    this.#shrinkTo(max);
    // Nothing unknown can be left.
    if (max === 0) this.isComplete = true;
  }

  /** Insertions were lost: no older entry has a known index any more. */
  forget(): void {
    this.isComplete = false;
    this.#max = UNKNOWN_MAX;
    this.#shrinkTo(0);
  }

  #shrinkTo(size: number): void {
    while (this.count > 0 && this.#size > size) {
      const oldest = this.slotOf(this.count - 1);
      this.#size -= this.sizeAt(oldest);
      this.#values[oldest] = undefined;
      this.count--;
    }
  }

  #grow(): void {
    const { count } = this;
    const capacity = Math.max(FIRST_CAPACITY, count * 2);
    const numbers = new Uint32Array(capacity * STRIDE);
    const values = new Array<string | undefined>(capacity).fill(undefined);
    for (let i = 0; i < count; i++) {
      const slot = this.slotOf(count - 1 - i);
      numbers[i * STRIDE] = this.#numbers[slot * STRIDE] as number;
      numbers[i * STRIDE + 1] = this.#numbers[slot * STRIDE + 1] as number;
      values[i] = this.#values[slot];
    }
    this.#numbers = numbers;
    this.#values = values;
    this.#next = count;
  }
}
