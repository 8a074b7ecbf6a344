// The UNIX socket on which programs register where their threads have their contexts: connections in, bounded in number and time,
// outcomes counted. otel-thread-context/ABI.md, Registration.
import { createServer, type Socket } from 'node:net';
import { Admission, type AdmissionLimits, type Admitted } from './admission.ts';
import { type Machine, refused, type Refusal, type RefusalCode } from './claim-line.ts';
import { type ClaimBook, Conversation, type Outcome, type Peer, sayLast } from './conversation.ts';
import { listenOn, type SocketFile } from './socket-file.ts';

export interface RegistrationOptions {
  readonly file: SocketFile;
  readonly claims: ClaimBook;
  /** Of the descriptor of our end; undefined when that is closed. */
  readonly peerOf: (fd: number) => Peer | undefined;
  readonly machine: Machine;
  readonly fillRandom: (bytes: Uint8Array) => void;
  /** Milliseconds, never going back. */
  readonly nowMs: () => number;
  readonly onOutcome: (peer: Peer, outcome: Outcome) => void;
  /** Default: {@link LIMITS}, {@link TIMEOUT_MS}. */
  readonly limits?: AdmissionLimits;
  readonly timeoutMs?: number;
}

/** How many ended how. */
export type RegistrationCounters = Readonly<Record<OutcomeName, number>>;
type OutcomeName = 'registered' | 'timed_out' | 'abandoned' | `refused_${RefusalCode}`;

export interface Registration {
  counters(): RegistrationCounters;
  /** Stops listening, ends what is under way. What is registered stays. May be called twice. */
  close(): void;
}

/** Of connections as many as the kernel side has room for claims (MAX_CLAIMS in bpf/config.h). */
const LIMITS: AdmissionLimits = { connections: 256, connectionsOfUser: 64, burst: 256, perSecond: 64 };
/** For all of a registration. */
const TIMEOUT_MS = 5_000;

/** Throws a ReceiverError when it cannot listen. */
export async function openRegistration(options: RegistrationOptions): Promise<Registration> {
  const registrar = new Registrar(options);
  await registrar.open();
  return registrar;
}

class Registrar implements Registration {
  readonly #options: RegistrationOptions;
  readonly #admission: Admission;
  readonly #server = createServer((socket) => {
    this.#connected(socket);
  });
  /** By age, with whose they are. */
  readonly #conversations = new Map<Conversation, number>();
  readonly #counters: Record<OutcomeName, number> = {
    registered: 0,
    refused_version: 0,
    refused_syntax: 0,
    refused_identity: 0,
    refused_claim: 0,
    refused_proof: 0,
    refused_limit: 0,
    refused_unsupported: 0,
    timed_out: 0,
    abandoned: 0,
  };
  #removeFile: (() => void) | undefined;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#admission = new Admission(options.limits ?? LIMITS);
  }

  async open(): Promise<void> {
    this.#removeFile = await listenOn(this.#server, this.#options.file);
    // What fails later fails on one connection.
    this.#server.on('error', () => undefined);
  }

  counters(): RegistrationCounters {
    return { ...this.#counters };
  }

  close(): void {
    this.#removeFile?.();
    this.#removeFile = undefined;
    this.#server.close();
    for (const conversation of this.#conversations.keys()) conversation.close();
  }

  #connected(socket: Socket): void {
    const { peerOf, claims, machine, fillRandom, nowMs, timeoutMs = TIMEOUT_MS } = this.#options;
    const fd = descriptorOf(socket);
    const peer = fd === undefined ? undefined : peerOf(fd);
    socket.on('error', () => undefined);
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    const { uid } = peer;
    let admitted = this.#admission.enter(uid, nowMs());
    if (admitted === 'too_many' && this.#makeRoom(uid)) admitted = this.#admission.enter(uid, nowMs());
    if (admitted !== 'admitted') {
      this.#count(peer, limitRefusals[admitted]);
      sayLast(socket, limitRefusals[admitted]);
      return;
    }
    const conversation: Conversation = new Conversation({
      socket,
      peer,
      claims,
      machine,
      fillRandom,
      timeoutMs,
      onOutcome: (outcome) => {
        this.#count(peer, outcome);
      },
      onClosed: () => {
        if (this.#conversations.delete(conversation)) this.#admission.leave(uid);
      },
    });
    this.#conversations.set(conversation, uid);
  }

  /** Ends the oldest connection of whoever has the most, if that is somebody who has more than this user. */
  #makeRoom(uid: number): boolean {
    const greedy = this.#admission.greedierThan(uid);
    if (greedy === undefined) return false;
    for (const [conversation, owner] of this.#conversations) {
      if (owner !== greedy) continue;
      conversation.refuse(limitRefusals.too_many);
      conversation.close();
      this.#conversations.delete(conversation);
      this.#admission.leave(owner);
      return true;
    }
    return false;
  }

  #count(peer: Peer, outcome: Outcome): void {
    const name: OutcomeName = outcome.kind === 'refused' ? `refused_${outcome.code}` : outcome.kind;
    this.#counters[name]++;
    this.#options.onOutcome(peer, outcome);
  }
}

const limitRefusals: Readonly<Record<Exclude<Admitted, 'admitted'>, Refusal>> = {
  too_many: refused('limit', 'too many programs register at this moment; try again'),
  too_many_of_user: refused('limit', 'too many programs of this user register at this moment; try again'),
  too_often: refused('limit', 'programs of this user register too often; try again in a second'),
};

/** Node.js has it, but for itself. */
function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}
