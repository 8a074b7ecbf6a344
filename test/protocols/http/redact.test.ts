import assert from 'node:assert/strict';
import { describe as suite, test } from 'node:test';
import { redactQuery } from '../../../receiver/protocols/http/redact.ts';
import { createRandom } from './seeded-random.ts';

const keys = ['sig', 'AWSAccessKeyId', 'X-Amz-Signature'];

suite('redactQuery', () => {
  const rows: readonly [query: string, expected: string][] = [
    ['', ''],
    ['a=1', 'a=1'],
    ['sig=abc', 'sig=REDACTED'],
    ['q=OpenTelemetry&sig=abc', 'q=OpenTelemetry&sig=REDACTED'],
    ['sig=abc&q=1', 'sig=REDACTED&q=1'],
    ['sig=a&sig=b', 'sig=REDACTED&sig=REDACTED'],
    ['sig=', 'sig=REDACTED'],
    ['sig', 'sig'],
    ['sig&sig=x', 'sig&sig=REDACTED'],
    ['sig=a=b', 'sig=REDACTED'],
    ['Sig=abc', 'Sig=abc'],
    ['signature=abc&asig=1', 'signature=abc&asig=1'],
    ['s%69g=abc', 's%69g=REDACTED'],
    ['s%zz=abc', 's%zz=abc'],
    ['&&sig=a&&', '&&sig=REDACTED&&'],
    ['=sig', '=sig'],
    ['x=sig=abc', 'x=sig=abc'],
    ['X-Amz-Signature=1&AWSAccessKeyId=2&x=3', 'X-Amz-Signature=REDACTED&AWSAccessKeyId=REDACTED&x=3'],
  ];
  for (const [query, expected] of rows) {
    test(`${query} becomes ${expected}`, () => {
      assert.equal(redactQuery(query, keys), expected);
    });
  }

  test('an empty list of keys redacts nothing', () => {
    assert.equal(redactQuery('sig=abc', []), 'sig=abc');
  });

  test('a query without a sensitive key is the same object', () => {
    const query = 'a=1&b=2';
    assert.equal(redactQuery(query, keys), query);
  });

  test('as URLSearchParams sees it, the sensitive values change and nothing else', () => {
    const random = createRandom(20_261_121);
    const pieces = [
      'sig',
      'Sig',
      's%69g',
      'a',
      'AWSAccessKeyId',
      '=',
      '=',
      '=',
      '&',
      '&',
      '%',
      '%26',
      '+',
      ';',
      '?',
      'secret',
      '\u00e9',
      '',
    ];
    for (let round = 0; round < 20_000; round++) {
      let query = '';
      for (let n = random.below(12); n > 0; n--) query += random.pick(pieces);
      const redacted = redactQuery(query, keys);
      // It would take a question mark at the start for the one before the query.
      const before = [...new URLSearchParams('&' + query)];
      const after = [...new URLSearchParams('&' + redacted)];
      assert.equal(after.length, before.length, query);
      // URLSearchParams reads "sig" like "sig=": what has no value keeps none.
      const expected = before.map(([key, value], i) => [key, keys.includes(key) && after[i]?.[1] !== '' ? 'REDACTED' : value]);
      assert.deepEqual(after, expected, query);
    }
  });

  test('a million ampersands and a query without any take linear time', () => {
    assert.equal(redactQuery('&'.repeat(1e6) + 'sig=1', keys).length, 1e6 + 'sig=REDACTED'.length);
    assert.equal(redactQuery('x'.repeat(1e6), keys).length, 1e6);
  });
});
