// What a metric is. From tables of these come the configuration keys under `metrics:`, the instruments, and the tables of docs/telemetry.md.

export type RequirementLevel = 'required' | 'conditionally_required' | 'recommended' | 'opt_in';

export interface MetricAttribute {
  readonly name: string;
  readonly level: RequirementLevel;
}

export interface MetricDefinition {
  readonly name: string;
  readonly description: string;
  /** UCUM. */
  readonly unit: string;
  /** Of the end that is measured. */
  readonly role: 'server' | 'client' | 'either';
  readonly isEnabledByDefault: boolean;
  readonly attributes: readonly MetricAttribute[];
}

/** Attributes that a metric has unless the configuration says otherwise: all but the opt-in ones. */
export function defaultAttributes(metric: MetricDefinition): readonly string[] {
  return metric.attributes.filter(({ level }) => level !== 'opt_in').map(({ name }) => name);
}
