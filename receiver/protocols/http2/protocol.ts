// HTTP/2 as a protocol of the registry: what each side begins with, and a conversation per connection. RFC 9113; `Upgrade: h2c`, which it
// deprecates, by RFC 7540, 3.2.
import type { Protocol, Side } from '../../model/protocol.ts';
import { Http2Conversation, type Http2Options, type Shared } from './conversation.ts';
import { Field } from './fields.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameType } from './frames.ts';
import { HeaderList } from './header-list.ts';
import { HeaderTable } from './header-table.ts';
import { BlockDecoder } from './hpack.ts';
import { beginsWithFrames, recogniseFirst } from './start.ts';

const DEFAULTS: Http2Options = { maxHeadSize: 32 * 1024, maxStreams: 4096, stepOverThreshold: 4 * 1024 };

export function createHttp2(options: Partial<Http2Options> = {}): Protocol {
  const complete: Http2Options = { ...DEFAULTS, ...options };
  const shared: Shared = { decoder: new BlockDecoder(), list: new HeaderList(complete.maxHeadSize) };
  return {
    name: 'http2',
    hasFrames: true,
    recognise: recogniseFirst,
    proves: (side, bytes, from, to) => beginsWithFrames(side, bytes, from, to) && hasHead(side, bytes, from, to, shared),
    open: (connection, start, sink) => new Http2Conversation(connection, start, sink, complete, shared),
    upgrade: {
      token: 'h2c',
      open: (connection, handover, sink) => {
        const conversation = new Http2Conversation(connection, 'beginning', sink, complete, shared);
        conversation.takeOver(handover);
        return conversation;
      },
    },
  };
}

/** Is there a header block among the frames that is the head of a request, or of a response? */
function hasHead(side: Side, bytes: Uint8Array, from: number, to: number, { decoder, list }: Shared): boolean {
  const reader = new FrameReader(side);
  reader.lose();
  reader.arrive(0, to - from, false, 0, 0, undefined);
  reader.resume(0, true);
  // What was inserted before is not known.
  const table = new HeaderTable();
  table.forget();
  for (let at = from; ; at = reader.at) {
    const event = reader.read(bytes, at, to);
    if (event === 'more' || event === 'malformed' || event === 'strange') return false;
    if (event !== 'block' || reader.type !== FrameType.headers) continue;
    if (!decoder.decode(reader.source, reader.sourceFrom, reader.sourceTo, table, list) || list.isMalformed) return false;
    const hasMethod = /^[A-Z]+$/.test(list.get(Field.method) ?? '');
    const hasStatus = /^[1-5]\d\d$/.test(list.get(Field.status) ?? '');
    if (side === 'request' ? hasMethod && !hasStatus : hasStatus && !list.has(Field.method)) return true;
  }
}

export const http2: Protocol = createHttp2();
