// HTTP/1.0 and HTTP/1.1 as a protocol of the registry: what one side's first bytes must be, and a conversation per connection.
// RFC 9110 and 9112.
import type { Protocol } from '../../model/protocol.ts';
import { Http1Conversation, type Http1Options, type Shared } from './conversation.ts';
import { Head } from './head.ts';
import { Readers } from './readers.ts';
import { recogniseStart } from './start-line.ts';

const DEFAULTS: Http1Options = { maxHeadSize: 32 * 1024, maxPipelined: 1000, stepOverThreshold: 16 * 1024 };

export function createHttp1(options: Partial<Http1Options> = {}): Protocol {
  const complete: Http1Options = { ...DEFAULTS, ...options };
  const { maxHeadSize } = complete;
  // One head for all requests and one for all responses: what a head says is used before the next one is read.
  const shared: Shared = {
    request: new Readers('request', new Head('request'), maxHeadSize),
    response: new Readers('response', new Head('response'), maxHeadSize),
    lastRequest: undefined,
  };
  return {
    name: 'http1',
    recognise: (side, bytes, from, to) => recogniseStart(side, bytes, from, to, maxHeadSize),
    open: (connection, start, sink) => new Http1Conversation(connection, start, sink, complete, shared),
  };
}

export const http1: Protocol = createHttp1();
