// The stack of the BPF programs. Before Linux 6.13, and on other machines than x86-64 for longer, all functions of a chain of calls share 512
// bytes, each frame rounded up to 32. The running kernel may be more generous, so what the compiler has made is counted here.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const limit = 512;
const rounding = 32;
const frames = 8;
const objects = ['usm', 'threads'].map((name) => fileURLToPath(new URL(`../../build/${name}.bpf.o`, import.meta.url)));

interface Routine {
  readonly name: string;
  readonly isProgram: boolean;
  /** Lowest byte of its frame that it touches, as a distance from the top. */
  depth: number;
  /** By place: `section+offset`. */
  readonly calls: Set<string>;
}

const dump = (file: string, ...options: string[]): string[] =>
  execFileSync('llvm-objdump', [...options, file], { encoding: 'utf8', maxBuffer: 2 ** 28 }).split('\n');

/** Every function of an object by its place, with its frame and whom it calls, callbacks included. */
function readRoutines(file: string): Map<string, Routine> {
  const routines = new Map<string, Routine>();
  const places = new Map<string, string>();
  for (const line of dump(file, '--syms')) {
    const [, offset = '', section = '', name = ''] =
      /^([0-9a-f]{16}) .{6}F (.+)\t[0-9a-f]{16}(?: \.hidden)? (\S+)$/.exec(line) ?? [];
    if (name === '') continue;
    const place = `${section}+${parseInt(offset, 16)}`;
    routines.set(place, { name, isProgram: section !== '.text', depth: 0, calls: new Set() });
    places.set(name, place); // used of those alone that have a name of their own: global ones
  }
  let section = '';
  let routine: Routine | undefined;
  let immediate = 0;
  /** Whom the last instruction calls, unless a relocation says something else. */
  let called = '';
  /** Registers that hold the top of the frame. */
  const tops = new Set<number>();
  for (const line of dump(file, '--disassemble', '--reloc')) {
    section = /^Disassembly of section (.*):$/.exec(line)?.[1] ?? section;
    const [, index, hex] = /^\s+(\d+):\t((?:[0-9a-f]{2}[ \t]){8})/.exec(line) ?? [];
    if (index !== undefined && hex !== undefined) {
      const at = Number(index) * 8;
      const begun = routines.get(`${section}+${at}`);
      if (begun !== undefined) tops.clear();
      routine = begun ?? routine;
      assert.ok(routine !== undefined, line);
      const code = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
      const [operation = 0, registers = 0] = code;
      const [to, from, kind] = [registers & 15, registers >> 4, operation & 7];
      const offset = code.readInt16LE(2);
      immediate = code.readInt32LE(4);
      const isOnFrame = (kind === 1 && from === 10) || ((kind === 2 || kind === 3) && to === 10);
      if (isOnFrame) routine.depth = Math.max(routine.depth, -offset);
      if (operation === 0x07 && tops.has(to)) routine.depth = Math.max(routine.depth, -immediate);
      if (operation === 0xbf && from === 10) tops.add(to);
      else if (kind === 0 || kind === 1 || kind === 4 || kind === 7) tops.delete(to);
      called = operation === 0x85 && from === 1 ? `${section}+${at + 8 + immediate * 8}` : '';
      if (called !== '') routine.calls.add(called);
      continue;
    }
    const [, type, target = ''] = /R_BPF_64_(32|64)\s+(\S+)$/.exec(line) ?? [];
    if (type === undefined || routine === undefined) continue;
    routine.calls.delete(called);
    if (target === '.text') routine.calls.add(`.text+${type === '32' ? (immediate + 1) * 8 : immediate}`);
    else if (type === '32') routine.calls.add(places.get(target) ?? '');
  }
  return routines;
}

interface Chain {
  readonly bytes: number;
  readonly names: readonly string[];
}

/** The chains from a function on, the deepest and the longest ones. */
function chainsOf(routines: ReadonlyMap<string, Routine>, place: string): Chain[] {
  const routine = routines.get(place);
  if (routine === undefined) return [{ bytes: 0, names: [] }]; // a function of the kernel, or a call that its relocation names
  const own = Math.ceil(Math.max(routine.depth, 1) / rounding) * rounding;
  const rest = [...routine.calls].flatMap((call) => chainsOf(routines, call));
  const best = [
    rest.toSorted((a, b) => b.bytes - a.bytes)[0],
    rest.toSorted((a, b) => b.names.length - a.names.length)[0],
  ].filter((chain) => chain !== undefined);
  const ends = best.length > 0 ? best : [{ bytes: 0, names: [] }];
  return ends.map(({ bytes, names }) => ({ bytes: own + bytes, names: [`${routine.name} ${routine.depth}`, ...names] }));
}

for (const object of objects) {
  test(`no chain of calls in ${object.slice(object.lastIndexOf('/') + 1)} needs more stack than every kernel has`, () => {
    const routines = readRoutines(object);
    const programs = [...routines].filter(([, { isProgram }]) => isProgram).map(([place]) => place);
    assert.ok(programs.length > 1);
    assert.ok([...routines.values()].some(({ depth }) => depth > rounding));
    const chains = programs.flatMap((place) => chainsOf(routines, place));
    const tooDeep = chains.filter(({ bytes, names }) => bytes > limit || names.length > frames);
    assert.deepEqual(
      tooDeep.map(({ bytes, names }) => `${bytes}: ${names.join(' > ')}`),
      [],
    );
  });
}
