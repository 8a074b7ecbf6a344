import assert from 'node:assert/strict';
import { describe as suite, test } from 'node:test';
import type { AttributeValue } from '../../../receiver/model/span.ts';
import { SpanKind } from '../../../receiver/model/span.ts';
import { createHttpDescriber } from '../../../receiver/protocols/http/describe.ts';
import { attributesOf } from './attributes.ts';
import type { Variation } from './transaction.ts';
import { transactionOf } from './transaction.ts';

const describeHttp = createHttpDescriber({
  knownMethods: ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'QUERY', 'TRACE'],
  redactedQueryKeys: ['sig', 'X-Amz-Signature'],
});

type Attributes = Readonly<Record<string, AttributeValue | undefined>>;

/** `undefined` expects the attribute to be absent; attributes not named are not looked at. */
function expectAttributes(variation: Variation, expected: Attributes): void {
  const attributes = attributesOf(describeHttp(transactionOf(variation)));
  for (const [key, value] of Object.entries(expected)) assert.equal(attributes[key], value, key);
}

test('a server span has exactly the attributes of the conventions', () => {
  const description = describeHttp(
    transactionOf({ request: { target: '/cart?id=7', userAgent: 'curl/8', method: 'POST', bodySize: 5 }, status: 201 }),
  );
  assert.equal(description.name, 'POST');
  assert.equal(description.kind, SpanKind.server);
  assert.equal(description.isError, false);
  assert.deepEqual(attributesOf(description), {
    'http.request.method': 'POST',
    'url.scheme': 'http',
    'url.path': '/cart',
    'url.query': 'id=7',
    'server.address': 'shop.example',
    'server.port': 80,
    'client.address': '10.0.0.2',
    'network.peer.address': '10.0.0.2',
    'network.peer.port': 50_000,
    'network.protocol.version': '1.1',
    'user_agent.original': 'curl/8',
    'http.request.body.size': 5,
    'http.response.status_code': 201,
    'http.response.body.size': 12,
  });
});

test('a client span has exactly the attributes of the conventions', () => {
  const description = describeHttp(
    transactionOf({
      role: 'client',
      request: { target: '/cart?id=7', userAgent: 'curl/8', host: 'shop.example:8080' },
      status: 404,
    }),
  );
  assert.equal(description.name, 'GET');
  assert.equal(description.kind, SpanKind.client);
  assert.equal(description.isError, true);
  assert.deepEqual(attributesOf(description), {
    'http.request.method': 'GET',
    'url.scheme': 'http',
    'url.full': 'http://shop.example:8080/cart?id=7',
    'server.address': 'shop.example',
    'server.port': 8080,
    'network.peer.address': '10.0.0.1',
    'network.peer.port': 8080,
    'network.protocol.version': '1.1',
    'user_agent.original': 'curl/8',
    'http.request.body.size': 0,
    'http.response.status_code': 404,
    'http.response.body.size': 12,
    'error.type': '404',
  });
});

suite('methods', () => {
  const rows: readonly [method: string, name: string, value: string, original: string | undefined][] = [
    ['GET', 'GET', 'GET', undefined],
    ['QUERY', 'QUERY', 'QUERY', undefined],
    ['get', 'HTTP', '_OTHER', 'get'],
    ['Get', 'HTTP', '_OTHER', 'Get'],
    ['PURGE', 'HTTP', '_OTHER', 'PURGE'],
    ['_OTHER', 'HTTP', '_OTHER', '_OTHER'],
  ];
  for (const [method, name, value, original] of rows) {
    test(`${method} is ${value} in a span called ${name}`, () => {
      assert.equal(describeHttp(transactionOf({ request: { method } })).name, name);
      expectAttributes({ request: { method } }, { 'http.request.method': value, 'http.request.method_original': original });
    });
  }
});

suite('status and error.type', () => {
  const reset = 'connection_reset';
  const rows: readonly [Variation, isError: boolean, errorType: string | undefined][] = [
    [{ role: 'server', status: 101 }, false, undefined],
    [{ role: 'client', status: 101 }, false, undefined],
    [{ role: 'server', status: 304 }, false, undefined],
    [{ role: 'client', status: 399 }, false, undefined],
    [{ role: 'server', status: 400 }, false, undefined],
    [{ role: 'client', status: 400 }, true, '400'],
    [{ role: 'server', status: 499 }, false, undefined],
    [{ role: 'server', status: 500 }, true, '500'],
    [{ role: 'client', status: 503 }, true, '503'],
    [{ role: 'server', status: 0, abort: reset }, true, reset],
    [{ role: 'client', status: 0, abort: 'connection_closed' }, true, 'connection_closed'],
    [{ role: 'client', status: 0, abort: 'process_exited' }, true, 'process_exited'],
    [{ role: 'server', status: 200, abort: reset }, true, reset],
    [{ role: 'client', status: 200, abort: reset }, true, reset],
    [{ role: 'server', status: 404, abort: reset }, false, undefined],
    [{ role: 'client', status: 404, abort: reset }, true, '404'],
    [{ role: 'server', status: 502, abort: reset }, true, '502'],
  ];
  for (const [variation, isError, errorType] of rows) {
    const { role, status, abort } = variation;
    test(`${role ?? ''} ${status === 0 ? 'without a response' : String(status)}${abort === undefined ? '' : `, ${abort}`}`, () => {
      assert.equal(describeHttp(transactionOf(variation)).isError, isError);
      expectAttributes(variation, { 'error.type': errorType, 'http.response.status_code': status === 0 ? undefined : status });
    });
  }
});

suite('request targets', () => {
  const rows: readonly [title: string, Variation, Attributes][] = [
    ['a path', { request: { target: '/a/b' } }, { 'url.path': '/a/b', 'url.query': undefined }],
    ['an empty query', { request: { target: '/a?' } }, { 'url.path': '/a', 'url.query': undefined }],
    ['a question mark in the query', { request: { target: '/a?b?c' } }, { 'url.path': '/a', 'url.query': 'b?c' }],
    ['a fragment, which is dropped', { request: { target: '/a?b=1#token=2' } }, { 'url.path': '/a', 'url.query': 'b=1' }],
    ['a fragment before a question mark', { request: { target: '/a#b?c' } }, { 'url.path': '/a', 'url.query': undefined }],
    [
      'two slashes at the start',
      { request: { target: '//other.example/x' } },
      { 'url.path': '//other.example/x', 'server.address': 'shop.example' },
    ],
    [
      'a URL in the query',
      { request: { target: '/go?to=http://x.example/' } },
      { 'url.path': '/go', 'url.query': 'to=http://x.example/' },
    ],
    [
      'absolute-form on a server',
      { request: { target: 'HTTPS://Origin.example:444/x?y=1', host: 'ignored.example' } },
      { 'url.scheme': 'https', 'url.path': '/x', 'url.query': 'y=1', 'server.address': 'Origin.example', 'server.port': 444 },
    ],
    [
      'absolute-form on a client',
      { role: 'client', request: { target: 'http://origin.example/x?y=1', host: 'ignored.example' } },
      { 'url.full': 'http://origin.example/x?y=1', 'server.address': 'origin.example', 'server.port': 80, 'url.path': undefined },
    ],
    ['absolute-form without a path', { request: { target: 'http://origin.example' } }, { 'url.path': '/' }],
    [
      'absolute-form without a path but with a query',
      { role: 'client', request: { target: 'http://origin.example?a=1' } },
      { 'url.full': 'http://origin.example/?a=1' },
    ],
    [
      'absolute-form without a path and OPTIONS',
      { request: { method: 'OPTIONS', target: 'http://origin.example' } },
      { 'url.path': '*' },
    ],
    [
      'absolute-form of a scheme without a known port',
      { request: { target: 'gopher://h.example/1' } },
      { 'url.scheme': 'gopher', 'server.port': undefined },
    ],
    [
      'absolute-form with an invalid authority',
      { request: { target: 'http://:80/x' } },
      { 'url.path': '/x', 'server.address': 'shop.example' },
    ],
    [
      'asterisk-form on a server',
      { request: { method: 'OPTIONS', target: '*' } },
      { 'url.path': '*', 'url.query': undefined, 'url.full': undefined },
    ],
    [
      'asterisk-form on a client',
      { role: 'client', request: { method: 'OPTIONS', target: '*' } },
      { 'url.path': '*', 'url.full': 'http://shop.example' },
    ],
    ['something that is no target', { request: { target: 'index.html' } }, { 'url.path': 'index.html' }],
    [
      'something that is no target cannot pose as a host',
      { role: 'client', request: { target: '.evil.example/x' } },
      { 'url.full': 'http://shop.example/.evil.example/x' },
    ],
    ['an empty target', { request: { target: '' } }, { 'url.path': '/' }],
    [
      'CONNECT',
      { request: { method: 'CONNECT', target: 'db.example:5432', host: 'proxy.example' } },
      { 'server.address': 'db.example', 'server.port': 5432 },
    ],
    [
      'CONNECT to IPv6',
      { request: { method: 'CONNECT', target: '[2001:db8::1]:443' } },
      { 'server.address': '2001:db8::1', 'server.port': 443 },
    ],
    [
      'CONNECT to something that is no authority',
      { request: { method: 'CONNECT', target: 'a b' } },
      { 'server.address': 'shop.example' },
    ],
  ];
  for (const [title, variation, expected] of rows) {
    test(title, () => {
      expectAttributes(variation, expected);
    });
  }

  for (const role of ['server', 'client'] as const) {
    test(`CONNECT has no url.* on a ${role}`, () => {
      const attributes = attributesOf(
        describeHttp(transactionOf({ role, request: { method: 'CONNECT', target: 'db.example:443' } })),
      );
      assert.deepEqual(
        Object.keys(attributes).filter((key) => key.startsWith('url.')),
        [],
      );
    });
  }
});

suite('server.address and server.port', () => {
  const ipv6 = { local: { address: '2001:db8::1', port: 8080 }, peer: { address: '2001:db8::2', port: 50_000 } };
  const unix = {
    transport: 'unix',
    ipVersion: undefined,
    local: { address: '/run/app.sock', port: 0 },
    peer: { address: '', port: 0 },
  } as const;
  const unixClient = { ...unix, local: unix.peer, peer: unix.local };
  const rows: readonly [title: string, Variation, address: string | undefined, port: number | undefined][] = [
    ['come from Host', { request: { host: 'shop.example:81' } }, 'shop.example', 81],
    ['have the port of the scheme', { secure: true }, 'shop.example', 443],
    ['have the port of the scheme that the proxy was asked with', { request: { xForwardedProto: 'https' } }, 'shop.example', 443],
    ['have no brackets', { request: { host: '[::1]:8080' } }, '::1', 8080],
    ['keep a zone', { request: { host: '[fe80::1%25eth0]' } }, 'fe80::1%25eth0', 80],
    ['come from the socket without a Host', { request: { host: undefined } }, '10.0.0.1', 8080],
    ['come from the socket with an empty Host', { request: { host: '' } }, '10.0.0.1', 8080],
    ['come from the socket with two Hosts in one', { request: { host: 'a.example, b.example' } }, '10.0.0.1', 8080],
    ['come from the socket with a path as Host', { request: { host: 'a.example/x' } }, '10.0.0.1', 8080],
    ['come from the socket with credentials in Host', { request: { host: 'me:secret@a.example' } }, '10.0.0.1', 8080],
    ['come from the socket with a port that is none', { request: { host: 'a.example:65536' } }, '10.0.0.1', 8080],
    ['come from the socket with IPv6 outside of brackets', { request: { host: '2001:db8::1' } }, '10.0.0.1', 8080],
    ['treat an empty port as none', { request: { host: 'a.example:' } }, 'a.example', 80],
    ['come from an IPv6 socket', { request: { host: undefined }, connection: ipv6 }, '2001:db8::1', 8080],
    ['come from the peer on a client', { role: 'client', request: { host: undefined } }, '10.0.0.1', 8080],
    ['are the path of a UNIX socket', { request: { host: undefined }, connection: unix }, '/run/app.sock', undefined],
    [
      'are absent for an unnamed UNIX socket',
      { role: 'client', request: { host: undefined }, connection: unix },
      undefined,
      undefined,
    ],
    [
      'come from Host on a UNIX socket',
      { role: 'client', request: { host: 'localhost' }, connection: unixClient },
      'localhost',
      80,
    ],
  ];
  for (const [title, variation, address, port] of rows) {
    test(title, () => {
      expectAttributes(variation, { 'server.address': address, 'server.port': port });
    });
  }

  test('a UNIX socket is named as transport, and an unnamed peer is left out', () => {
    expectAttributes(
      { connection: unix },
      {
        'network.transport': 'unix',
        'network.peer.address': undefined,
        'network.peer.port': undefined,
        'client.address': undefined,
      },
    );
    expectAttributes({}, { 'network.transport': undefined });
  });

  test('a client of a UNIX socket without Host has a path instead of an absolute URL', () => {
    expectAttributes(
      { role: 'client', request: { host: undefined, target: '/a?b=1' }, connection: unixClient },
      {
        'url.full': undefined,
        'url.path': '/a',
        'url.query': 'b=1',
        'server.address': '/run/app.sock',
        'network.peer.address': '/run/app.sock',
      },
    );
  });
});

suite('url.full', () => {
  const rows: readonly [Variation, string][] = [
    [{ request: { host: undefined, target: '/x' } }, 'http://10.0.0.1:8080/x'],
    [
      { request: { host: undefined, target: '/x' }, connection: { peer: { address: '10.0.0.1', port: 80 } } },
      'http://10.0.0.1/x',
    ],
    [
      { request: { host: undefined, target: '/x' }, connection: { peer: { address: '2001:db8::1', port: 443 } }, secure: true },
      'https://[2001:db8::1]/x',
    ],
    [{ request: { target: '/x', xForwardedProto: 'https' } }, 'http://shop.example/x'],
    [{ request: { target: '/x?a=1&sig=abc' }, secure: true }, 'https://shop.example/x?a=1&sig=REDACTED'],
    [{ request: { target: 'http://me:secret@h.example/x' } }, 'http://REDACTED:REDACTED@h.example/x'],
    [{ request: { target: 'http://me@h.example:81/x' } }, 'http://REDACTED@h.example:81/x'],
    [{ request: { target: 'http://a@b:c@h.example/x' } }, 'http://REDACTED:REDACTED@h.example/x'],
    [{ request: { target: 'http://:secret@h.example/' } }, 'http://REDACTED:REDACTED@h.example/'],
    [{ request: { target: 'http://h.example\\me:secret@other.example/' } }, 'http://h.example/\\me:secret@other.example/'],
    [{ request: { target: 'http://h.example/x?mail=a@b.example' } }, 'http://h.example/x?mail=a@b.example'],
  ];
  for (const [variation, url] of rows) {
    test(`${variation.request?.target ?? ''} is ${url}`, () => {
      expectAttributes({ role: 'client', ...variation }, { 'url.full': url });
    });
  }
});

suite('forwarded fields', () => {
  const rows: readonly [title: string, Variation['request'], client: string, scheme: string][] = [
    ['nothing', {}, '10.0.0.2', 'http'],
    ['X-Forwarded-For: the first address', { xForwardedFor: ' 192.0.2.1 , 198.51.100.1' }, '192.0.2.1', 'http'],
    ['X-Forwarded-For with a port', { xForwardedFor: '192.0.2.1:4711' }, '192.0.2.1', 'http'],
    ['X-Forwarded-For with IPv6', { xForwardedFor: '2001:db8::5, 10.1.1.1' }, '2001:db8::5', 'http'],
    ['X-Forwarded-For with IPv6 and port', { xForwardedFor: '[2001:db8::5]:80' }, '2001:db8::5', 'http'],
    ['X-Forwarded-For with a mapped address', { xForwardedFor: '::ffff:192.0.2.1' }, '192.0.2.1', 'http'],
    ['X-Forwarded-For that is no address', { xForwardedFor: '<script>' }, '10.0.0.2', 'http'],
    ['X-Forwarded-For unknown', { xForwardedFor: 'unknown, 192.0.2.1' }, '10.0.0.2', 'http'],
    ['X-Forwarded-For out of range', { xForwardedFor: '192.0.2.256' }, '10.0.0.2', 'http'],
    ['X-Forwarded-Proto', { xForwardedProto: 'HTTPS' }, '10.0.0.2', 'https'],
    ['X-Forwarded-Proto as a list', { xForwardedProto: 'https, http' }, '10.0.0.2', 'https'],
    ['X-Forwarded-Proto that is no scheme of HTTP', { xForwardedProto: 'gopher' }, '10.0.0.2', 'http'],
    ['Forwarded', { forwarded: 'for=192.0.2.60;proto=https;by=203.0.113.43, for=1.1.1.1' }, '192.0.2.60', 'https'],
    [
      'Forwarded with odd case, blanks and order',
      { forwarded: ' By=x ; Proto="https" ;FOR="192.0.2.60:80"' },
      '192.0.2.60',
      'https',
    ],
    ['Forwarded with quoted IPv6', { forwarded: 'For="[2001:db8:cafe::17]:4711"' }, '2001:db8:cafe::17', 'http'],
    ['Forwarded with an escape', { forwarded: 'for="\\192.0.2.60"' }, '192.0.2.60', 'http'],
    ['Forwarded: only its first element', { forwarded: 'by=x, for=192.0.2.60;proto=https' }, '10.0.0.2', 'http'],
    ['Forwarded with separators in quotes', { forwarded: 'by="a,b;for=9.9.9.9";for=192.0.2.60' }, '192.0.2.60', 'http'],
    ['Forwarded with an obfuscated name', { forwarded: 'for=_hidden' }, '10.0.0.2', 'http'],
    [
      'Forwarded goes before X-Forwarded',
      { forwarded: 'for=192.0.2.60', xForwardedFor: '192.0.2.1', xForwardedProto: 'https' },
      '192.0.2.60',
      'https',
    ],
    ['Forwarded that never ends', { forwarded: 'for="192.0.2.60' }, '192.0.2.60', 'http'],
  ];
  for (const [title, request = {}, client, scheme] of rows) {
    test(title, () => {
      expectAttributes({ request }, { 'client.address': client, 'url.scheme': scheme });
      expectAttributes({ role: 'client', request }, { 'client.address': undefined, 'url.scheme': 'http' });
    });
  }
});

test('a URL with its own scheme does not ask the proxy', () => {
  expectAttributes(
    { request: { target: 'http://h.example/', xForwardedProto: 'https' } },
    { 'url.scheme': 'http', 'server.port': 80 },
  );
});

suite('HTTP/2', () => {
  const errors = [
    'NO_ERROR',
    'PROTOCOL_ERROR',
    'INTERNAL_ERROR',
    'FLOW_CONTROL_ERROR',
    'SETTINGS_TIMEOUT',
    'STREAM_CLOSED',
    'FRAME_SIZE_ERROR',
    'REFUSED_STREAM',
    'CANCEL',
    'COMPRESSION_ERROR',
    'CONNECT_ERROR',
    'ENHANCE_YOUR_CALM',
    'INADEQUATE_SECURITY',
    'HTTP_1_1_REQUIRED',
  ];

  test('is version 2', () => {
    expectAttributes({ request: { version: '2', scheme: 'http' } }, { 'network.protocol.version': '2' });
  });

  for (const role of ['server', 'client'] as const) {
    test(`the reset of a stream is an error of a ${role}, by its name`, () => {
      for (const reset of errors) {
        assert.equal(describeHttp(transactionOf({ role, status: 0, reset })).isError, true);
        expectAttributes({ role, status: 0, reset }, { 'error.type': reset, 'http.response.status_code': undefined });
        expectAttributes({ role, status: 200, reset }, { 'error.type': reset, 'http.response.status_code': 200 });
        expectAttributes({ role, status: 503, reset }, { 'error.type': '503' });
        expectAttributes({ role, status: 404, reset }, { 'error.type': role === 'server' ? undefined : '404' });
      }
    });
  }

  test('a code without a name is told apart from no other', () => {
    for (const reset of ['14', '500', '4294967295', '']) expectAttributes({ status: 0, reset }, { 'error.type': '_OTHER' });
  });

  const schemes: readonly [title: string, Variation, scheme: string, port: number | undefined][] = [
    ['is that of :scheme', { request: { scheme: 'http' } }, 'http', 80],
    ['is https where a proxy has decrypted', { request: { scheme: 'https' } }, 'https', 443],
    ['is https in TLS', { secure: true, request: { scheme: 'https' } }, 'https', 443],
    ['is https in TLS, though :scheme says http', { secure: true, request: { scheme: 'http' } }, 'https', 443],
    ['is that of the connection without :scheme', { secure: true }, 'https', 443],
    ['is lower-case', { request: { scheme: 'HTTPS' } }, 'https', 443],
    ['may be another', { secure: true, request: { scheme: 'coap+ws' } }, 'coap+ws', undefined],
    ['is not what is no scheme', { request: { scheme: 'java script:' } }, 'http', 80],
    ['is not an empty one', { request: { scheme: '' } }, 'http', 80],
  ];
  for (const [title, variation, scheme, port] of schemes) {
    test(`url.scheme ${title}`, () => {
      expectAttributes(variation, { 'url.scheme': scheme, 'server.port': port });
      expectAttributes(
        { ...variation, role: 'client', request: { ...variation.request, target: '/x' } },
        { 'url.scheme': scheme, 'url.full': `${scheme}://shop.example/x` },
      );
    });
  }

  test('what a proxy forwards of the scheme goes before :scheme on servers', () => {
    const request = { scheme: 'http', xForwardedProto: 'https' };
    expectAttributes({ request }, { 'url.scheme': 'https' });
    expectAttributes({ role: 'client', request }, { 'url.scheme': 'http' });
  });

  test('CONNECT has no url.*, and an extended CONNECT has the URL that it asks for', () => {
    const connect = { method: 'CONNECT', version: '2', target: 'db.example:5432', host: 'db.example:5432' };
    expectAttributes(
      { request: connect },
      { 'url.scheme': undefined, 'url.path': undefined, 'server.address': 'db.example', 'server.port': 5432 },
    );
    const extended = {
      method: 'CONNECT',
      version: '2',
      protocol: 'websocket',
      scheme: 'https',
      target: '/chat?room=7',
      host: 'chat.example',
    };
    expectAttributes(
      { request: extended, secure: true },
      {
        'http.request.method': 'CONNECT',
        'url.scheme': 'https',
        'url.path': '/chat',
        'url.query': 'room=7',
        'server.address': 'chat.example',
        'server.port': 443,
      },
    );
    expectAttributes({ role: 'client', request: extended, secure: true }, { 'url.full': 'https://chat.example/chat?room=7' });
    // Not an authority, though it looks like one.
    expectAttributes({ request: { ...extended, target: 'x:1' } }, { 'url.path': 'x:1', 'server.address': 'chat.example' });
  });
});

test('sizes are left out where they are not known', () => {
  expectAttributes(
    { request: { bodySize: undefined }, responseSize: undefined },
    { 'http.request.body.size': undefined, 'http.response.body.size': undefined },
  );
});

test('nothing empty is emitted', () => {
  const peer = { address: '', port: 0 };
  for (const role of ['server', 'client'] as const) {
    for (const transport of ['tcp', 'unix'] as const) {
      const description = describeHttp(
        transactionOf({
          role,
          connection: { transport, local: peer, peer },
          request: { method: '', target: '', host: '', userAgent: '' },
        }),
      );
      for (const [key, value] of Object.entries(attributesOf(description))) assert.notEqual(value, '', key);
      assert.notEqual(description.name, '');
    }
  }
});

test('long values are cut, and never through a surrogate pair', () => {
  const description = describeHttp(
    transactionOf({ request: { target: '/' + '\u{1f600}'.repeat(10_000), userAgent: 'x'.repeat(20_000) } }),
  );
  const attributes = attributesOf(description);
  const path = attributes['url.path'];
  assert.ok(typeof path === 'string' && path.isWellFormed());
  assert.equal(path.length, 16_383);
  assert.equal(String(attributes['user_agent.original']).length, 16_384);
});

test('a description owes nothing to the one before it', () => {
  const plain = transactionOf({ role: 'client' });
  const before = describeHttp(plain);
  describeHttp(transactionOf({ role: 'client', request: { target: 'ftp://me:secret@[::1]:21/x?y#z' } }));
  assert.deepEqual(describeHttp(plain), before);
});
