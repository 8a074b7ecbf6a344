import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  decodeText,
  equalsIgnoringCase,
  equalsText,
  hasListItem,
  hexValue,
  isTokenByte,
  parseDecimal,
  skipBlanks,
  trimBlanks,
} from '../../receiver/bytes/ascii.ts';

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');

describe('ascii', () => {
  test('token bytes are those of RFC 9110', () => {
    const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/;
    for (let byte = 0; byte < 256; byte++) assert.equal(isTokenByte(byte), token.test(String.fromCharCode(byte)), String(byte));
  });

  test('hexadecimal digits have their value, other bytes none', () => {
    for (let byte = 0; byte < 256; byte++) {
      const value = Number.parseInt(String.fromCharCode(byte), 16);
      assert.equal(hexValue(byte), Number.isNaN(value) ? -1 : value, String(byte));
    }
  });

  test('names are equal in any case', () => {
    assert.equal(equalsIgnoringCase(bytesOf('xUser-AGENT'), 1, 11, 'user-agent'), true);
    assert.equal(equalsIgnoringCase(bytesOf('user_agent'), 0, 10, 'user-agent'), false);
    assert.equal(equalsIgnoringCase(bytesOf('user-agen'), 0, 9, 'user-agent'), false);
  });

  test('text is equal byte by byte, and above ASCII never', () => {
    assert.equal(equalsText(bytesOf('abc'), 0, 3, 'abc'), true);
    assert.equal(equalsText(bytesOf('abC'), 0, 3, 'abc'), false);
    assert.equal(equalsText(bytesOf('\xe9'), 0, 1, '\xe9'), false);
  });

  test('decimal numbers are digits up to 2^53 - 1, and nothing else', () => {
    const parse = (text: string): number => parseDecimal(bytesOf(text), 0, text.length);
    assert.equal(parse('0'), 0);
    assert.equal(parse('00012'), 12);
    assert.equal(parse('9007199254740991'), 9007199254740991);
    for (const text of ['', '-1', '+1', '1 ', ' 1', '0x1', '1.0', '9007199254740992', '1'.repeat(400)])
      assert.equal(parse(text), -1, text);
  });

  test('blanks are skipped and trimmed', () => {
    const bytes = bytesOf(' \ta b\t ');
    assert.equal(skipBlanks(bytes, 0, 7), 2);
    assert.equal(trimBlanks(bytes, 2, 7), 5);
    assert.equal(skipBlanks(bytesOf('  '), 0, 2), 2);
    assert.equal(trimBlanks(bytesOf('  '), 0, 2), 0);
  });

  test('text is decoded from any view as UTF-8', () => {
    const bytes = new Uint8Array(Buffer.from('..caf\u00e9..')).subarray(1);
    assert.equal(decodeText(bytes, 1, 6), 'caf\u00e9');
    assert.equal(decodeText(Uint8Array.of(0x61, 0xff), 0, 2), 'a\ufffd');
  });

  test('an item is found in a list, in any case and between blanks, and only as a whole', () => {
    const has = (list: string): boolean => hasListItem(bytesOf(list), 0, list.length, 'upgrade');
    for (const list of ['upgrade', ' Upgrade ', 'keep-alive, UPGRADE', 'a,,upgrade,b', 'upgrade,'])
      assert.equal(has(list), true, list);
    for (const list of ['', ',', 'upgrades', 'up grade', 'x-upgrade', 'keep-alive']) assert.equal(has(list), false, list);
  });
});
