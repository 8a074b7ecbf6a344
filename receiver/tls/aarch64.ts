// Four bytes → one aarch64 instruction: its meaning for what moves control, the stack pointer, or whole registers; of the rest, which registers it may
// write. Encodings that are not here are undefined, never guessed. Arm Architecture Reference Manual, C4.1.
import { type Architecture, bit, type Effect, type Flow, type Instruction, NO_EFFECT } from './instruction.ts';

const SP = 31;

export const aarch64: Architecture = {
  decode: decodeAarch64,
  stackPointer: SP,
  framePointer: 29,
  parameters: [0, 1, 2, 3],
  result: 0,
  callerSaved: 0x4007ffff,
  notAboveZero: 0xd,
  aboveZero: 0xc,
  notAbove: 0x9,
  above: 0x8,
};

interface Control {
  readonly flow: Flow;
  /** In bytes from here. */
  readonly distance?: number;
  readonly condition?: number;
  readonly isEmulated: boolean;
}

function decodeAarch64(code: Uint8Array, at: number, address: number): Instruction | undefined {
  if (at + 4 > code.length) return undefined;
  const word = new DataView(code.buffer, code.byteOffset).getUint32(at, true);
  const control = controlOf(word);
  const effect = control === undefined ? effectOf(word) : NO_EFFECT;
  if (effect === undefined) return undefined;
  return {
    address,
    size: 4,
    flow: control?.flow ?? 'next',
    target: control?.distance === undefined ? undefined : address + control.distance,
    condition: control?.condition,
    // arch/arm64/kernel/probes/decode-insn.c; besides those of control, what is computed from the program counter.
    isEmulated: control?.isEmulated ?? matches(word, 0x1f000000, 0x10000000),
    effect,
    keepsFlags: false,
    by: undefined,
    isGuardCheck: false,
  };
}

function controlOf(word: number): Control | undefined {
  if (matches(word, 0x7c000000, 0x14000000)) {
    return { flow: word >>> 31 === 1 ? 'call' : 'jump', distance: signedBits(word, 0, 26) * 4, isEmulated: true };
  }
  if (matches(word, 0xff000000, 0x54000000)) {
    return { flow: 'branch', distance: signedBits(word, 5, 19) * 4, condition: word & 15, isEmulated: true };
  }
  // CBZ, CBNZ, TBZ, TBNZ
  if (matches(word, 0x7e000000, 0x34000000)) return { flow: 'branch', distance: signedBits(word, 5, 19) * 4, isEmulated: true };
  if (matches(word, 0x7e000000, 0x36000000)) return { flow: 'branch', distance: signedBits(word, 5, 14) * 4, isEmulated: true };
  if (matches(word, 0xfe000000, 0xd6000000)) return registerBranch(word);
  // UDF, HLT, BRK
  if (matches(word, 0xffff0000, 0) || matches(word, 0xff800000, 0xd4000000)) {
    return matches(word, 0xffe0001f, 0xd4000001) ? undefined : { flow: 'stop', isEmulated: false };
  }
  return undefined;
}

/** With an authenticated pointer they are not emulated. */
function registerBranch(word: number): Control {
  const isEmulated = bits(word, 10, 6) === 0;
  const flows: readonly (Flow | undefined)[] = ['jump', 'call', 'return', , , , , , 'jump', 'call'];
  return { flow: flows[bits(word, 21, 4)] ?? 'stop', isEmulated };
}

function effectOf(word: number): Effect | undefined {
  // Hints and barriers, among them NOP, BTI, PACIASP; then reading and writing of system registers.
  if (matches(word, 0xfffff01f, 0xd503201f) || matches(word, 0xfffff000, 0xd5033000)) return NO_EFFECT;
  if (matches(word, 0xffd00000, 0xd5100000) || matches(word, 0xfff80000, 0xd5080000)) return NO_EFFECT;
  if (matches(word, 0xffd00000, 0xd5300000)) return writes(word & 31);
  if (matches(word, 0xffe0001f, 0xd4000001)) return { kind: 'writes', registers: aarch64.callerSaved };
  switch (bits(word, 25, 4)) {
    case 8:
    case 9:
      return immediateEffect(word);
    case 5:
    case 13:
      return registerEffect(word);
    case 4:
    case 6:
    case 12:
    case 14:
      return memoryEffect(word);
    case 7:
    case 15:
      // Vectors and floating point; some of these write to a general register of that number.
      return writes(word & 31);
    default:
      return undefined;
  }
}

function immediateEffect(word: number): Effect {
  const to = word & 31;
  const from = bits(word, 5, 5);
  const is64 = word >>> 31 === 1;
  if (matches(word, 0x1f800000, 0x11000000)) {
    const value = bits(word, 10, 12) * (bits(word, 22, 1) === 1 ? 4096 : 1);
    const isSubtraction = bits(word, 30, 1) === 1;
    const setsFlags = bits(word, 29, 1) === 1;
    if (setsFlags && to === 31) return isSubtraction && value === 0 ? { kind: 'test', register: from } : NO_EFFECT;
    return is64 && !setsFlags
      ? { kind: 'copy', to, from, offset: isSubtraction ? -value : value }
      : { kind: 'writes', registers: bit(to) };
  }
  // AND, ORR, EOR may write to the stack pointer, ANDS may not.
  if (matches(word, 0x1f800000, 0x12000000)) return bits(word, 29, 2) === 3 ? writes(to) : { kind: 'writes', registers: bit(to) };
  if (matches(word, 0x1f800000, 0x12800000)) {
    const value = bits(word, 5, 16);
    const operation = bits(word, 29, 2);
    if (to === 31) return NO_EFFECT;
    if (bits(word, 21, 2) === 0 && operation === 2) return { kind: 'constant', to, value };
    if (bits(word, 21, 2) === 0 && operation === 0) return { kind: 'constant', to, value: ~value };
  }
  return writes(to);
}

function registerEffect(word: number): Effect {
  const to = word & 31;
  const from = bits(word, 16, 5);
  // MOV is ORR with the zero register.
  if (matches(word, 0xffe0ffe0, 0xaa0003e0) && to !== 31) {
    return from === 31 ? { kind: 'constant', to, value: 0 } : { kind: 'copy', to, from, offset: 0 };
  }
  if (matches(word, 0xffffffe0, 0x2a1f03e0) && to !== 31) return { kind: 'constant', to, value: 0 };
  // TST of a register with itself.
  if (matches(word, 0x7fe0fc1f, 0x6a00001f) && bits(word, 5, 5) === from) return { kind: 'test', register: from };
  if (matches(word, 0x1fe00000, 0x1a400000)) return NO_EFFECT;
  // ADD and SUB of an extended register may write to the stack pointer.
  if (matches(word, 0x3fe00000, 0x0b200000)) return { kind: 'writes', registers: bit(to) };
  return writes(to);
}

function memoryEffect(word: number): Effect {
  const isVector = bits(word, 26, 1) === 1;
  const base = bits(word, 5, 5);
  const first = word & 31;
  if (matches(word, 0x3a000000, 0x28000000)) {
    const isLoad = bits(word, 22, 1) === 1;
    const mode = bits(word, 23, 2);
    const scale = isVector ? 4 << bits(word, 30, 2) : bits(word, 30, 2) === 2 ? 8 : 4;
    const loaded = isLoad && !isVector ? general(first) | general(bits(word, 10, 5)) : 0;
    return withBase(loaded, base, mode === 1 || mode === 3 ? signedBits(word, 15, 7) * scale : undefined);
  }
  if (matches(word, 0x3a000000, 0x38000000)) return singleEffect(word, isVector, base, first);
  if (matches(word, 0x3b000000, 0x18000000)) return isVector ? NO_EFFECT : writes(first);
  if (matches(word, 0xbf000000, 0x0c000000) || matches(word, 0xbf000000, 0x0d000000)) {
    return bits(word, 23, 1) === 1 ? { kind: 'writes', registers: bit(base) } : NO_EFFECT;
  }
  // Exclusive and ordered accesses: the result, or whether it was done.
  return { kind: 'writes', registers: general(first) | general(bits(word, 10, 5)) | general(bits(word, 16, 5)) };
}

function singleEffect(word: number, isVector: boolean, base: number, to: number): Effect {
  const size = bits(word, 30, 2);
  const operation = bits(word, 22, 2);
  const isPrefetch = size === 3 && operation === 2;
  const loaded = !isVector && operation !== 0 && !isPrefetch ? general(to) : 0;
  const isPlain = operation === 1 && size >= 2 && loaded !== 0;
  if (bits(word, 24, 1) === 1) {
    const offset = bits(word, 10, 12) << size;
    return isPlain ? { kind: 'load', to, base, offset } : { kind: 'writes', registers: loaded };
  }
  if (bits(word, 21, 1) === 1) {
    // An offset in a register; else an atomic operation, or an authenticated load.
    if (bits(word, 10, 2) === 2) return { kind: 'writes', registers: loaded };
    return { kind: 'writes', registers: general(to) | bit(base) };
  }
  const mode = bits(word, 10, 2);
  const offset = signedBits(word, 12, 9);
  if (mode === 0 && isPlain) return { kind: 'load', to, base, offset };
  return withBase(loaded, base, mode === 1 || mode === 3 ? offset : undefined);
}

/** `step`: the base register moves by it. */
function withBase(loaded: number, base: number, step: number | undefined): Effect {
  if (step === undefined) return { kind: 'writes', registers: loaded };
  return base === SP ? { kind: 'stack', bytes: step, registers: loaded } : { kind: 'writes', registers: loaded | bit(base) };
}

/** 31 is the zero register here. */
function general(register: number): number {
  return register === 31 ? 0 : bit(register);
}

function writes(register: number): Effect {
  return register === 31 ? NO_EFFECT : { kind: 'writes', registers: bit(register) };
}

function matches(word: number, mask: number, value: number): boolean {
  return ((word & mask) ^ value) === 0;
}

function bits(word: number, from: number, count: number): number {
  return (word >>> from) & ((1 << count) - 1);
}

function signedBits(word: number, from: number, count: number): number {
  return (word << (32 - from - count)) >> (32 - count);
}
