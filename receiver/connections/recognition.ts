// What the first bytes of a connection, and what the kernel knows of its past, tell: who asks, and where its conversation is joined.
import type { ConnectionInfo, Role } from '../model/connection.ts';
import type { ConversationStart, Protocol, Side, Verdict } from '../model/protocol.ts';
import type { OpenEvent } from '../model/stream-event.ts';

/** 'undecided': more bytes may tell. */
export type RoleVerdict = Exclude<Role, 'unknown'> | 'undecided' | 'neither';

/** Those in which one side may begin with `bytes`, as far as it has spoken. */
export function possibleOf(protocols: readonly Protocol[], side: Side, bytes: Uint8Array): readonly Protocol[] {
  if (bytes.length === 0) return protocols;
  return protocols.filter((protocol) => protocol.recognise(side, bytes, 0, bytes.length) !== 'no');
}

/** The role of this end by the grammar of the first bytes of one direction: the side that speaks requests is the client's. */
export function recogniseRole(protocols: readonly Protocol[], isSent: boolean, bytes: Uint8Array): RoleVerdict {
  let isUndecided = false;
  for (const protocol of protocols) {
    const asRequest = protocol.recognise('request', bytes, 0, bytes.length);
    const asResponse = protocol.recognise('response', bytes, 0, bytes.length);
    if (asRequest !== 'no' && asResponse === 'no') return isSent ? 'client' : 'server';
    if (asResponse !== 'no' && asRequest === 'no') return isSent ? 'server' : 'client';
    if (asRequest === 'more' && asResponse === 'more') isUndecided = true;
  }
  return isUndecided ? 'undecided' : 'neither';
}

/** The same of a connection whose beginning was not seen, by the first bytes of an I/O, which may prove whose they are. */
export function proveRole(
  protocols: readonly Protocol[],
  isSent: boolean,
  bytes: Uint8Array,
): Exclude<Role, 'unknown'> | undefined {
  for (const protocol of protocols) {
    if (protocol.proves?.('request', bytes, 0, bytes.length) === true) return isSent ? 'client' : 'server';
    if (protocol.proves?.('response', bytes, 0, bytes.length) === true) return isSent ? 'server' : 'client';
  }
  return undefined;
}

/**
 * Where the beginning was not seen a body may look like anything: only a request and the answer behind it tell who asks.
 * `asked`, `answered`: what one direction said, and the other after it; nothing so far, if empty. 'yes': they are a request and a response.
 */
export function recogniseTurn(protocols: readonly Protocol[], asked: Uint8Array, answered: Uint8Array): Verdict {
  let verdict: Verdict = 'no';
  for (const protocol of protocols) {
    const asRequest = protocol.recognise('request', asked, 0, asked.length);
    if (asRequest === 'no') continue;
    const asResponse = answered.length === 0 ? 'more' : protocol.recognise('response', answered, 0, answered.length);
    if (asResponse === 'no') continue;
    if (asRequest === 'yes' && asResponse === 'yes') return 'yes';
    verdict = 'more';
  }
  return verdict;
}

/** Where the conversation is joined. An old connection whose last bytes were the server's, as far as is known, has answered. */
export function startOf(info: ConnectionInfo, lastFlow: OpenEvent['lastFlow']): ConversationStart {
  if (info.isFromStart) return 'beginning';
  const answered = info.role === 'client' ? 'received' : 'sent';
  return info.role !== 'unknown' && lastFlow === answered ? 'boundary' : 'middle';
}
