// CPU per transaction from Transaction to Span: description by the conventions, resource, ids, correlation.
//   node test/bench/spans.bench.ts [transactions per round]
import { randomFillSync } from 'node:crypto';
import { createCorrelation } from '../../receiver/attribution/correlation.ts';
import { createResources } from '../../receiver/attribution/resources.ts';
import type { HttpRequest, Transaction } from '../../receiver/model/transaction.ts';
import { createHttpDescriber } from '../../receiver/protocols/http/describe.ts';
import { createRandomIds } from '../../receiver/telemetry/random-ids.ts';
import { createSampler } from '../../receiver/telemetry/sampling.ts';
import { createSpanContexts } from '../../receiver/telemetry/span-contexts.ts';
import { createSpanBuilder } from '../../receiver/telemetry/spans.ts';
import { imageOf } from '../attribution/image.ts';
import { callOf, transactionOf, type Variation } from '../protocols/http/transaction.ts';

const ROUNDS = 7;
/** Different transactions, so that no string is the one just seen. */
const DISTINCT = 1_024;
const count = Number(process.argv[2] ?? 500_000);

const describe = createHttpDescriber({
  knownMethods: ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'QUERY', 'TRACE'],
  redactedQueryKeys: [
    'X-Amz-Signature',
    'X-Amz-Credential',
    'X-Amz-Security-Token',
    'AWSAccessKeyId',
    'Signature',
    'sig',
    'X-Goog-Signature',
  ],
});
const resources = createResources({
  host: { id: '5e1f0c2b7a9d4e3f8b6c0d1e2f3a4b5c', name: 'bench', arch: 'amd64' },
  version: '0.0.0',
  maxProcesses: 1_024,
});
const sampler = createSampler({ ratio: undefined, keepErrors: false, keepSlowerThanMs: undefined });
const spanContextOf = createSpanContexts({
  correlate: createCorrelation('keep'),
  ids: createRandomIds((bytes) => randomFillSync(bytes)),
  sampler,
  isKnown: () => true,
  count: () => undefined,
});
const spans = createSpanBuilder({ describe, resourceOf: resources.resourceOf, sampler });

/** A string like those of the parser: made from bytes, not a constant of the program. */
const fresh = (text: string): string => Buffer.from(text).toString();

function make(role: Transaction['role'], i: number, extra: Partial<HttpRequest>, isCall: boolean): Transaction {
  const variation: Variation = {
    role,
    request: {
      target: fresh(`/api/v1/carts/${i}/items?page=${i % 10}&size=20`),
      host: fresh('cart.shop.svc.cluster.local:8080'),
      userAgent: fresh('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'),
      bodySize: i,
      ...extra,
    },
  };
  return transactionOf(isCall ? callOf(variation, i % 50 === 0 ? 14 : 0) : variation);
}

const call = (i: number): Partial<HttpRequest> => ({
  target: fresh(`/shop.cart.v1.CartService/Method${i % 20}`),
  userAgent: fresh('grpc-go/1.80.0'),
});

const trace = '0af7651916cd43dd8448eb211c80319c';
const cases: readonly [name: string, role: Transaction['role'], (i: number) => Partial<HttpRequest>, isCall?: boolean][] = [
  ['server', 'server', () => ({})],
  ['server, traceparent', 'server', (i) => ({ traceparent: fresh(`00-${trace}-${String(i + 1).padStart(16, '0')}-01`) })],
  ['server, behind a proxy', 'server', () => ({ xForwardedFor: fresh('192.0.2.7, 10.0.0.9'), xForwardedProto: fresh('https') })],
  ['client', 'client', () => ({})],
  ['gRPC server', 'server', call, true],
  ['gRPC client', 'client', call, true],
];

const images = Array.from({ length: 4 }, (_, i) => imageOf({ pid: i + 1 }));

function microseconds(run: () => number): { readonly best: number; readonly median: number } {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.cpuUsage();
    const total = run();
    const used = process.cpuUsage(start);
    times.push((used.user + used.system) / total);
  }
  times.sort((a, b) => a - b);
  return { best: times[0] ?? 0, median: times[ROUNDS >> 1] ?? 0 };
}

for (const [name, role, extra, isCall = false] of cases) {
  const transactions = Array.from({ length: DISTINCT }, (_, i) => make(role, i, extra(i), isCall));
  let sink = 0;
  const described = microseconds(() => {
    for (let i = 0; i < count; i++) sink += describe(transactions[i % DISTINCT] as Transaction).attributes.length;
    return count;
  });
  const built = microseconds(() => {
    for (let i = 0; i < count; i++) {
      const transaction = transactions[i % DISTINCT] as Transaction;
      transaction.exchange.spanContext = undefined;
      const result = spans.build(transaction, images[(i >> 6) & 3], spanContextOf(transaction.exchange));
      if (result.kind === 'span') sink += result.span.attributes.length;
    }
    return count;
  });
  const text = ({ best, median }: { best: number; median: number }): string =>
    `${median.toFixed(3)} µs (best ${best.toFixed(3)})`;
  console.log(`${name.padEnd(24)} describe ${text(described)}   span ${text(built)}`);
  if (sink === 0) throw new Error('nothing was built');
}
