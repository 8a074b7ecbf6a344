// Hot path. What the spans of all exchanges say alike: how they reached the other end, and how long a value may be.
import {
  ATTR_NETWORK_PEER_ADDRESS,
  ATTR_NETWORK_PEER_PORT,
  ATTR_NETWORK_PROTOCOL_VERSION,
  ATTR_NETWORK_TRANSPORT,
  ATTR_USER_AGENT_ORIGINAL,
  NETWORK_TRANSPORT_VALUE_UNIX,
} from '@opentelemetry/semantic-conventions';
import { ATTR_HTTP_REQUEST_BODY_SIZE, ATTR_HTTP_RESPONSE_BODY_SIZE } from '../../model/semconv.ts';
import type { SpanDescription } from '../../model/span.ts';
import type { Transaction } from '../../model/transaction.ts';

/** UTF-16 units of one attribute value; what is longer is cut. */
const MAX_VALUE_LENGTH = 16_384;

/** Open: whoever describes appends to it. */
export type Attributes = SpanDescription['attributes'];

export function addNetwork({ connection, request }: Transaction, to: Attributes): void {
  const { peer } = connection;
  if (peer.address !== '') {
    to.push(ATTR_NETWORK_PEER_ADDRESS, peer.address);
    if (peer.port !== 0) to.push(ATTR_NETWORK_PEER_PORT, peer.port);
  }
  to.push(ATTR_NETWORK_PROTOCOL_VERSION, request.version);
  if (connection.transport === 'unix') to.push(ATTR_NETWORK_TRANSPORT, NETWORK_TRANSPORT_VALUE_UNIX);
  if (request.userAgent !== undefined && request.userAgent !== '') to.push(ATTR_USER_AGENT_ORIGINAL, bound(request.userAgent));
}

export function addBodySizes({ request, response }: Transaction, to: Attributes): void {
  if (request.bodySize !== undefined) to.push(ATTR_HTTP_REQUEST_BODY_SIZE, request.bodySize);
  if (response?.bodySize !== undefined) to.push(ATTR_HTTP_RESPONSE_BODY_SIZE, response.bodySize);
}

export function bound(text: string): string {
  if (text.length <= MAX_VALUE_LENGTH) return text;
  const last = text.charCodeAt(MAX_VALUE_LENGTH - 1);
  // Half of a surrogate pair is no character.
  return text.substring(0, last >= 0xd800 && last <= 0xdbff ? MAX_VALUE_LENGTH - 1 : MAX_VALUE_LENGTH);
}
