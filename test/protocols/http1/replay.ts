// Conversations as text files, and what a Conversation makes of them.
//
//   # title, a sentence                          first line
//   role client | server                         of this socket; default server
//   start beginning | boundary | middle          default beginning
//   max-head-size N, max-pipelined N             options
//   until-close                                  a close may complete a response of this conversation
//   skip loss | cut, why                         not replayed with lost chunks, or cut
//   by N                                         process of the bytes that follow; default: 1 for requests, 2 for responses
//   true TRANSACTION                             one that is true, but shows only when something is lost or cut (`*`: anything)
//   > bytes     < bytes                          one chunk of the request or response side, the first of an I/O
//   >> bytes    << bytes                         one more chunk of the same I/O
//   | bytes                                      more bytes of the chunk above
//   missing > N reason                           N bytes of that side were not copied
//   walked < N body remaining                    the kernel followed N bytes of chunks
//   end >   end <   close cause   settle   abandon
//   ---
//   what comes out: transactions in order, then figures by name (abandon is implied where there is no close)
//
// In bytes: \r \n \t \\ \xNN, and {N*text} for text repeated N times. Time is the number of the line's event, from 1; `settle` is 6 s later.
import { readdirSync, readFileSync } from 'node:fs';
import type { ConnectionInfo } from '../../../receiver/model/connection.ts';
import type { ProcessId } from '../../../receiver/model/process.ts';
import type {
  Conversation,
  ConversationSink,
  ConversationStart,
  LossReason,
  Protocol,
  Side,
} from '../../../receiver/model/protocol.ts';
import type { Abort, Transaction } from '../../../receiver/model/transaction.ts';
import { createHttp1 } from '../../../receiver/protocols/http1/protocol.ts';

export type Step =
  | {
      readonly kind: 'data';
      readonly side: Side;
      readonly bytes: Uint8Array;
      readonly isIoStart: boolean;
      readonly time: number;
      readonly pid: number;
    }
  | {
      readonly kind: 'missing';
      readonly side: Side;
      readonly size: number;
      readonly reason: LossReason;
      readonly time: number;
      readonly pid: number;
    }
  | {
      readonly kind: 'walked';
      readonly side: Side;
      readonly size: number;
      readonly body: number;
      readonly remaining: number;
      readonly time: number;
    }
  | { readonly kind: 'end'; readonly side: Side; readonly time: number }
  | { readonly kind: 'close'; readonly cause: Abort; readonly time: number }
  /** nap: two seconds of silence, which settle nothing. */
  | { readonly kind: 'settle' | 'nap' | 'abandon'; readonly time: number };

export interface Script {
  readonly file: URL;
  readonly title: string;
  readonly role: 'client' | 'server';
  readonly start: ConversationStart;
  readonly options: { readonly maxHeadSize?: number; readonly maxPipelined?: number };
  readonly canCompleteByClose: boolean;
  readonly steps: readonly Step[];
  /** Printed transactions. */
  readonly alsoTrue: readonly RegExp[];
  readonly skipped: readonly string[];
  /** The part before the line of dashes, and the one after. */
  readonly source: string;
  readonly expected: string;
}

export function readScripts(folder: URL): readonly Script[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.txt'));
  return names.sort().map((name) => {
    const file = new URL(name, folder);
    return parseScript(file, readFileSync(file, 'utf8'));
  });
}

export function parseScript(file: URL, text: string): Script {
  const [source = '', expected = ''] = text.split('---\n');
  const lines = source.trimEnd().split('\n');
  const options: { maxHeadSize?: number; maxPipelined?: number } = {};
  const steps: Step[] = [];
  const alsoTrue: RegExp[] = [];
  const skipped: string[] = [];
  let role: Script['role'] = 'server';
  let start: ConversationStart = 'beginning';
  let canCompleteByClose = false;
  let by: number | undefined;
  for (const line of lines.slice(1)) {
    const [word = '', ...rest] = line.split(' ');
    const [first = '', second = '', third = '', fourth = ''] = rest;
    const time = steps.length + 1;
    const content = decodeEscapes(line.slice(word.length + 1));
    const sideOf = (mark: string): Side => (mark.startsWith('>') ? 'request' : 'response');
    const pidOf = (side: Side): number => by ?? (side === 'request' ? 1 : 2);
    if (word === '' || word === '#') continue;
    if (word === 'role') role = first as Script['role'];
    else if (word === 'start') start = first as ConversationStart;
    else if (word === 'max-head-size') options.maxHeadSize = Number(first);
    else if (word === 'max-pipelined') options.maxPipelined = Number(first);
    else if (word === 'until-close') canCompleteByClose = true;
    else if (word === 'true') alsoTrue.push(patternOf(line.slice(5)));
    else if (word === 'skip') skipped.push(first.replace(',', ''));
    else if (word === 'by') by = first === '' ? undefined : Number(first);
    else if (/^(>>?|<<?)$/.test(word)) {
      const side = sideOf(word);
      steps.push({ kind: 'data', side, bytes: content, isIoStart: word.length === 1, time, pid: pidOf(side) });
    } else if (word === '|') {
      const last = steps.pop();
      if (last?.kind !== 'data') throw new Error(`${file.pathname}: nothing to continue: ${line}`);
      steps.push({ ...last, bytes: Buffer.concat([last.bytes, content]) });
    } else if (word === 'missing') {
      const side = sideOf(first);
      steps.push({ kind: 'missing', side, size: Number(second), reason: third as LossReason, time, pid: pidOf(side) });
    } else if (word === 'walked') {
      steps.push({
        kind: 'walked',
        side: sideOf(first),
        size: Number(second),
        body: Number(third),
        remaining: Number(fourth),
        time,
      });
    } else if (word === 'end') steps.push({ kind: 'end', side: sideOf(first), time });
    else if (word === 'close') steps.push({ kind: 'close', cause: first as Abort, time });
    else if (word === 'settle' || word === 'abandon') steps.push({ kind: word, time });
    else throw new Error(`${file.pathname}: what is this? ${line}`);
  }
  const title = (lines[0] ?? '').replace(/^# /, '');
  return { file, title, role, start, options, canCompleteByClose, steps, alsoTrue, skipped, source, expected };
}

function patternOf(text: string): RegExp {
  return new RegExp(`^${text.replace(/[.?+^$()[\]{}|\\]/g, '\\$&').replaceAll('*', '.*')}$`);
}

function decodeEscapes(text: string): Uint8Array {
  const repeated = text.replace(/\{(\d+)\*([^}]*)\}/g, (_, count: string, unit: string) => unit.repeat(Number(count)));
  const plain = repeated.replace(/\\(x[0-9a-fA-F]{2}|.)/g, (_, code: string) => {
    if (code.startsWith('x')) return String.fromCharCode(parseInt(code.slice(1), 16));
    return { r: '\r', n: '\n', t: '\t' }[code] ?? code;
  });
  return Buffer.from(plain, 'latin1');
}

/** A sink that remembers everything. */
export class Recorder implements ConversationSink {
  readonly transactions: Transaction[] = [];
  readonly figures = new Map<string, number>();
  readonly wishes: string[] = [];
  gaveUp: string | undefined;
  /** Bytes that were accounted for. */
  accounted = 0;
  seenCount = 0;
  droppedCount = 0;

  transaction(transaction: Transaction): void {
    this.transactions.push(structuredClone(transaction));
  }
  requested(): void {}
  seen(): void {
    this.seenCount++;
    this.#add('seen', 1);
  }
  dropped(reason: string): void {
    this.droppedCount++;
    this.#add(`dropped ${reason}`, 1);
  }
  parsed(count: number): void {
    this.#account('parsed', count);
  }
  skipped(count: number): void {
    this.#account('skipped', count);
  }
  lost(reason: string, count: number): void {
    this.#account(`lost ${reason}`, count);
  }
  count(event: string): void {
    this.#add(`count ${event}`, 1);
  }
  stepOver(side: Side, position: number): void {
    this.wishes.push(`step over ${side} to ${position === Number.MAX_SAFE_INTEGER ? 'the end' : String(position)}`);
  }
  stepOverChunks(side: Side, position: number): void {
    this.wishes.push(`step over ${side} chunks from ${String(position)}`);
  }
  followFrames(side: Side, position: number): void {
    this.wishes.push(`follow ${side} frames from ${String(position)}`);
  }
  handOver(): undefined {
    return undefined;
  }
  giveUp(reason: string): void {
    if (this.gaveUp !== undefined) throw new Error('gave up twice');
    this.gaveUp = reason;
  }

  #account(name: string, count: number): void {
    if (!(count > 0)) throw new Error(`${name} ${String(count)}`);
    this.accounted += count;
    this.#add(name, count);
  }
  #add(name: string, count: number): void {
    this.figures.set(name, (this.figures.get(name) ?? 0) + count);
  }
}

export interface Outcome {
  readonly recorder: Recorder;
  readonly conversation: Conversation;
  /** Bytes that were handed in. */
  readonly given: number;
}

export function connectionOf(role: 'client' | 'server'): ConnectionInfo {
  const openedBy: ProcessId = { pid: 9, startTime: 9 };
  return {
    id: 1,
    transport: 'tcp',
    ipVersion: 4,
    role,
    roleEvidence: 'tcp_state',
    local: { address: '127.0.0.1', port: 80 },
    peer: { address: '127.0.0.1', port: 40000 },
    networkNamespace: 1,
    pair: '',
    isFromStart: true,
    openedBy,
  };
}

/** Plays `steps`, and at the end abandons what is not closed. */
export function play(script: Script, steps: readonly Step[]): Outcome {
  const player = new Player(script, createHttp1(script.options));
  for (const step of steps) player.play(step);
  return player.end();
}

/** One conversation, step by step. */
export class Player {
  readonly #recorder = new Recorder();
  readonly #conversation: Conversation;
  readonly #position = { request: 0, response: 0 };
  #given = 0;

  constructor(script: Script, protocol: Protocol) {
    this.#conversation = protocol.open(connectionOf(script.role), script.start, this.#recorder);
  }

  play(step: Step): void {
    const conversation = this.#conversation;
    const position = this.#position;
    if (step.kind === 'data') {
      const process = { pid: step.pid, startTime: step.pid };
      // Somewhere in a larger memory that is reused as soon as the call returns, as the ring's is.
      const memory = new Uint8Array(step.bytes.length + 7).fill(0x20);
      memory.set(step.bytes, 3);
      const end = 3 + step.bytes.length;
      const other = position[step.side === 'request' ? 'response' : 'request'];
      conversation.data(step.side, memory, 3, end, position[step.side], step.isIoStart, other, step.time, process);
      memory.fill(0x21);
      position[step.side] += step.bytes.length;
      this.#given += step.bytes.length;
    } else if (step.kind === 'missing') {
      const from = position[step.side];
      position[step.side] += step.size;
      this.#given += step.size;
      conversation.missing(step.side, from, from + step.size, step.reason, step.time, { pid: step.pid, startTime: step.pid });
    } else if (step.kind === 'walked') {
      const from = position[step.side];
      position[step.side] += step.size;
      this.#given += step.size;
      conversation.chunksWalked(step.side, from, from + step.size, step.body, step.remaining, step.time);
    } else if (step.kind === 'end') conversation.end(step.side, step.time);
    else if (step.kind === 'close') conversation.close(step.cause, step.time);
    else if (step.kind === 'settle') conversation.settle?.(step.time + 6e9);
    else if (step.kind === 'nap') conversation.settle?.(step.time + 2e9);
    else conversation.abandon();
  }

  end(): Outcome {
    this.#conversation.abandon();
    return { recorder: this.#recorder, conversation: this.#conversation, given: this.#given };
  }
}

/** The outcome as the lower part of a file. */
export function print(outcome: Outcome): string {
  const { recorder } = outcome;
  const lines = recorder.transactions.map(printTransaction);
  lines.push(...recorder.wishes);
  for (const name of [...recorder.figures.keys()].sort()) lines.push(`${name} ${String(recorder.figures.get(name))}`);
  if (recorder.gaveUp !== undefined) lines.push(`gave up: ${recorder.gaveUp}`);
  return lines.map((line) => `${line}\n`).join('');
}

export function printTransaction(transaction: Transaction): string {
  const { request, response } = transaction;
  const fields = [
    `${request.method} ${request.target} ${request.version}`,
    response === undefined ? 'no answer' : String(response.statusCode),
    `at ${String(transaction.requestPosition)}`,
    `time ${String(transaction.start)}..${String(transaction.end)}`,
    `by ${String(transaction.process.pid)}`,
    `sent ${String(request.bodySize ?? 'unknown')}`,
  ];
  if (response !== undefined) fields.push(`got ${String(response.bodySize ?? 'unknown')}`);
  if (transaction.abort !== undefined) fields.push(transaction.abort);
  const known = new Set(['method', 'target', 'version', 'bodySize']);
  for (const [name, value] of Object.entries(request)) {
    if (!known.has(name) && value !== undefined) fields.push(`${name}=${JSON.stringify(value)}`);
  }
  return fields.join(', ');
}
