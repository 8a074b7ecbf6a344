// HTTP/2 as a protocol of the registry: what each side begins with, and a conversation per connection. RFC 9113.
import type { Protocol } from '../../model/protocol.ts';
import { Http2Conversation, type Http2Options, type Shared } from './conversation.ts';
import { HeaderList } from './header-list.ts';
import { BlockDecoder } from './hpack.ts';
import { recogniseFirst } from './start.ts';

const DEFAULTS: Http2Options = { maxHeadSize: 32 * 1024, maxStreams: 4096, stepOverThreshold: 4 * 1024 };

export function createHttp2(options: Partial<Http2Options> = {}): Protocol {
  const complete: Http2Options = { ...DEFAULTS, ...options };
  const shared: Shared = { decoder: new BlockDecoder(), list: new HeaderList(complete.maxHeadSize) };
  return {
    name: 'http2',
    hasFrames: true,
    recognise: recogniseFirst,
    open: (connection, start, sink) => new Http2Conversation(connection, start, sink, complete, shared),
  };
}

export const http2: Protocol = createHttp2();
