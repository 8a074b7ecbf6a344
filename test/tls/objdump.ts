// The independent judge of our decoders: what objdump says about a file.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

export interface Disassembled {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly text: string;
}

export function disassemble(path: string, options: readonly string[] = [], tool = 'objdump'): Disassembled[] {
  const { stdout, status, stderr } = spawnSync(tool, ['-d', '-w', '--insn-width=16', ...options, path], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  if (status !== 0) throw new Error(`${tool} ${path}: ${stderr}`);
  const instructions: Disassembled[] = [];
  for (const line of stdout.split('\n')) {
    const match = /^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+|[0-9a-f]{8} )\s*\t?(.*)$/.exec(line);
    const [, address = '', bytes = '', text = ''] = match ?? [];
    if (match === null || text === '') continue;
    const hex = bytes.trim();
    // Of aarch64, a word is printed as a number.
    const raw = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    instructions.push({
      address: parseInt(address, 16),
      bytes: hex.includes(' ') || raw.length === 1 ? raw : raw.reverse(),
      text,
    });
  }
  return instructions;
}

/** A library of this machine, where its loader would find it. */
export function findLibrary(name: string): string {
  const folders = ['/lib/x86_64-linux-gnu', '/lib/aarch64-linux-gnu', '/usr/lib64', '/lib64', '/usr/lib', '/lib'];
  return folders.map((folder) => `${folder}/${name}`).find((path) => existsSync(path)) ?? '';
}
