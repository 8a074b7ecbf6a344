// Who a span speaks for. One object per process image, so that exporters can group by identity and cache its encoding.
import type { AttributeValue } from './span.ts';

export interface Resource {
  readonly attributes: ReadonlyMap<string, AttributeValue>;
  readonly serviceName: string;
}
