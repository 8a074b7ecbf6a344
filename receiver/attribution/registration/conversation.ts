// One connection of a program that registers: claim in, challenge out, proof in, verdict out. Whatever else comes is answered with the
// reason, and the connection ends; so it does when its time is over. otel-thread-context/ABI.md, Registration.
import type { Socket } from 'node:net';
import { assertNever } from '../../errors.ts';
import type { ClaimVerdict, ContextPlace } from '../../model/thread-context.ts';
import { type Machine, MAX_LINE, parseClaim, refused, type Refusal } from './claim-line.ts';

/** The kernel side of a claim. */
export interface ClaimBook {
  /** Throws when there is no room. */
  add(cookie: bigint, place: ContextPlace, nonce: Uint8Array): void;
  verdict(cookie: bigint): ClaimVerdict;
  delete(cookie: bigint): void;
}

export interface Peer {
  /** In our pid namespace; 0 when it is not visible there. */
  readonly pid: number;
  readonly uid: number;
  /** Of our end of the connection. */
  readonly cookie: bigint;
}

/** How it ended. `pid`: in the initial pid namespace. */
export type Outcome =
  | { readonly kind: 'registered'; readonly pid: number }
  | Refusal
  | { readonly kind: 'timed_out' }
  /** The program, or we, closed the connection before its end. */
  | { readonly kind: 'abandoned' };

export interface ConversationOptions {
  readonly socket: Socket;
  readonly peer: Peer;
  readonly claims: ClaimBook;
  readonly machine: Machine;
  readonly fillRandom: (bytes: Uint8Array) => void;
  readonly timeoutMs: number;
  /** Called once, when it is decided. */
  readonly onOutcome: (outcome: Outcome) => void;
  /** Called once, when the connection is gone. */
  readonly onClosed: () => void;
}

const NEWLINE = 0x0a;
const NONCE_SIZE = 16;
/** Together 0.5 s, in case that the thread is made to wait on its way out of the kernel. */
const KERNEL_TRIES = 250;
const KERNEL_INTERVAL_MS = 2;

export class Conversation {
  readonly #options: ConversationOptions;
  readonly #line = Buffer.alloc(MAX_LINE);
  readonly #timer: NodeJS.Timeout;
  #fill = 0;
  #step: 'claim' | 'proof' | 'verdict' | 'over' = 'claim';

  constructor(options: ConversationOptions) {
    this.#options = options;
    const { socket, peer, timeoutMs } = options;
    this.#timer = setTimeout(() => {
      if (this.#step !== 'over') {
        this.#end(refused('limit', `this took more than ${String(timeoutMs)} ms`), { kind: 'timed_out' });
      }
      // The program does not read, or does not close.
      socket.destroy();
    }, timeoutMs);
    socket.on('data', (bytes) => {
      this.#take(bytes);
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => {
      clearTimeout(this.#timer);
      this.#decide({ kind: 'abandoned' });
      options.onClosed();
    });
    if (peer.pid === 0) {
      this.refuse(refused('identity', 'the process is not in the pid namespace of the observer, nor in one below it'));
    }
  }

  refuse(refusal: Refusal): void {
    if (this.#step !== 'over') this.#end(refusal, refusal);
  }

  /** Ends it at once. May be called twice. */
  close(): void {
    this.#options.socket.destroy();
  }

  #take(bytes: Buffer): void {
    if (this.#step === 'over') return;
    const end = bytes.indexOf(NEWLINE);
    if (this.#fill + (end < 0 ? bytes.length : end + 1) > MAX_LINE) {
      this.refuse(refused('syntax', `a line has at most ${String(MAX_LINE)} bytes, newline included`));
      return;
    }
    if (this.#step === 'verdict' || (end >= 0 && end < bytes.length - 1)) {
      this.refuse(refused('syntax', 'something follows a line that is not answered yet'));
      return;
    }
    bytes.copy(this.#line, this.#fill);
    this.#fill += bytes.length;
    if (end < 0) return;
    const line = this.#line.toString('latin1', 0, this.#fill - 1);
    this.#fill = 0;
    if (this.#step === 'proof') this.#judge(line);
    else this.#challenge(line);
  }

  #challenge(line: string): void {
    const { socket, peer, claims, machine, fillRandom } = this.#options;
    const claim = parseClaim(line, machine);
    if (claim.kind === 'refused') {
      this.refuse(claim);
      return;
    }
    const nonce = new Uint8Array(NONCE_SIZE);
    // All zeros is what memory has that nobody has written to.
    do fillRandom(nonce);
    while (nonce.every((byte) => byte === 0));
    try {
      claims.add(peer.cookie, claim.place, nonce);
    } catch {
      this.refuse(refused('limit', 'too many register at this moment; try again'));
      return;
    }
    this.#step = 'proof';
    socket.write(`challenge ${Buffer.from(nonce).toString('hex')}\n`);
  }

  #judge(line: string): void {
    if (line !== 'proof') {
      this.refuse(refused('syntax', 'expected "proof"'));
      return;
    }
    this.#step = 'verdict';
    this.#askKernel(KERNEL_TRIES);
  }

  /** It looks when the line is on its way already, in the call that sent it: that we have it may be a moment too early. */
  #askKernel(tries: number): void {
    if (this.#step === 'over') return;
    const verdict = this.#options.claims.verdict(this.#options.peer.cookie);
    if (verdict.kind === 'proven') {
      this.#end(undefined, { kind: 'registered', pid: verdict.pid });
    } else if (verdict.kind === 'unseen' && tries > 1) {
      setTimeout(() => {
        this.#askKernel(tries - 1);
      }, KERNEL_INTERVAL_MS);
    } else {
      this.refuse(refusalOf(verdict.kind));
    }
  }

  #end(refusal: Refusal | undefined, outcome: Outcome): void {
    const { socket } = this.#options;
    this.#decide(outcome);
    sayLast(socket, refusal);
  }

  #decide(outcome: Outcome): void {
    if (this.#step === 'over') return;
    if (this.#step !== 'claim') this.#options.claims.delete(this.#options.peer.cookie);
    this.#step = 'over';
    this.#options.onOutcome(outcome);
  }
}

/** `ok`, or why not; then nothing of the connection is left. */
export function sayLast(socket: Socket, refusal: Refusal | undefined): void {
  socket.end(refusal === undefined ? 'ok\n' : `error ${refusal.code} ${refusal.words}\n`, () => {
    socket.destroy();
  });
}

function refusalOf(kind: Exclude<ClaimVerdict['kind'], 'proven'>): Refusal {
  switch (kind) {
    case 'unseen':
      return refused('proof', 'the kernel did not see the proof being sent; send it with write or send, on this connection');
    case 'stranger':
      return refused('identity', 'the process that sent the proof is not the one that connected');
    case 'unreadable':
      return refused('proof', 'nothing could be read at the claimed place in the thread that sent the proof');
    case 'no_nonce':
      return refused('proof', 'in the thread that sent the proof, no record with the nonce and valid 0 was at the claimed place');
    case 'compat':
      return refused('unsupported', '32-bit programs are not observed');
    case 'no_room':
      return refused('limit', 'the kernel had no memory for it; try again');
    default:
      return assertNever(kind);
  }
}
