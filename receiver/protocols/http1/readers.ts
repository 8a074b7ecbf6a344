// Readers of one side, lent to conversations for as long as they are in a message. Most connections of a host are idle, and two readers
// would be half of what one takes; between messages a reader knows nothing that the next data do not tell. Hot path.
import type { Side } from '../../model/protocol.ts';
import type { Head } from './head.ts';
import { MessageReader } from './parse.ts';

/** More than are in a message at the same time on most hosts. */
const MAX_SPARE = 256;

export class Readers {
  /** Stands for a reader where none is lent: between messages, with nothing read. It is never read with. */
  readonly none: MessageReader;
  readonly #side: Side;
  readonly #head: Head;
  readonly #maxHeadSize: number;
  readonly #spare: MessageReader[] = [];

  constructor(side: Side, head: Head, maxHeadSizeBytes: number) {
    this.#side = side;
    this.#head = head;
    this.#maxHeadSize = maxHeadSizeBytes;
    this.none = this.#make();
  }

  lend(): MessageReader {
    return this.#spare.pop() ?? this.#make();
  }

  /** Takes back a reader that {@link MessageReader.isIdle}. */
  takeBack(reader: MessageReader): void {
    if (this.#spare.length >= MAX_SPARE) return;
    reader.forget();
    this.#spare.push(reader);
  }

  #make(): MessageReader {
    return new MessageReader(this.#side, this.#head, this.#maxHeadSize);
  }
}
