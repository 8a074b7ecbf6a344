// What the two ends of one connection will say, and what each must have heard before it goes on: random HTTP with bodies that look like
// messages, interim answers, early answers, and clients that wait for each answer, or do not. A client that does not wait is followed
// from its beginning, and its bodies look like no requests: behind a hole, nothing would tell that it does not.
import type { Random } from '../support/random.ts';

/** 'waits': for each answer. 'batches': sends a few, waits for all. 'slides': keeps a few on their way all the time. */
export type Client = 'waits' | 'batches' | 'slides';

export interface ScriptOptions {
  readonly clients: readonly Client[];
  /** Of a thousand connections, how many are older than the receiver, and how many are UNIX sockets. */
  readonly old: number;
  readonly unix: number;
  /** Of a thousand exchanges, how many have interim answers, and how many are answered before they are asked in full. */
  readonly interim: number;
  readonly early: number;
}

export interface Message {
  readonly target: string;
  readonly status: number;
  readonly requestSize: number;
  readonly responseSize: number;
  readonly requestFrom: number;
  readonly headTo: number;
  readonly requestTo: number;
  readonly interimTo: number;
  readonly responseTo: number;
  /** Waits for the interim answer before it sends the body. */
  readonly isPatient: boolean;
  readonly isEarly: boolean;
  /** The client must have the answers up to this position before it asks. */
  readonly after: number;
}

/** Text that looks like a message where it is none. */
const decoys = [
  'GET /decoy HTTP/1.1\r\n\r\n',
  'POST /decoy HTTP/1.1\r\nContent-Length: 2\r\n\r\n',
  'HTTP/1.1 299 Decoy\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  '0\r\n\r\n',
  '\r\n',
  'x',
];
const harmless = decoys.slice(2);
const encoder = new TextEncoder();
const interims = ['HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX: HTTP/1.1 200\r\n\r\n'];

/** One direction as text, and where a program would end a write. */
class Stream {
  text = '';
  readonly parts: number[] = [];
  #part = 0;

  add(text: string): void {
    if (text === '') return;
    this.text += text;
    this.parts.push(this.text.length);
  }

  partAfter(position: number): number {
    while ((this.parts[this.#part] ?? Infinity) <= position) this.#part++;
    return this.parts[this.#part] ?? this.text.length;
  }
}

export class Script {
  readonly messages: readonly Message[];
  readonly client: Client;
  readonly isServer: boolean;
  readonly isUnix: boolean;
  readonly isOld: boolean;
  readonly isRoleKnown: boolean;
  readonly isLastFlowKnown: boolean;
  readonly requestBytes: Uint8Array;
  readonly responseBytes: Uint8Array;
  readonly #requests = new Stream();
  readonly #responses = new Stream();
  readonly #random: Random;
  #asking = 0;
  #answering = 0;

  constructor(random: Random, options: ScriptOptions, id: number) {
    this.#random = random;
    this.isServer = random.below(2) === 0;
    this.isUnix = random.below(1000) < options.unix;
    this.isRoleKnown = !this.isUnix && random.below(10) > 0;
    this.isLastFlowKnown = random.below(2) === 0;
    const client = (this.client = random.oneOf(options.clients));
    this.isOld = client === 'waits' && random.below(1000) < options.old;
    const depth = client === 'waits' ? 1 : random.below(3) + 2;
    const messages: Message[] = [];
    for (let left = random.below(12) + 1; left > 0; left--) {
      const before = client === 'batches' ? messages.length - (messages.length % depth) - 1 : messages.length - depth;
      messages.push(this.#message(options, `/${id}/${messages.length}`, messages[before]?.responseTo ?? 0));
    }
    this.messages = messages;
    this.requestBytes = encoder.encode(this.#requests.text);
    this.responseBytes = encoder.encode(this.#responses.text);
  }

  /** Up to where the client may have asked, having heard `answered` bytes. */
  mayAsk(answered: number): number {
    for (; ; this.#asking++) {
      const message = this.messages[this.#asking];
      if (message === undefined) return this.requestBytes.length;
      if (answered < message.after) return message.requestFrom;
      if (message.isPatient && answered < message.interimTo) return message.headTo;
    }
  }

  /** Up to where the server may have answered, having heard `asked` bytes. */
  mayAnswer(asked: number): number {
    for (let before = 0; ; before = this.messages[this.#answering++]?.responseTo ?? 0) {
      const message = this.messages[this.#answering];
      if (message === undefined) return this.responseBytes.length;
      if (asked < message.headTo) return this.messages[this.#answering - 1]?.responseTo ?? before;
      if (asked < message.requestTo && !message.isEarly) return message.interimTo;
    }
  }

  /** Where a write that begins at `from` ends, if nothing cuts it short. */
  partEnd(isRequest: boolean, from: number, ready: number): number {
    if (this.#random.below(5) === 0) return ready;
    return Math.min(ready, (isRequest ? this.#requests : this.#responses).partAfter(from));
  }

  #message(options: ScriptOptions, target: string, after: number): Message {
    const random = this.#random;
    const method = random.oneOf(['GET', 'POST', 'POST', 'HEAD']);
    const status = random.below(20) === 0 ? random.oneOf([204, 304]) : 300 + random.below(300);
    const hasInterim = random.below(1000) < options.interim;
    const asked = method === 'POST' || hasInterim ? this.#body(4, this.client === 'waits' ? decoys : harmless) : [];
    const told = this.#body(random.below(60) === 0 ? 2000 : 5, decoys);
    const requestFrom = this.#requests.text.length;
    const requestSize = this.#framed(this.#requests, `${method} ${target} HTTP/1.1\r\nHost: a\r\n`, asked, true);
    const headTo = this.#requests.text.indexOf('\r\n\r\n', requestFrom) + 4;
    if (hasInterim) for (let n = random.below(2) + 1; n > 0; n--) this.#responses.add(random.oneOf(interims));
    const interimTo = this.#responses.text.length;
    const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
    const responseSize = this.#framed(this.#responses, `HTTP/1.1 ${status} X\r\n`, told, hasBody);
    return {
      target,
      status,
      requestSize,
      responseSize,
      requestFrom,
      headTo,
      requestTo: this.#requests.text.length,
      interimTo,
      responseTo: this.#responses.text.length,
      isPatient: hasInterim && random.below(4) > 0,
      isEarly: random.below(1000) < options.early,
      after,
    };
  }

  #body(limit: number, texts: readonly string[]): string[] {
    const random = this.#random;
    const parts: string[] = [];
    for (let count = random.below(3); count > 0; count--) parts.push(random.oneOf(texts).repeat(random.below(limit) + 1));
    return parts;
  }

  /** Adds a message; returns the size of its body. */
  #framed(stream: Stream, start: string, parts: readonly string[], hasBody: boolean): number {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    if (this.#random.below(3) > 0) {
      stream.add(`${start}Content-Length: ${size}\r\n\r\n`);
      if (hasBody) for (const part of parts) stream.add(part);
    } else {
      stream.add(`${start}Transfer-Encoding: chunked\r\n\r\n`);
      if (hasBody)
        for (const part of parts) for (const piece of [`${part.length.toString(16)}\r\n`, part, '\r\n']) stream.add(piece);
      if (hasBody) stream.add('0\r\n\r\n');
    }
    return hasBody ? size : 0;
  }
}
