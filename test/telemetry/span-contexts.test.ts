import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCorrelation } from '../../receiver/attribution/correlation.ts';
import type { Exchange } from '../../receiver/model/exchange.ts';
import type { SpanContext } from '../../receiver/model/trace.ts';
import type { Transaction } from '../../receiver/model/transaction.ts';
import { createSampler } from '../../receiver/telemetry/sampling.ts';
import { createSpanContexts } from '../../receiver/telemetry/span-contexts.ts';
import { callOf, transactionOf } from '../protocols/http/transaction.ts';

interface Options {
  readonly ratio?: number;
  readonly isKnown?: boolean;
}

type WithSpan = Extract<SpanContext, { readonly kind: 'span' }>;

function spanContexts(options: Options = {}): (exchange: Exchange) => WithSpan {
  let next = 1;
  const of = createSpanContexts({
    correlate: createCorrelation('suppress'),
    // The last 14 digits decide: they are those of a small number, so that only a ratio of 1 keeps the trace.
    ids: { traceId: () => String(next++).padStart(32, '0'), spanId: () => String(next++).padStart(16, '0') },
    sampler: createSampler({ ratio: options.ratio, keepErrors: false, keepSlowerThanMs: undefined }),
    isKnown: () => options.isKnown ?? true,
    count: () => undefined,
  });
  return (exchange) => {
    const spanContext = of(exchange);
    assert.equal(spanContext.kind, 'span');
    return spanContext;
  };
}

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

function exchangeOf(role: Transaction['role'], traceparent?: string): Exchange {
  return transactionOf({ role, request: { traceparent } }).exchange;
}

function serverOf(client: Exchange, traceparent?: string): Exchange {
  return { ...exchangeOf('server', traceparent), otherEnd: client };
}

describe('the context of a span', () => {
  test('is decided once', () => {
    const of = spanContexts();
    const exchange = exchangeOf('client');
    assert.equal(of(exchange), of(exchange));
  });

  test('of a server is below the client of the same exchange, whoever ends first', () => {
    const client = exchangeOf('client');
    const of = spanContexts();
    const server = of(serverOf(client));
    const { correlation, context } = of(client);
    assert.equal(correlation.rule, 'client_root');
    assert.equal(server.correlation.rule, 'server_other_end');
    assert.deepEqual(server.correlation.kind === 'child' ? server.correlation.parent : undefined, context);
    assert.equal(server.context.traceId, context.traceId);
    assert.notEqual(server.context.spanId, context.spanId);
  });

  test('of a server whose request names a trace is in that one', () => {
    const of = spanContexts();
    const { correlation } = of(serverOf(exchangeOf('client', TRACEPARENT), TRACEPARENT));
    assert.equal(correlation.rule, 'server_traceparent');
  });

  test('of a gRPC call is found as that of any exchange', () => {
    const request = { traceparent: TRACEPARENT };
    const { correlation, context } = spanContexts()(transactionOf(callOf({ request }, 0)).exchange);
    assert.equal(correlation.rule, 'server_traceparent');
    assert.equal(context.traceId, TRACEPARENT.slice(3, 35));
    const client = transactionOf(callOf({ role: 'client' }, 0)).exchange;
    assert.equal(
      spanContexts()({ ...transactionOf(callOf({}, 0)).exchange, otherEnd: client }).correlation.rule,
      'server_other_end',
    );
  });

  test('of a server is a root when the client at the other end makes no span', () => {
    const { correlation } = spanContexts({ isKnown: false })(serverOf(exchangeOf('client')));
    assert.equal(correlation.rule, 'server_root');
  });

  test('both ends of an exchange are sampled alike', () => {
    for (const [ratio, isSampled] of [
      [1, true],
      [0.5, false],
    ] as const) {
      const client = exchangeOf('client');
      const of = spanContexts({ ratio });
      assert.equal(of(serverOf(client)).isSampled, isSampled);
      assert.equal(of(client).isSampled, isSampled);
    }
  });

  test('of a client that passes a traceparent on is below the request that it serves', () => {
    const of = spanContexts();
    const served = exchangeOf('server', TRACEPARENT);
    const client = exchangeOf('client', TRACEPARENT);
    client.servedBy = served;
    const { correlation, context } = of(client);
    assert.equal(correlation.rule, 'client_passed_on');
    assert.deepEqual(correlation.kind === 'child' ? correlation.parent : undefined, of(served).context);
    assert.equal(context.traceId, TRACEPARENT.slice(3, 35));
  });
});
