// The metrics of TCP connections, whatever they carry: how the edges between services fare. There is no convention for them, so the names are
// ours; attributes are those of the conventions (https://opentelemetry.io/docs/specs/semconv/registry/attributes/network/).
import type { MetricAttribute, MetricDefinition } from './metric-definition.ts';
import { ATTR_USM_CONNECTION_ROLE } from './semconv.ts';

export interface ConnectionMetricDefinition extends MetricDefinition {
  readonly role: 'either';
  /** What the kernel's figures of a connection add to it, or what of the present it counts. */
  readonly measures: 'io' | 'retransmits' | 'rtt' | 'resets' | 'failed_connects' | 'connections';
}

/** Seconds: from a loopback to a satellite. */
export const RTT_BOUNDS: readonly number[] = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
];

const edge: readonly MetricAttribute[] = [
  { name: ATTR_USM_CONNECTION_ROLE, level: 'required' },
  { name: 'server.address', level: 'required' },
  { name: 'server.port', level: 'required' },
  { name: 'network.transport', level: 'recommended' },
  { name: 'network.type', level: 'recommended' },
  { name: 'network.peer.address', level: 'opt_in' },
];
const common = { role: 'either', isEnabledByDefault: false } as const;

export const connectionMetrics = [
  {
    ...common,
    name: 'usm.connection.io',
    description: 'Payload of TCP connections that the other end has acknowledged (transmit) or that arrived in order (receive).',
    unit: 'By',
    measures: 'io',
    attributes: [{ name: 'network.io.direction', level: 'required' }, ...edge],
  },
  {
    ...common,
    name: 'usm.connection.retransmits',
    description: 'TCP segments that were sent again, those that open a connection included.',
    unit: '{segment}',
    measures: 'retransmits',
    attributes: edge,
  },
  {
    ...common,
    name: 'usm.connection.rtt',
    description: 'Smoothed round-trip time of TCP connections, measured while they send and at their end.',
    unit: 's',
    measures: 'rtt',
    attributes: edge,
  },
  {
    ...common,
    name: 'usm.connection.resets',
    description: 'TCP connections that ended in a reset, by the end that sent it.',
    unit: '{connection}',
    measures: 'resets',
    attributes: [{ name: 'network.io.direction', level: 'conditionally_required' }, ...edge],
  },
  {
    ...common,
    name: 'usm.connection.failed_connects',
    description: 'Attempts to open a TCP connection that failed.',
    unit: '{attempt}',
    measures: 'failed_connects',
    attributes: [{ name: 'error.type', level: 'required' }, ...edge],
  },
  {
    ...common,
    name: 'usm.connection.count',
    description: 'Number of TCP connections that are open.',
    unit: '{connection}',
    measures: 'connections',
    attributes: edge,
  },
] as const satisfies readonly ConnectionMetricDefinition[];

export type ConnectionMetricName = (typeof connectionMetrics)[number]['name'];
