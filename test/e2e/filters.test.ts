// Which connections are observed (docs/configuration.md, filter): each end of each exchange is there or not there, as the rules say.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { buildGoPeer } from '../traffic/build.ts';
import type { Cleanup } from '../traffic/program.ts';
import { newRun, startClient, startServer, type ClientKind, type EchoServer } from '../traffic/traffic.ts';
import { planRequests, type Exchange } from '../traffic/truth.ts';
import { assertTruth, kernelTestSkip, startReceiver } from './harness.ts';

const skip = kernelTestSkip();

const serverNames = ['node', 'go', 'ipv6', 'other', 'mapped', 'unix'] as const;
type Name = (typeof serverNames)[number];
/** A server, or the client that only talks to it. */
type End = `${'server' | 'client'} ${Name}`;

const everyEnd = serverNames.flatMap((name): End[] => [`server ${name}`, `client ${name}`]);
const clientKinds: Readonly<Record<Name, ClientKind>> = {
  node: 'go',
  go: 'node',
  ipv6: 'go',
  other: 'go',
  mapped: 'go',
  unix: 'go',
};

const servers = new Map<Name, EchoServer>();
const stops: (() => Promise<void> | void)[] = [];
const cleanup: Cleanup = { after: (stop) => void stops.push(stop) };
let basePort = 0;

/** Consecutive free ports below those that clients get, so that a range means servers only. */
async function freeRange(size: number): Promise<number> {
  for (let base = 20_000 + (process.pid % 8_000); ; base += size) {
    const listeners = Array.from({ length: size }, (_, i) => createServer().listen(base + i, '127.0.0.1'));
    const results = await Promise.allSettled(listeners.map((listener) => once(listener, 'listening')));
    await Promise.allSettled(
      listeners.filter((listener) => listener.listening).map((listener) => once(listener.close(), 'close')),
    );
    if (results.every(({ status }) => status === 'fulfilled')) return base;
    assert.ok(base < 32_000, 'no free ports');
  }
}

before(async () => {
  if (skip !== false) return;
  const folder = mkdtempSync(path.join(tmpdir(), 'usm-filter-'));
  stops.push(() => rmSync(folder, { recursive: true, force: true }));
  basePort = await freeRange(5);
  servers.set('node', await startServer(cleanup, 'node', { port: basePort }));
  servers.set('go', await startServer(cleanup, 'go', { port: basePort + 1 }));
  servers.set('ipv6', await startServer(cleanup, 'node', { port: basePort + 2, family: 'ipv6' }));
  servers.set('other', await startServer(cleanup, 'node', { port: basePort + 3, host: '127.0.0.2' }));
  // An IPv6 socket that takes IPv4 connections.
  const mapped = await startServer(cleanup, 'node', { port: basePort + 4, host: '::ffff:127.0.0.1' });
  servers.set('mapped', { ...mapped, target: `127.0.0.1:${mapped.port}` });
  servers.set('unix', await startServer(cleanup, 'node', { family: 'unix', socketPath: path.join(folder, 'socket') }));
});

after(async () => {
  for (const stop of stops.reverse()) await stop();
});

interface Facts {
  readonly port: (name: Name) => number;
  readonly pid: (end: End) => number;
}

interface Case {
  readonly title: string;
  readonly filter: (facts: Facts) => object;
  readonly wanted: readonly End[];
}

function without(...unwanted: readonly End[]): End[] {
  return everyEnd.filter((end) => !unwanted.includes(end));
}

const node = realpathSync(process.execPath);
const cases: readonly Case[] = [
  {
    title: 'include by one local port',
    filter: ({ port }) => ({ include: [{ local_ports: [port('node')] }] }),
    wanted: ['server node'],
  },
  {
    title: 'include by a range of local ports',
    filter: ({ port }) => ({ include: [{ local_ports: [`${port('go')}-${port('other')}`] }] }),
    wanted: ['server go', 'server ipv6', 'server other'],
  },
  {
    title: 'include by remote ports',
    filter: ({ port }) => ({ include: [{ remote_ports: [port('node'), port('ipv6')] }] }),
    wanted: ['client node', 'client ipv6'],
  },
  {
    title: 'exclude by a range of local ports and one remote port',
    filter: ({ port }) => ({
      exclude: [{ local_ports: [`${port('node')}-${port('go')}`] }, { remote_ports: [port('ipv6')] }],
    }),
    wanted: without('server node', 'server go', 'client ipv6'),
  },
  {
    title: 'include by an IPv4 prefix, also where the socket is IPv6',
    filter: () => ({ include: [{ cidrs: ['127.0.0.0/8'] }] }),
    wanted: without('server ipv6', 'client ipv6', 'server unix', 'client unix'),
  },
  {
    title: 'include by an IPv6 address',
    filter: () => ({ include: [{ cidrs: ['::1'] }] }),
    wanted: ['server ipv6', 'client ipv6'],
  },
  {
    title: 'exclude a longer prefix of an included one',
    filter: () => ({ include: [{ cidrs: ['127.0.0.0/8'] }], exclude: [{ cidrs: ['127.0.0.2/32'] }] }),
    wanted: ['server node', 'client node', 'server go', 'client go', 'server mapped', 'client mapped'],
  },
  {
    title: 'include a shorter and a longer prefix in rules of their own',
    filter: ({ port }) => ({
      include: [
        { cidrs: ['127.0.0.0/8'], remote_ports: [port('other')] },
        { cidrs: ['127.0.0.2'], local_ports: [port('other')] },
      ],
    }),
    wanted: ['server other', 'client other'],
  },
  {
    title: 'include by process ids',
    filter: ({ pid }) => ({ include: [{ pids: [pid('server go'), pid('client ipv6'), pid('server unix')] }] }),
    wanted: ['server go', 'client ipv6', 'server unix'],
  },
  {
    title: 'exclude by process id',
    filter: ({ pid }) => ({ exclude: [{ pids: [pid('server node'), pid('client unix')] }] }),
    wanted: without('server node', 'client unix'),
  },
  {
    title: 'include by executable',
    filter: () => ({ include: [{ executables: [realpathSync(buildGoPeer())] }] }),
    wanted: ['server go', 'client node', 'client ipv6', 'client other', 'client mapped', 'client unix'],
  },
  {
    title: 'exclude by executable',
    filter: () => ({ exclude: [{ executables: [node] }] }),
    wanted: ['server go', 'client node', 'client ipv6', 'client other', 'client mapped', 'client unix'],
  },
  {
    title: 'all keys of a rule must match',
    filter: ({ port }) => ({
      include: [{ local_ports: [`${port('node')}-${port('go')}`], executables: [node], cidrs: ['127.0.0.1'] }],
    }),
    wanted: ['server node'],
  },
  {
    title: 'one of several rules must match',
    filter: ({ port, pid }) => ({
      include: [{ local_ports: [port('node')] }, { remote_ports: [port('go')] }, { pids: [pid('client other')] }],
    }),
    wanted: ['server node', 'client go', 'client other'],
  },
  {
    title: 'exclude wins over include',
    filter: ({ port, pid }) => ({
      include: [{ local_ports: [`${port('node')}-${port('mapped')}`] }, { pids: [pid('server go')] }],
      exclude: [{ pids: [pid('server go')] }, { cidrs: ['::1/128'] }],
    }),
    wanted: ['server node', 'server other', 'server mapped'],
  },
  {
    title: 'an excluding rule of several keys excludes only where all match',
    filter: ({ port, pid }) => ({ exclude: [{ local_ports: [port('node')], pids: [pid('server go')] }] }),
    wanted: everyEnd,
  },
  {
    title: 'no loopback: UNIX sockets only',
    filter: () => ({ loopback: false }),
    wanted: ['server unix', 'client unix'],
  },
];

for (const { title, filter, wanted } of cases) {
  test(title, { skip }, async (t) => {
    const clients = new Map(
      await Promise.all(
        [...servers].map(async ([name, server]) => [name, await startClient(t, clientKinds[name], server)] as const),
      ),
    );
    const rules = filter({
      port: (name) => servers.get(name)!.port,
      pid: (end) => {
        const [side, name] = end.split(' ') as ['server' | 'client', Name];
        return (side === 'server' ? servers : clients).get(name)!.pid;
      },
    });
    const receiver = await startReceiver(t, { usm: { filter: rules } });
    const truth: Exchange[] = [];
    for (const [name, client] of clients) {
      const exchanges = await client.run(planRequests(newRun(), 8, 'plain'), { connections: 2 });
      truth.push(...exchanges.map((exchange) => seenAt(exchange, wanted, name)));
    }
    const silentPids = [...servers.values(), ...clients.values()].map(({ pid }) => pid);
    assertTruth(await receiver.stop(), truth, { silentPids });
  });
}

/** The exchange without the ends that are not wanted. */
function seenAt(exchange: Exchange, wanted: readonly End[], name: Name): Exchange {
  return {
    ...exchange,
    server: wanted.includes(`server ${name}`) ? exchange.server : undefined,
    client: wanted.includes(`client ${name}`) ? exchange.client : undefined,
  };
}

/** The mount point of the cgroup v2 hierarchy. */
function cgroupRoot(): string | undefined {
  const line = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .find((text) => text.split(' ')[2] === 'cgroup2');
  return line?.split(' ')[1];
}

/** A new cgroup, given as it stands in a rule. Removed at the end of this file: after the processes in it, which start later. */
function addCgroup(root: string, name: string): string {
  mkdirSync(path.join(root, name));
  cleanup.after(() => rmdirSync(path.join(root, name)));
  return `/${name}`;
}

function inCgroup(root: string, cgroup: string): readonly string[] {
  return ['sh', '-c', `echo $$ > '${root}${cgroup}/cgroup.procs' && exec "$@"`, 'sh'];
}

for (const [title, rules, isServerWanted] of [
  ['include by cgroup, with the groups below it', { include: 'outer' }, [true, true, false]],
  ['include by an inner cgroup', { include: 'inner' }, [false, true, false]],
  ['exclude by cgroup', { exclude: 'outer' }, [false, false, true]],
] as const) {
  test(title, { skip: skip === false && cgroupRoot() === undefined ? 'no cgroup v2 hierarchy is mounted' : skip }, async (t) => {
    const root = cgroupRoot()!;
    const name = `usm-${newRun()}`;
    const outer = addCgroup(root, name);
    const inner = addCgroup(root, `${name}/inner`);
    const sibling = addCgroup(root, `${name}x`); // begins alike
    const criterion = { outer, inner };
    const [kind, which] = Object.entries(rules)[0] as ['include' | 'exclude', 'outer' | 'inner'];
    const receiver = await startReceiver(t, { usm: { filter: { [kind]: [{ cgroups: [criterion[which]] }] } } });
    const truth: Exchange[] = [];
    const silentPids: number[] = [];
    for (const [i, cgroup] of [outer, inner, sibling].entries()) {
      const server = await startServer(cleanup, 'go', { prefix: inCgroup(root, cgroup) });
      const client = await startClient(t, 'go', server);
      silentPids.push(server.pid, client.pid);
      for (const exchange of await client.run(planRequests(newRun(), 8, 'plain'))) {
        // The clients stay in the cgroup of the test.
        const isClientWanted = kind === 'exclude';
        truth.push({
          ...exchange,
          server: isServerWanted[i] ? exchange.server : undefined,
          client: isClientWanted ? exchange.client : undefined,
        });
      }
    }
    assertTruth(await receiver.stop(), truth, { silentPids });
  });
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Two namespaces with an Ethernet between them; returns what puts a command into each. */
function addLink(t: TestContext): readonly [string[], string[]] {
  const [left, right, link] = [`usm-${newRun()}`, `usm-${newRun()}`, newRun().slice(0, 6)];
  for (const name of [left, right]) {
    ip('netns', 'add', name);
    t.after(() => ip('netns', 'del', name));
  }
  ip('link', 'add', `l${link}`, 'netns', left, 'type', 'veth', 'peer', 'name', `r${link}`, 'netns', right);
  for (const [name, address, device] of [
    [left, '10.77.0.1/24', `l${link}`],
    [right, '10.77.0.2/24', `r${link}`],
  ] as const) {
    ip('-n', name, 'addr', 'add', address, 'dev', device);
    ip('-n', name, 'link', 'set', device, 'up');
  }
  return [
    ['ip', 'netns', 'exec', left],
    ['ip', 'netns', 'exec', right],
  ];
}

for (const [title, filter, isServerWanted, isClientWanted] of [
  ['no loopback: connections between hosts are observed', { loopback: false }, true, true],
  ['include by the prefix of the peer and of this end', { include: [{ cidrs: ['10.77.0.2/31'] }] }, true, true],
  ['an address outside the prefix is not included', { include: [{ cidrs: ['10.77.1.0/24', '10.78.0.0/15'] }] }, false, false],
] as const) {
  test(title, { skip }, async (t) => {
    const [left, right] = addLink(t);
    const receiver = await startReceiver(t, { usm: { filter } });
    const server = await startServer(t, 'node', { prefix: right, host: '10.77.0.2' });
    const client = await startClient(t, 'go', server, { prefix: left });
    const truth = await client.run(planRequests(newRun(), 8, 'plain'), { connections: 2 });
    const expected = truth.map((exchange) => ({
      ...exchange,
      server: isServerWanted ? exchange.server : undefined,
      client: isClientWanted ? exchange.client : undefined,
    }));
    assertTruth(await receiver.stop(), expected, { silentPids: [server.pid, client.pid] });
  });
}
