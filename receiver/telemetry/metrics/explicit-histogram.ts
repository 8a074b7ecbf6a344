// Values → counts in buckets with fixed bounds (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#histogram). Hot path.
import type { HistogramPoint } from '../../model/metric.ts';
import type { AttributeList } from '../../model/span.ts';
import { DistributionSeries, type MakeReservoir } from './series.ts';

export class ExplicitHistogram extends DistributionSeries implements HistogramPoint {
  readonly bounds: readonly number[];
  readonly counts: number[];

  constructor(attributes: AttributeList, startUnixNs: bigint, bounds: readonly number[], makeReservoir: MakeReservoir) {
    super(attributes, startUnixNs, makeReservoir);
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  protected override place(value: number): number {
    const { bounds } = this;
    let bucket = 0;
    // Most values are in the first buckets.
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    return bucket;
  }

  protected override clear(): void {
    this.counts.fill(0);
  }
}
