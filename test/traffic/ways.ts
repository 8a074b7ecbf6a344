// The rows that a test of c/io.c goes through: every system call at least once as head and as body, on both ends.
import { canDo, plainWays, type Family, type IoWays } from './traffic.ts';

export interface WayCase {
  readonly name: string;
  readonly ways: IoWays;
  /** Ends that hold these ways cannot be read in user memory, where the head is moved that way (contract.md, Heads). */
  readonly isSendReadable: boolean;
  readonly isReceiveReadable: boolean;
  /**
   * Bodies are taken by splice, which no socket hook of the kernel shows: TCP's positions tell it afterwards, UNIX sockets have none.
   * Sizes may then be unknown (and exchanges over UNIX sockets missing), but never wrong.
   */
  readonly hidesReceivedBodies: boolean;
}

/** Each way of sending beside a way of receiving. What has no counterpart comes with a plain one. */
const pairs: readonly (readonly [send: string, receive: string])[] = [
  ['write', 'read'],
  ['writev', 'readv'],
  ['pwritev2', 'preadv2'],
  ['send', 'recv'],
  ['sendto', 'recvfrom'],
  ['sendmsg', 'recvmsg'],
  ['sendmmsg', 'recvmmsg'],
  ['zerocopy', 'peek'],
  ['byte', 'byte'],
  ['sendfile', 'splice'],
  ['splice', 'splice'],
  ['uring_send', 'uring_recv'],
  ['uring_write', 'uring_read'],
];

/** Ways whose bytes are in no user buffer that the system call's registers lead to. */
const unreadable = new Set(['sendfile', 'splice', 'uring_send', 'uring_write', 'uring_recv', 'uring_read']);
/** Ways that only make sense for bodies. */
const bodyOnly = [
  ['write', 'trunc'],
  ['write', 'waitall'],
] as const;

function worksOn(family: Family, way: string): boolean {
  if (way === 'zerocopy') return family !== 'unix' && canDo('zerocopy');
  if (way === 'trunc') return family !== 'unix'; // no such meaning there (unix(7))
  return !way.startsWith('uring') || canDo('uring');
}

/** `handover` for all of them; heads and bodies by the same way, and bodies alone. */
export function wayCases(family: Family, handover: string): WayCase[] {
  const cases: WayCase[] = [];
  for (const [send, receive] of pairs) {
    if (!worksOn(family, send) || !worksOn(family, receive)) continue;
    const isSendReadable = !unreadable.has(send);
    const isReceiveReadable = !unreadable.has(receive);
    const hidesReceivedBodies = receive === 'splice';
    const ways = {
      handover,
      sendHead: send,
      sendBody: send === 'byte' ? 'write' : send,
      receiveHead: receive,
      receiveBody: receive === 'byte' ? 'read' : receive,
    };
    cases.push({ name: `${send} and ${receive}`, ways, isSendReadable, isReceiveReadable, hidesReceivedBodies });
    if (!isSendReadable || !isReceiveReadable) {
      const plainHeads = { ...ways, sendHead: plainWays.sendHead, receiveHead: plainWays.receiveHead };
      cases.push({
        name: `${send} and ${receive} for bodies`,
        ways: plainHeads,
        isSendReadable: true,
        isReceiveReadable: true,
        hidesReceivedBodies,
      });
    }
  }
  for (const [send, receive] of bodyOnly) {
    if (!worksOn(family, receive)) continue;
    const ways = { ...plainWays, handover, sendBody: send, receiveBody: receive };
    cases.push({
      name: `${receive} for bodies`,
      ways,
      isSendReadable: true,
      isReceiveReadable: true,
      hidesReceivedBodies: false,
    });
  }
  return cases;
}

export const handovers = ['inline', 'dup', 'fork', 'pass', 'thread', 'process'] as const;
