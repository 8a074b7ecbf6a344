// Huffman-coded text of header fields → its bytes. Eight bits at a time are looked up; codes that are longer, which text rarely has, are
// followed bit by bit. Hot path. RFC 7541, 5.2 and appendix B.

/**
 * Bits of each symbol's code, from 0 to 255 and then EOS. The code is canonical: in the order of lengths, and of symbols of one length, each
 * is the one before plus one.
 */
const LENGTHS: readonly number[] = [
  '13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28',
  '6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10',
  '13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6',
  '15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28',
  '20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24',
  '22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23',
  '26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27',
  '20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26',
  '30',
].flatMap((line) => line.split(' ').map(Number));

const EOS = 256;
const MAX_BITS = 30;

/** Of each length: the first code, the number of codes, and where its symbols begin in {@link SYMBOLS}. */
const FIRST = new Int32Array(MAX_BITS + 1);
const COUNT = new Int32Array(MAX_BITS + 1);
const OFFSET = new Int32Array(MAX_BITS + 1);
const SYMBOLS = new Int32Array(LENGTHS.length);
/** By the next eight bits: the symbol that they begin with and the bits that it takes, as symbol << 4 | bits; 0: its code is longer. */
const SHORT = new Uint16Array(256);

fillTables();

function fillTables(): void {
  let code = 0;
  let offset = 0;
  for (let bits = 1; bits <= MAX_BITS; bits++) {
    code <<= 1;
    FIRST[bits] = code;
    OFFSET[bits] = offset;
    for (let symbol = 0; symbol < LENGTHS.length; symbol++) {
      if (LENGTHS[symbol] !== bits) continue;
      SYMBOLS[offset++] = symbol;
      if (bits <= 8) SHORT.fill((symbol << 4) | bits, code << (8 - bits), (code + 1) << (8 - bits));
      code++;
    }
    COUNT[bits] = offset - (OFFSET[bits] ?? 0);
  }
}

/** Of `size` coded bytes: the most that they can stand for. */
export function decodedBound(size: number): number {
  return Math.ceil((size * 8) / 5);
}

/** Decodes bytes[from, to) to out[0, …), which has room for {@link decodedBound}. How many there are; -1: this is no such code. */
export function decodeHuffman(bytes: Uint8Array, from: number, to: number, out: Uint8Array): number {
  let i = from;
  let length = 0;
  /** The last `count` bits of it are still to be read. */
  let held = 0;
  let count = 0;
  for (;;) {
    if (count < 8) {
      if (i >= to) break;
      held = ((held << 8) | (bytes[i++] as number)) & 0xffff;
      count += 8;
    }
    const next = (held >>> (count - 8)) & 0xff;
    const entry = SHORT[next] as number;
    if (entry !== 0) {
      out[length++] = entry >>> 4;
      count -= entry & 15;
      continue;
    }
    let code = next;
    count -= 8;
    let bits = 9;
    for (; ; bits++) {
      if (bits > MAX_BITS) return -1;
      if (count === 0) {
        if (i >= to) return -1;
        held = bytes[i++] as number;
        count = 8;
      }
      count--;
      code = (code << 1) | ((held >>> count) & 1);
      if (code - (FIRST[bits] as number) < (COUNT[bits] as number)) break;
    }
    const symbol = SYMBOLS[(OFFSET[bits] as number) + code - (FIRST[bits] as number)] as number;
    if (symbol === EOS) return -1;
    out[length++] = symbol;
  }
  return finish(held, count, out, length);
}

/** Fewer than eight bits are left: codes, and then as padding the beginning of EOS, which is ones. */
function finish(held: number, left: number, out: Uint8Array, decoded: number): number {
  let count = left;
  let length = decoded;
  while (count > 0) {
    const mask = (1 << count) - 1;
    const entry = SHORT[((held & mask) << (8 - count)) | (0xff >>> count)] as number;
    const bits = entry & 15;
    if (entry === 0 || bits > count) return (held & mask) === mask ? length : -1;
    out[length++] = entry >>> 4;
    count -= bits;
  }
  return length;
}
