// A stand-in for the Collector's component `usm`: an OTLP/gRPC server on a UNIX socket, which says what a test wants it to say.
import { type Metadata, Server, ServerCredentials, type ServerUnaryCall, type status } from '@grpc/grpc-js';
import { rmSync } from 'node:fs';
import { decodeTraceRequest, type DecodedSpan } from './wire.ts';

export interface Call {
  readonly signal: 'traces' | 'metrics';
  readonly metadata: Metadata;
  readonly request: Buffer;
}

/** Why a call is refused, or undefined: it is taken. */
export type Judge = (call: Call) => { readonly code: status; readonly details: string } | undefined;

export interface Component {
  /** All calls, those without a span as well. */
  readonly calls: readonly Call[];
  /** Of calls that were taken. */
  readonly spans: readonly DecodedSpan[];
  /** At once; the socket file stays behind, as after a kill. */
  kill(): void;
}

const services = { traces: 'trace.v1.TraceService', metrics: 'metrics.v1.MetricsService' } as const;

export async function startComponent(socketPath: string, judge: Judge = () => undefined): Promise<Component> {
  const calls: Call[] = [];
  const spans: DecodedSpan[] = [];
  const server = new Server();
  const identity = (bytes: Buffer): Buffer => bytes;
  for (const signal of ['traces', 'metrics'] as const) {
    const definition = {
      path: `/opentelemetry.proto.collector.${services[signal]}/Export`,
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    } as const;
    server.addService(
      { Export: definition },
      {
        Export: (
          { request, metadata }: ServerUnaryCall<Buffer, Buffer>,
          callback: (error: { code: status; details: string } | null, answer?: Buffer) => void,
        ) => {
          const call: Call = { signal, metadata, request };
          calls.push(call);
          const refusal = judge(call);
          if (refusal !== undefined) {
            callback(refusal);
            return;
          }
          if (signal === 'traces') spans.push(...spansOf(request));
          callback(null, Buffer.alloc(0));
        },
      },
    );
  }
  // What a killed one left, as the component does.
  rmSync(socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return { calls, spans, kill: () => server.forceShutdown() };
}

function spansOf(request: Buffer): readonly DecodedSpan[] {
  return decodeTraceRequest(request).flatMap(({ scopes }) => scopes.flatMap(({ spans }) => spans));
}
