// Spans → runs of one Resource each, by object identity, in the order in which the resources first appear.
import type { Resource } from '../model/resource.ts';
import type { Span } from '../model/span.ts';

export interface ResourceGroup {
  readonly resource: Resource;
  readonly spans: readonly Span[];
}

export function groupByResource(spans: readonly Span[]): readonly ResourceGroup[] {
  const groups: ResourceGroup[] = [];
  const spansOf = new Map<Resource, Span[]>();
  let last: Resource | undefined;
  let lastSpans: Span[] = [];
  for (const span of spans) {
    // Neighbours often share their resource, which saves the look-up.
    if (span.resource !== last) {
      last = span.resource;
      const known = spansOf.get(last);
      lastSpans = known ?? [];
      if (known === undefined) {
        spansOf.set(last, lastSpans);
        groups.push({ resource: last, spans: lastSpans });
      }
    }
    lastSpans.push(span);
  }
  return groups;
}
