// Bytes → the parts of one x86-64 instruction: prefixes, opcode, operands, length, for all that compilers emit. Intel SDM volume 2, appendix A.

/** Where the parts of an instruction are. */
export interface Parts {
  readonly code: Uint8Array;
  /** 0x0f00 and above: two bytes; -1: three bytes, VEX or EVEX. */
  readonly opcode: number;
  readonly rex: number;
  readonly hasOperandSize: boolean;
  readonly segment: number;
  /** Index of the ModRM byte, -1 without one; and of what follows it and its displacement. */
  readonly modrm: number;
  readonly immediate: number;
  readonly end: number;
}

/**
 * What follows an opcode, one character each, 16 to a line: `.` nothing, `m` a ModRM byte, `b` one byte, `w` two, `z` four (two with prefix 66), `B` and `Z`
 * ModRM and then those, `v` as wide as the operand, `o` an address, `e` ENTER, `g` group 3 (an immediate only for TEST), `p` a prefix
 * or escape, `x` no instruction of 64-bit mode.
 */
const ONE_BYTE = [
  'mmmmbzxxmmmmbzxp', // 00 0f: escape
  'mmmmbzxxmmmmbzxx', // 10
  'mmmmbzpxmmmmbzpx', // 20
  'mmmmbzpxmmmmbzpx', // 30
  'pppppppppppppppp', // 40 REX
  '................', // 50
  'xxpmppppzZbB....', // 60
  'bbbbbbbbbbbbbbbb', // 70
  'BZxBmmmmmmmmmmmm', // 80
  '..........x.....', // 90
  'oooo....bz......', // a0
  'bbbbbbbbvvvvvvvv', // b0
  'BBw.ppBZe.w..bx.', // c0
  'mmmmxxx.mmmmmmmm', // d0
  'bbbbbbbbzzxb....', // e0
  'p.pp..gg......mm', // f0
].join('');

const TWO_BYTES = [
  'mmmmx.....x.xm.B', // 00
  'mmmmmmmmmmmmmmmm', // 10
  'mmmmxxxxmmmmmmmm', // 20
  '........pxpxxxxx', // 30
  'mmmmmmmmmmmmmmmm', // 40
  'mmmmmmmmmmmmmmmm', // 50
  'mmmmmmmmmmmmmmmm', // 60
  'BBBBmmm.mmxxmmmm', // 70
  'zzzzzzzzzzzzzzzz', // 80
  'mmmmmmmmmmmmmmmm', // 90
  '...mBmxx...mBmmm', // a0
  'mmmmmmmmmmBmmmmm', // b0
  'mmBmBBBm........', // c0
  'mmmmmmmmmmmmmmmm', // d0
  'mmmmmmmmmmmmmmmm', // e0
  'mmmmmmmmmmmmmmmm', // f0
].join('');

const MAX_SIZE = 15;

/** Undefined: not in the tables, or too long. The end may be beyond the code's. */
export function split(code: Uint8Array, start: number): Parts | undefined {
  let at = start;
  let rex = 0;
  let hasOperandSize = false;
  let hasAddressSize = false;
  let segment = 0;
  for (; ; at++) {
    const byte = code[at] ?? 0;
    if (at - start >= MAX_SIZE) return undefined;
    if (byte === 0x66) hasOperandSize = true;
    else if (byte === 0x67) hasAddressSize = true;
    else if (byte === 0x64 || byte === 0x65) segment = byte;
    else if (byte !== 0xf0 && byte !== 0xf2 && byte !== 0xf3 && byte !== 0x26 && byte !== 0x2e && byte !== 0x36 && byte !== 0x3e)
      break;
  }
  if (((code[at] ?? 0) & 0xf0) === 0x40) rex = code[at++] ?? 0;
  let opcode = code[at++] ?? 0;
  let shape: string;
  if (opcode === 0xc5 || opcode === 0xc4 || opcode === 0x62) {
    const map = opcode === 0xc5 ? 1 : (code[at] ?? 0) & (opcode === 0x62 ? 7 : 31);
    at += opcode === 0xc5 ? 1 : opcode === 0xc4 ? 2 : 3;
    const second = code[at++] ?? 0;
    opcode = -1;
    shape = map === 1 ? (TWO_BYTES[second] ?? 'x') : map === 3 ? 'B' : map === 2 || map === 5 || map === 6 ? 'm' : 'x';
  } else if (opcode === 0x0f) {
    const second = code[at++] ?? 0;
    opcode = 0x0f00 | second;
    shape = TWO_BYTES[second] ?? 'x';
    if (shape === 'p') {
      opcode = -1;
      shape = second === 0x38 ? 'm' : 'B';
      at++;
    }
  } else {
    shape = ONE_BYTE[opcode] ?? 'x';
  }
  if (shape === 'x' || shape === 'p') return undefined;
  const hasModrm = shape === 'm' || shape === 'B' || shape === 'Z' || shape === 'g';
  const modrm = hasModrm ? at : -1;
  if (hasModrm) at = afterModrm(code, at);
  const isNear = (opcode & ~1) === 0xe8 || (opcode & 0xfff0) === 0x0f80;
  // Processors disagree about the width then.
  if (isNear && hasOperandSize && (rex & 8) === 0) return undefined;
  const wide = hasOperandSize && (rex & 8) === 0 ? 2 : 4;
  const isTest = shape === 'g' && (((code[modrm] ?? 0) >> 3) & 7) < 2;
  const immediateShape = isTest ? (opcode === 0xf6 ? 'b' : 'z') : shape;
  const end = at + immediateSize(immediateShape, wide, (rex & 8) !== 0, hasAddressSize);
  return { code, opcode, rex, hasOperandSize, segment, modrm, immediate: at, end };
}

/** Behind ModRM, SIB and displacement. */
function afterModrm(code: Uint8Array, at: number): number {
  const modrm = code[at] ?? 0;
  const mod = modrm >> 6;
  let next = at + 1;
  if (mod === 3) return next;
  const hasSib = (modrm & 7) === 4;
  const base = hasSib ? (code[next++] ?? 0) & 7 : modrm & 7;
  if (mod === 1) next += 1;
  else if (mod === 2 || base === 5) next += 4;
  return next;
}

function immediateSize(shape: string, wide: number, is64: boolean, hasAddressSize: boolean): number {
  switch (shape) {
    case 'b':
    case 'B':
      return 1;
    case 'w':
      return 2;
    case 'z':
    case 'Z':
      return wide;
    case 'v':
      return is64 ? 8 : wide;
    case 'o':
      return hasAddressSize ? 4 : 8;
    case 'e':
      return 3;
    default:
      return 0;
  }
}

/** Of a memory operand that is one register and a displacement. */
export function addressOf({ code, modrm, rex }: Parts): { readonly base: number; readonly offset: number } | undefined {
  const byte = code[modrm] ?? 0;
  const mod = byte >> 6;
  if (mod === 3) return undefined;
  let at = modrm + 1;
  let base = byte & 7;
  if (base === 4) {
    const sib = code[at++] ?? 0;
    // An index, or none and no base either.
    if ((sib & 0x38) !== 0x20 || (rex & 2) !== 0) return undefined;
    base = sib & 7;
  }
  // No base, or (without SIB) the instruction pointer.
  if (mod === 0 && base === 5) return undefined;
  return { base: base | ((rex & 1) << 3), offset: mod === 0 ? 0 : signed(code, at, mod === 1 ? at + 1 : at + 4) };
}

/** Of a memory operand that is so far from the next instruction: its address. */
export function relativeTo({ code, modrm }: Parts, next: number): number | undefined {
  return ((code[modrm] ?? 0) & 0xc7) === 5 ? next + signed(code, modrm + 1, modrm + 5) : undefined;
}

/** Of a memory operand that is an element of an array of 32-bit numbers, at a register: that register. */
export function arrayOf({ code, modrm, rex }: Parts): number | undefined {
  const byte = code[modrm] ?? 0;
  const mod = byte >> 6;
  const sib = code[modrm + 1] ?? 0;
  const hasIndex = (sib & 0x38) !== 0x20 || (rex & 2) !== 0;
  if (mod > 1 || (byte & 7) !== 4 || sib >> 6 !== 2 || !hasIndex) return undefined;
  // Number 5 without a displacement would be no base.
  if (mod === 0 ? (sib & 7) === 5 : code[modrm + 2] !== 0) return undefined;
  return (sib & 7) | ((rex & 1) << 3);
}

/** Little-endian, 1, 2 or 4 bytes. */
export function signed(code: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let at = to - 1; at >= from; at--) value = (value << 8) | (code[at] ?? 0);
  const unused = 32 - 8 * (to - from);
  return (value << unused) >> unused;
}
