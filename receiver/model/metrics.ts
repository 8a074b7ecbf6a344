// All metrics there are, in the order of the documents.
import { type ConnectionMetricName, connectionMetrics } from './connection-metrics.ts';
import { type HttpMetricName, httpMetrics } from './http-metrics.ts';
import { type RpcMetricName, rpcMetrics } from './rpc-metrics.ts';

export const metrics = [...httpMetrics, ...rpcMetrics, ...connectionMetrics] as const;

export type MetricName = HttpMetricName | RpcMetricName | ConnectionMetricName;
