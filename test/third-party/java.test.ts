// dd-java-agent publishes the spans of Java programs through its profiler's library, which it unpacks and loads at run time.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { kernelTestSkip, startReceiver } from '../e2e/harness.ts';
import { prepare } from './prepare.ts';
import { assertWritten, FIRST, startPeers, untilLocated, type Command } from './writers.ts';

const { folder, reason } = prepare('java');
const skip = reason ?? kernelTestSkip();

function program(scratch: string, ...args: readonly string[]): Command {
  const settings = {
    'trace.methods': 'Peer[answer,consider,ask]',
    'integration.httpurlconnection.enabled': false,
    'profiling.enabled': true,
    'profiling.ddprof.enabled': true,
    'profiling.start-delay': 0,
    'profiling.start-force-first': true,
    'profiling.tempdir': scratch,
    'instrumentation.telemetry.enabled': false,
    'remote_config.enabled': false,
  };
  const properties = Object.entries(settings).map(([name, value]) => `-Ddd.${name}=${String(value)}`);
  // Starting it is most of the work.
  const java = ['-XX:TieredStopAtLevel=1', `-Djava.io.tmpdir=${scratch}`, `-javaagent:${path.join(folder, 'dd-java-agent.jar')}`];
  return { file: 'java', args: [...java, ...properties, '-cp', folder, 'Peer', ...args] };
}

test('dd-java-agent: every transaction is below the span of its own request', { skip }, async (t) => {
  const scratch = mkdtempSync(path.join(tmpdir(), 'usm-java-'));
  t.after(() => rmSync(scratch, { recursive: true, force: true }));
  const receiver = await startReceiver(t, { usm: { thread_context: { enabled: true } } });
  const peers = await startPeers(t, program(scratch, 'serve', 'threads'), program(scratch, 'call', 'threads'));
  await untilLocated(receiver, peers);
  const count = 300;
  await peers.run('mixed', FIRST, count, 8);
  assertWritten(await receiver.stop(), peers, 'mixed', count, { client: 'ask', server: 'answer' });
});
