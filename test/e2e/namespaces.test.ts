// Network namespaces: inside one, and between two, with the same addresses in more than one.
import { execFileSync } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import { newRun, startClient, startServer } from '../traffic/traffic.ts';
import { planRequests } from '../traffic/truth.ts';
import { assertTruth, kernelTestSkip, startReceiver } from './harness.ts';

const skip = kernelTestSkip();

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function addNamespace(t: TestContext): string {
  const name = `usm-${newRun()}`;
  ip('netns', 'add', name);
  t.after(() => ip('netns', 'del', name));
  ip('-n', name, 'link', 'set', 'lo', 'up');
  return name;
}

const inside = (name: string): string[] => ['ip', 'netns', 'exec', name];

test('the same loopback address and port in two namespaces are two servers', { skip }, async (t) => {
  const [first, second] = [addNamespace(t), addNamespace(t)];
  const receiver = await startReceiver(t);
  const truths = await Promise.all(
    [first, second].map(async (name) => {
      const server = await startServer(t, 'go', { prefix: inside(name), port: 8080 });
      const client = await startClient(t, 'go', server, { prefix: inside(name) });
      return client.run(planRequests(newRun(), 42, 'all'), { connections: 3 });
    }),
  );
  assertTruth(await receiver.stop(), truths.flat());
});

test('an exchange between two namespaces makes its two spans', { skip }, async (t) => {
  const [left, right] = [addNamespace(t), addNamespace(t)];
  const link = newRun().slice(0, 6);
  ip('link', 'add', `l${link}`, 'netns', left, 'type', 'veth', 'peer', 'name', `r${link}`, 'netns', right);
  ip('-n', left, 'addr', 'add', '10.77.0.1/24', 'dev', `l${link}`);
  ip('-n', right, 'addr', 'add', '10.77.0.2/24', 'dev', `r${link}`);
  ip('-n', left, 'link', 'set', `l${link}`, 'up');
  ip('-n', right, 'link', 'set', `r${link}`, 'up');
  const receiver = await startReceiver(t);
  const server = await startServer(t, 'node', { prefix: inside(right), host: '10.77.0.2' });
  const client = await startClient(t, 'go', server, { prefix: inside(left) });
  const truth = await client.run(planRequests(newRun(), 42, 'all'), { connections: 3 });
  assertTruth(await receiver.stop(), truth);
});

test('exchanges over IPv6', { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await startServer(t, 'node', { family: 'ipv6' });
  const client = await startClient(t, 'go', server);
  const truth = await client.run(planRequests(newRun(), 42, 'all'), { connections: 3 });
  assertTruth(await receiver.stop(), truth);
});
