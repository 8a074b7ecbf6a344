import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Decoder, type EventHandler } from '../../receiver/kernel/decode.ts';
import { loadPrograms } from '../../receiver/kernel/session.ts';
import { kernelTest } from '../support/kernel.ts';
import { startRawPair } from '../traffic/raw.ts';

interface Heard {
  readonly ends: Set<number>;
  /** By connection: whether its last I/O, end or walk told of refused records before it. */
  readonly resumed: Map<number, boolean>;
}

function listen(heard: Heard): EventHandler {
  return {
    io: (event) => void heard.resumed.set(event.connection, event.isResumed),
    open: () => {},
    end: (event) => void heard.ends.add(event.connection),
    walked: () => {},
    secured: () => {},
    resumed: (connection) => void heard.resumed.set(connection, true),
    processStarted: () => {},
    processExited: () => {},
    executed: () => {},
    vitals: () => {},
    dropped: () => {},
    malformed: () => assert.fail('a record could not be read'),
  };
}

test('a connection whose end the full ring refused says so with its next record', kernelTest(), async (t) => {
  const filler = await startRawPair(t);
  const pairs = [];
  for (let i = 0; i < 5; i++) pairs.push(await startRawPair(t));
  // The servers' ends alone, so that nothing else fills the ring.
  const localPorts = [filler, ...pairs].map(({ server }) => ({ first: server.port, last: server.port }));
  const rule = { localPorts, remotePorts: [], cidrs: [], pids: [], executables: [], cgroups: [] };
  const programs = await loadPrograms({
    filter: { include: [rule], exclude: [], loopback: true },
    ringBufferSizeBytes: 256 * 1024,
  });
  const session = programs.attach();
  t.after(() => session.close());
  const buffer = new Uint8Array(512 * 1024);
  const heard: Heard = { ends: new Set(), resumed: new Map() };
  const decoder = new Decoder(buffer, 0n, 512, listen(heard));
  const drain = (): void => {
    for (let size = session.drain(buffer); size > 0; size = session.drain(buffer)) decoder.decode(size);
  };

  for (const { client, server } of pairs) {
    await client.send('GET / HTTP/1.1\r\n\r\n');
    await server.expect(18);
  }
  drain();
  assert.equal(heard.resumed.size, pairs.length);
  // Turns of a few bytes, until not even those find a place: what is left is less than one of their records.
  for (let i = 0; i < 5000 && session.counters().ringFull === 0; i++) {
    await filler.client.send('ping');
    await filler.server.expect(4);
    await filler.server.send('pong');
    await filler.client.expect(4);
  }
  assert.equal(session.counters().shed, 1);
  for (const { client, server } of pairs) {
    await client.end();
    await server.expectEnd();
  }
  drain();
  const connections = [...heard.resumed.keys()].slice(0, pairs.length);
  const refused = connections.filter((connection) => !heard.ends.has(connection));
  assert.ok(refused.length >= 2, `${refused.length} ends were refused`);
  assert.equal(session.counters().shed, 1 + refused.length);

  heard.resumed.clear();
  for (const { client, server } of pairs) {
    await server.send('HTTP/1.1 204 No Content\r\n\r\n');
    await client.expect(27);
  }
  drain();
  for (const connection of connections) assert.equal(heard.resumed.get(connection), refused.includes(connection));
  for (const { server } of pairs) await server.send('x');
  drain();
  for (const connection of connections) assert.equal(heard.resumed.get(connection), false, 'it is told once');
});
