import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange } from '../traffic/truth.ts';
import { compareTruth } from './compare.ts';
import { parseRequests, targetOf, type SpanRecord } from './spans.ts';

const exchange: Exchange = {
  id: 'r-0',
  method: 'GET',
  target: '/echo?id=r-0&status=404',
  status: 404,
  requestBodySize: 0,
  responseBodySize: 5,
  transport: 'tcp',
  server: { pid: 10, service: 'echo-server' },
  client: { pid: 20, service: undefined },
};

function span(kind: 'SERVER' | 'CLIENT', pid: number, changes: Readonly<Record<string, string | number>> = {}): SpanRecord {
  const url =
    kind === 'SERVER'
      ? { 'url.path': '/echo', 'url.query': 'id=r-0&status=404' }
      : { 'url.full': 'http://127.0.0.1:1/echo?id=r-0&status=404' };
  return {
    traceId: 'a'.repeat(32),
    spanId: `${pid}`.padStart(16, '0'),
    parentSpanId: '',
    kind,
    name: 'GET',
    start: 1n,
    end: 2n,
    isError: kind === 'CLIENT',
    flags: 3,
    traceState: '',
    links: [],
    attributes: {
      'http.request.method': 'GET',
      'http.response.status_code': 404,
      'http.response.body.size': 5,
      ...(kind === 'CLIENT' ? { 'error.type': '404' } : {}),
      ...url,
      ...changes,
    },
    resource: { 'process.pid': pid, 'service.name': 'echo-server' },
    scope: 'usm',
  };
}

test('spans that are the truth do not differ from it', () => {
  assert.equal(compareTruth([exchange], [span('SERVER', 10), span('CLIENT', 20)]), undefined);
});

test('spans of processes that the truth does not know are left alone', () => {
  const other = { ...span('SERVER', 99), attributes: { 'url.path': '/other' } };
  assert.equal(compareTruth([exchange], [span('SERVER', 10), other, span('CLIENT', 20)]), undefined);
});

test('a span less, a span more, a span of another process and a wrong fact are told', () => {
  const client = span('CLIENT', 20);
  assert.match(compareTruth([exchange], [client]) ?? '', /1 missing:\n {2}SERVER pid=10 GET \/echo\?id=r-0/);
  assert.match(
    compareTruth([exchange], [client, span('SERVER', 10), { ...span('SERVER', 10), spanId: 'b'.repeat(16) }]) ?? '',
    /1 extra:/,
  );
  assert.match(compareTruth([exchange], [client, span('SERVER', 11)]) ?? '', /1 missing:[^]*1 extra:\n {2}SERVER pid=11/);
  const wrong = compareTruth([exchange], [client, span('SERVER', 10, { 'http.response.body.size': 6 })]) ?? '';
  assert.match(wrong, /1 wrong:[^]*http\.response\.body\.size: expected 5, is 6/);
  assert.match(
    compareTruth([exchange], [client, span('SERVER', 10, { 'error.type': '404' })]) ?? '',
    /error\.type: expected undefined, is 404/,
  );
});

test('a silent process must stay silent', () => {
  assert.match(compareTruth([], [span('SERVER', 10)], { silentPids: [10] }) ?? '', /1 extra/);
});

test('OTLP JSON is read into plain spans', () => {
  const text = JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'process.pid', value: { intValue: '10' } }] },
        scopeSpans: [
          {
            scope: { name: 'usm' },
            spans: [
              {
                traceId: 'a',
                spanId: 'b',
                kind: 3,
                name: 'GET',
                startTimeUnixNano: '1700000000000000001',
                endTimeUnixNano: '1700000000000000002',
                status: { code: 2 },
                attributes: [{ key: 'url.full', value: { stringValue: 'http://[::1]:80/a?b' } }],
              },
            ],
          },
        ],
      },
    ],
  });
  const [parsed] = parseRequests(`${text}\n`);
  assert.ok(parsed);
  assert.equal(parsed.start, 1_700_000_000_000_000_001n);
  assert.deepEqual([parsed.kind, parsed.isError, parsed.resource['process.pid'], targetOf(parsed)], ['CLIENT', true, 10, '/a?b']);
});
