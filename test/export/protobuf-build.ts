// Small protobuf messages for the answers of test backends.

export function bytesField(number: number, content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes]);
}

export function varintField(number: number, value: number | bigint): Buffer {
  return Buffer.concat([Buffer.from([number << 3]), varint(value)]);
}

function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** ExportTraceServiceResponse with a partial success. */
export function partialSuccess(rejected: number, message: string): Buffer {
  return bytesField(1, Buffer.concat([varintField(1, rejected), bytesField(2, message)]));
}

/** google.rpc.Status, with a RetryInfo when a delay is given. */
export function rpcStatus(code: number, message: string, retryDelayMs?: number): Buffer {
  const status = Buffer.concat([varintField(1, code), bytesField(2, message)]);
  if (retryDelayMs === undefined) return status;
  const duration = Buffer.concat([varintField(1, Math.floor(retryDelayMs / 1000)), varintField(2, (retryDelayMs % 1000) * 1e6)]);
  const any = Buffer.concat([bytesField(1, 'type.googleapis.com/google.rpc.RetryInfo'), bytesField(2, bytesField(1, duration))]);
  return Buffer.concat([status, bytesField(3, any)]);
}
