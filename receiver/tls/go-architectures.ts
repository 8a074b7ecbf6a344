// Go's own calling convention, in which arguments and results are in registers: on x86-64 since Go 1.17, on aarch64 since 1.18. No register but the
// stack pointer, the frame pointer and the goroutine's survives a call.
// https://go.dev/s/regabi (src/cmd/compile/abi-internal.md)
import { type Machine, viewOf } from '../../otel-thread-context/reader/index.ts';
import { aarch64 } from './aarch64.ts';
import type { GoArchitecture } from './go-sites.ts';
import { bit } from './instruction.ts';
import { Register, x86 } from './x86.ts';

/** Below or equal, unsigned: JBE and B.LS. */
const X86_BELOW_OR_EQUAL = 6;
const AARCH64_LOWER_OR_SAME = 9;
const ALL_OF_X86 = 0xffff & ~bit(Register.sp) & ~bit(Register.bp) & ~bit(Register.r14);
/** X28 is the goroutine's, X29 the frame pointer; 31 is the stack pointer. */
const ALL_OF_AARCH64 = 0x4fffffff;

export const goArchitectures: Readonly<Record<Machine, GoArchitecture>> = {
  'x86-64': {
    registers: { ...x86, parameters: [Register.ax, Register.bx, Register.cx, Register.di], callerSaved: ALL_OF_X86 },
    noRoom: X86_BELOW_OR_EQUAL,
    storesFirstArgument: storesAx,
  },
  aarch64: {
    registers: { ...aarch64, parameters: [0, 1, 2, 3], callerSaved: ALL_OF_AARCH64 },
    noRoom: AARCH64_LOWER_OR_SAME,
    storesFirstArgument: storesX0,
  },
};

/** mov %rax, offset(%rsp) */
function storesAx(code: Uint8Array, size: number): number | undefined {
  if (code[0] !== 0x48 || code[1] !== 0x89 || code[3] !== 0x24) return undefined;
  if (code[2] === 0x44 && size === 5) return viewOf(code).getInt8(4);
  return code[2] === 0x84 && size === 8 ? viewOf(code).getInt32(4, true) : undefined;
}

/** str x0, [sp, #offset] */
function storesX0(code: Uint8Array): number | undefined {
  const word = viewOf(code).getUint32(0, true);
  return (word & 0xffc003ff) >>> 0 === 0xf90003e0 ? ((word >>> 10) & 0xfff) * 8 : undefined;
}
