// The metrics of remote procedure calls there are, as the semantic conventions define them (https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/).
import type { MetricAttribute, MetricDefinition } from './metric-definition.ts';

export interface RpcMetricDefinition extends MetricDefinition {
  readonly role: 'server' | 'client';
  readonly measures: 'call_duration';
}

const callAttributes: readonly MetricAttribute[] = [
  { name: 'rpc.system.name', level: 'required' },
  { name: 'error.type', level: 'conditionally_required' },
  { name: 'rpc.method', level: 'conditionally_required' },
  { name: 'rpc.status_code', level: 'conditionally_required' },
];

export const rpcMetrics = [
  {
    name: 'rpc.server.call.duration',
    description: 'Measures the duration of an incoming Remote Procedure Call (RPC).',
    unit: 's',
    role: 'server',
    measures: 'call_duration',
    isEnabledByDefault: true,
    attributes: [...callAttributes, { name: 'server.address', level: 'opt_in' }, { name: 'server.port', level: 'opt_in' }],
  },
  {
    name: 'rpc.client.call.duration',
    description: 'Measures the duration of an outgoing Remote Procedure Call (RPC).',
    unit: 's',
    role: 'client',
    measures: 'call_duration',
    isEnabledByDefault: true,
    attributes: [
      ...callAttributes,
      { name: 'server.address', level: 'conditionally_required' },
      { name: 'server.port', level: 'conditionally_required' },
    ],
  },
] as const satisfies readonly RpcMetricDefinition[];

export type RpcMetricName = (typeof rpcMetrics)[number]['name'];
