import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOwnClient, parseNetworkNamespace } from '../../receiver/attribution/own-servers.ts';
import type { ConnectionInfo, Endpoint } from '../../receiver/model/connection.ts';

const servers = { ports: new Set([8888, 13133]), networkNamespace: 4026531840 };

function connection(local: Endpoint, peer: Endpoint, changes: Partial<ConnectionInfo> = {}): ConnectionInfo {
  return {
    id: 1,
    transport: 'tcp',
    ipVersion: 4,
    role: 'client',
    roleEvidence: 'tcp_state',
    local,
    peer,
    networkNamespace: 4026531840,
    isFromStart: true,
    openedBy: { pid: 1, startTime: 1 },
    ...changes,
  } as ConnectionInfo;
}

const at = (address: string, port: number): Endpoint => ({ address, port });
const scrape = [at('127.0.0.1', 50_000), at('127.0.0.1', 8888)] as const;

test('a client of this host at one of our ports is ours', () => {
  assert.equal(isOwnClient(connection(...scrape), servers), true);
  assert.equal(isOwnClient(connection(at('::1', 50_000), at('::1', 13133)), servers), true);
  assert.equal(isOwnClient(connection(at('10.0.0.5', 50_000), at('10.0.0.5', 8888)), servers), true);
  assert.equal(isOwnClient(connection(at('10.0.0.5', 50_000), at('127.0.0.1', 8888)), servers), true);
});

test('other ports, other hosts, other namespaces and servers are not', () => {
  assert.equal(isOwnClient(connection(at('127.0.0.1', 8888), at('127.0.0.1', 8080)), servers), false);
  assert.equal(isOwnClient(connection(at('10.0.0.5', 50_000), at('10.0.0.6', 8888)), servers), false);
  assert.equal(isOwnClient(connection(...scrape, { networkNamespace: 4026532000 }), servers), false);
  assert.equal(isOwnClient(connection(...scrape, { role: 'server' }), servers), false);
  assert.equal(isOwnClient(connection(...scrape), { ...servers, networkNamespace: undefined }), false);
  assert.equal(isOwnClient(connection(...scrape), { ...servers, ports: new Set() }), false);
});

test('the namespace is the number in the link', () => {
  assert.equal(parseNetworkNamespace('net:[4026531840]'), 4026531840);
  for (const text of [undefined, '', 'pid:[1]', 'net:[x]', 'net:[1] '])
    assert.equal(parseNetworkNamespace(text), undefined, text);
});
