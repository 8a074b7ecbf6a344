// What the first bytes of a connection, and what the kernel knows of its past, tell: who asks, and where its conversation is joined.
import type { ConnectionInfo, Role } from '../model/connection.ts';
import type { ConversationStart, Protocol, Side } from '../model/protocol.ts';
import type { OpenEvent } from '../model/stream-event.ts';

/** The role of this end by the grammar of the first bytes of one direction: the side that speaks requests is the client's. */
export function recogniseRole(
  protocols: readonly Protocol[],
  isSent: boolean,
  bytes: Uint8Array,
): Exclude<Role, 'unknown'> | 'undecided' | 'neither' {
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

/** The client's preface, or the SETTINGS frame that a server begins with (RFC 9113, 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const SETTINGS = 4;
const SETTING_SIZE = 6;
const MAX_SETTINGS_SIZE = 1024;

export function beginsHttp2(side: Side, bytes: Uint8Array): boolean {
  if (side === 'request')
    return bytes.length >= 16 && PREFACE.subarray(0, bytes.length).equals(bytes.subarray(0, PREFACE.length));
  if (bytes.length < 9 || bytes[0] !== 0 || bytes[3] !== SETTINGS || bytes[4] !== 0) return false;
  const size = ((bytes[1] ?? 0) << 8) | (bytes[2] ?? 0);
  return size % SETTING_SIZE === 0 && size <= MAX_SETTINGS_SIZE && bytes.subarray(5, 9).every((byte) => byte === 0);
}

/** Where the conversation is joined. An old connection whose last bytes were the server's, as far as is known, has answered. */
export function startOf(info: ConnectionInfo, lastFlow: OpenEvent['lastFlow']): ConversationStart {
  if (info.isFromStart) return 'beginning';
  const answered = info.role === 'client' ? 'received' : 'sent';
  return info.role !== 'unknown' && lastFlow === answered ? 'boundary' : 'middle';
}
