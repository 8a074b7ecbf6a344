// What a description says, as an object: every key once, in pairs with its value.
import assert from 'node:assert/strict';
import type { AttributeValue, SpanDescription } from '../../../receiver/model/span.ts';

export function attributesOf(description: SpanDescription): Record<string, AttributeValue> {
  const attributes: Record<string, AttributeValue> = {};
  const list = description.attributes;
  assert.equal(list.length % 2, 0, 'keys and values come in pairs');
  for (let i = 0; i < list.length; i += 2) {
    const key = list[i];
    assert.ok(typeof key === 'string' && !(key in attributes), `key ${String(key)} once`);
    attributes[key] = list[i + 1] as AttributeValue;
  }
  return attributes;
}
