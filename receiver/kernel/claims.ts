// Claims where the threads of a process have their contexts → the map in which the kernel side finds them as a proof is sent
// (bpf/registration.bpf.c), and what it made of each.
import type { ClaimVerdict, ContextPlace } from '../model/thread-context.ts';
import { writePlace } from './context-places.ts';
import { claim, claimState } from './layout.ts';

/** What is used of a map. */
interface ClaimMap {
  lookup(key: Uint8Array): Uint8Array | undefined;
  /** Throws when there is no room. */
  update(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): boolean;
}

const verdicts: ReadonlyMap<number, ClaimVerdict['kind']> = new Map([
  [claimState.proven, 'proven'],
  [claimState.stranger, 'stranger'],
  [claimState.unreadable, 'unreadable'],
  [claimState.noNonce, 'no_nonce'],
  [claimState.compat, 'compat'],
  [claimState.noRoom, 'no_room'],
]);

export class Claims {
  readonly #map: ClaimMap;
  readonly #open: Uint32Array;

  /** `open`: 4 bytes that the kernel reads; while they are 0 it looks for no claim. */
  constructor(map: ClaimMap, open: ArrayBuffer) {
    this.#map = map;
    this.#open = new Uint32Array(open, 0, 1);
  }

  /** What the other end of the socket with this cookie sends next is the proof. Throws when there is no room. */
  add(cookie: bigint, place: ContextPlace, nonce: Uint8Array): void {
    const value = new Uint8Array(claim.sizeOf);
    writePlace(new DataView(value.buffer), place);
    new DataView(value.buffer).setBigUint64(claim.cookie, cookie, true);
    value.set(nonce, claim.nonce);
    this.#map.update(keyOf(cookie), value);
    Atomics.add(this.#open, 0, 1);
  }

  /** What has come of it. */
  verdict(cookie: bigint): ClaimVerdict {
    const value = this.#map.lookup(keyOf(cookie));
    if (value === undefined) return { kind: 'unseen' };
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    const kind = verdicts.get(view.getUint32(claim.state, true)) ?? 'unseen';
    return kind === 'proven' ? { kind, pid: view.getUint32(claim.tgid, true) } : { kind };
  }

  /** It can be proven no more. */
  delete(cookie: bigint): void {
    if (this.#map.delete(keyOf(cookie))) Atomics.sub(this.#open, 0, 1);
  }
}

function keyOf(cookie: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(cookie).buffer);
}
