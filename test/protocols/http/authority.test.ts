import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import type { Authority } from '../../../receiver/protocols/http/authority.ts';
import { isIpv4, isIpv6, parseAuthority } from '../../../receiver/protocols/http/authority.ts';
import { createRandom } from './seeded-random.ts';

function parse(text: string): Authority | undefined {
  const authority: Authority = { host: 'untouched', port: -2 };
  if (parseAuthority(text, 0, text.length, authority)) return authority;
  assert.deepEqual(authority, { host: 'untouched', port: -2 });
  return undefined;
}

test('a part of a text is parsed', () => {
  const authority: Authority = { host: '', port: 0 };
  assert.equal(parseAuthority('http://a.example:81/x', 7, 19, authority), true);
  assert.deepEqual(authority, { host: 'a.example', port: 81 });
});

test('what has no host is refused', () => {
  for (const text of [
    '',
    ':80',
    '[]',
    '[]:80',
    '[::1',
    '::1',
    'a b',
    'a/b',
    'a@b',
    'a?b',
    'a:b',
    'a:1:2',
    '[::1]80',
    '[::1]x',
    '[1.2.3.4]',
    'a:99999',
    'a\u0000',
  ]) {
    assert.equal(parse(text), undefined, text);
  }
});

test('where the WHATWG URL parser reads a host and port, both agree', () => {
  const random = createRandom(7);
  const pieces = [
    'a',
    'Z',
    '0',
    '9',
    '.',
    '-',
    '_',
    ':',
    ':',
    '[',
    ']',
    '::',
    '1',
    'example',
    '[::1]',
    '80',
    '443',
    '65535',
    '65536',
    '@',
    '/',
    ' ',
  ];
  let agreed = 0;
  for (let round = 0; round < 50_000; round++) {
    let text = '';
    for (let n = 1 + random.below(6); n > 0; n--) text += random.pick(pieces);
    const ours = parse(text);
    if (ours === undefined) continue;
    // It rewrites numbers as IPv4 ("1" is 0.0.0.1) and refuses some of them; a prefix keeps both at reading names.
    const prefix = text.startsWith('[') ? '' : 'x';
    const suffix = text.startsWith('[') ? '' : '.y';
    const host = prefix + ours.host + suffix;
    const authority = (text.startsWith('[') ? `[${host}]` : host) + (ours.port === -1 ? '' : `:${ours.port}`);
    if (!URL.canParse(`http://${authority}/`)) continue;
    const url = new URL(`http://${authority}/`);
    const theirs = parse(url.host);
    assert.equal(url.hostname.replace(/^\[|\]$/g, '').toLowerCase(), theirs?.host, text);
    if (!text.startsWith('[')) assert.equal(url.hostname, host.toLowerCase(), text);
    assert.equal(url.port === '' ? 80 : Number(url.port), ours.port === -1 ? 80 : ours.port, text);
    agreed++;
  }
  assert.ok(agreed > 5_000, `only ${agreed} were comparable`);
});

test('every authority that a URL serialises to is parsed', () => {
  for (const text of [
    'http://a.example/',
    'http://a.example:8080/',
    'http://[2001:DB8::1]:81/',
    'http://1.2.3.4/',
    'http://b\u00fccher.example/',
    'http://a_b.example/',
  ]) {
    const url = new URL(text);
    assert.deepEqual(parse(url.host), {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? -1 : Number(url.port),
    });
  }
});

test('IP addresses are those that node:net takes for such', () => {
  const random = createRandom(99);
  const pieces = [
    '0',
    '1',
    '9',
    '25',
    '255',
    '256',
    '00',
    'f',
    'ffff',
    '12345',
    'g',
    '.',
    '.',
    '.',
    ':',
    ':',
    ':',
    '::',
    '1.2.3.4',
    '1:2:3:4:5:6:7',
    '',
  ];
  let four = 0;
  let six = 0;
  for (let round = 0; round < 300_000; round++) {
    let text = '';
    for (let n = 1 + random.below(9); n > 0; n--) text += random.pick(pieces);
    assert.equal(isIpv4(text, 0, text.length), isIPv4(text), text);
    assert.equal(isIpv6(text, 0, text.length), isIPv6(text), text);
    if (isIPv4(text)) four++;
    if (isIPv6(text)) six++;
  }
  assert.ok(four > 100 && six > 1_000, `${four} IPv4, ${six} IPv6`);
});
