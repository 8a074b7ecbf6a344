// An independent reading of OTLP protobuf for the tests: written from the .proto files alone, slow and strict, throws at anything odd.

export interface DecodedSpan {
  traceId: string;
  spanId: string;
  traceState: string;
  parentSpanId: string;
  name: string;
  kind: number;
  startUnixNs: bigint;
  endUnixNs: bigint;
  attributes: [string, unknown][];
  links: { traceId: string; spanId: string; flags: number }[];
  statusCode: number;
  flags: number;
}

export interface DecodedResourceSpans {
  resource: [string, unknown][];
  schemaUrl: string;
  scopes: { name: string; version: string; schemaUrl: string; spans: DecodedSpan[] }[];
}

interface Field {
  number: number;
  wire: number;
  number64: bigint;
  bytes: Buffer;
}

export function decodeTraceRequest(bytes: Uint8Array): DecodedResourceSpans[] {
  return messages(Buffer.from(bytes), 1).map((resourceSpans) => ({
    resource: messages(one(resourceSpans, 1), 1).map(keyValue),
    schemaUrl: text(resourceSpans, 3),
    scopes: messages(resourceSpans, 2).map((scopeSpans) => ({
      name: text(one(scopeSpans, 1), 1),
      version: text(one(scopeSpans, 1), 2),
      schemaUrl: text(scopeSpans, 3),
      spans: messages(scopeSpans, 2).map(span),
    })),
  }));
}

function span(bytes: Buffer): DecodedSpan {
  for (const field of fields(bytes)) {
    if (![1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 15, 16].includes(field.number)) throw new Error(`unknown span field ${field.number}`);
  }
  const status = messages(bytes, 15);
  return {
    traceId: one(bytes, 1).toString('hex'),
    spanId: one(bytes, 2).toString('hex'),
    traceState: text(bytes, 3),
    parentSpanId: messages(bytes, 4)[0]?.toString('hex') ?? '',
    name: text(bytes, 5),
    kind: Number(scalar(bytes, 6, 0)),
    startUnixNs: scalar(bytes, 7, 1),
    endUnixNs: scalar(bytes, 8, 1),
    attributes: messages(bytes, 9).map(keyValue),
    links: messages(bytes, 13).map(link),
    statusCode: status[0] === undefined ? 0 : Number(scalar(status[0], 3, 0)),
    flags: Number(scalar(bytes, 16, 5)),
  };
}

function link(bytes: Buffer): DecodedSpan['links'][number] {
  for (const { number } of fields(bytes)) if (![1, 2, 6].includes(number)) throw new Error(`unknown link field ${number}`);
  return {
    traceId: one(bytes, 1).toString('hex'),
    spanId: one(bytes, 2).toString('hex'),
    flags: Number(scalar(bytes, 6, 5)),
  };
}

function keyValue(bytes: Buffer): [string, unknown] {
  return [text(bytes, 1), anyValue(one(bytes, 2))];
}

function anyValue(bytes: Buffer): unknown {
  const all = fields(bytes);
  if (all.length !== 1) throw new Error('an AnyValue has one field');
  const field = all[0] as Field;
  switch (field.number) {
    case 1:
      return strictText(field.bytes);
    case 2:
      return field.number64 === 1n;
    case 3:
      return BigInt.asIntN(64, field.number64);
    case 4:
      return new DataView(new BigUint64Array([field.number64]).buffer).getFloat64(0, true);
    case 5:
      return messages(field.bytes, 1).map(anyValue);
    default:
      throw new Error(`unknown AnyValue field ${field.number}`);
  }
}

/** All length-delimited fields of a number. */
function messages(bytes: Buffer, number: number): Buffer[] {
  return fields(bytes)
    .filter((field) => field.number === number)
    .map((field) => {
      if (field.wire !== 2) throw new Error(`field ${number} is not length-delimited`);
      return field.bytes;
    });
}

function one(bytes: Buffer, number: number): Buffer {
  const found = messages(bytes, number);
  if (found.length !== 1) throw new Error(`${found.length} fields ${number}`);
  return found[0] as Buffer;
}

function scalar(bytes: Buffer, number: number, wire: number): bigint {
  const found = fields(bytes).filter((field) => field.number === number);
  if (found.length !== 1 || found[0]?.wire !== wire) throw new Error(`field ${number} is missing, repeated or of the wrong type`);
  return found[0].number64;
}

function text(bytes: Buffer, number: number): string {
  const found = messages(bytes, number);
  return found[0] === undefined ? '' : strictText(found[0]);
}

function strictText(bytes: Buffer): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

function fields(bytes: Buffer): Field[] {
  const found: Field[] = [];
  let position = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(position++);
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) {
        if (byte === 0 && shift > 0n) throw new Error('a varint is longer than it must be');
        return value;
      }
    }
  };
  while (position < bytes.length) {
    const tag = Number(varint());
    const field: Field = { number: tag >> 3, wire: tag & 7, number64: 0n, bytes: Buffer.alloc(0) };
    if (field.wire === 0) {
      field.number64 = varint();
    } else if (field.wire === 1) {
      field.number64 = bytes.readBigUInt64LE(position);
      position += 8;
    } else if (field.wire === 5) {
      field.number64 = BigInt(bytes.readUInt32LE(position));
      position += 4;
    } else if (field.wire === 2) {
      const length = Number(varint());
      if (position + length > bytes.length) throw new Error('a length goes beyond the end');
      field.bytes = bytes.subarray(position, position + length);
      position += length;
    } else {
      throw new Error(`wire type ${field.wire}`);
    }
    found.push(field);
  }
  return found;
}
