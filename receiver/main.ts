#!/usr/bin/env -S node --max-semi-space-size=2
// The command: arguments, signals and exit codes. The only file that touches `process`.
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Command } from './cli/arguments.ts';
import type { AttachCommand } from './cli/attach-arguments.ts';
import { helpText, parseArguments } from './cli/arguments.ts';
import { product, version } from './cli/version.ts';
import type { LoadedConfig } from './config/load.ts';
import type { ConfigInputs } from './config/sources.ts';
import type { Logger } from './log.ts';
import { messageOf, ReceiverError } from './errors.ts';
import type { ProcessReading } from './telemetry/self/readings.ts';

/** Over the time that the receiver gives itself, so that this only ends a receiver that is stuck. */
const stuckGraceMs = 1_000;
const maxLineCharacters = 4 * 1024 * 1024;
const inputs: ConfigInputs = { readFile: (path) => readFileSync(path, 'utf8'), env: process.env };

async function main(): Promise<void> {
  const command = parseArguments(process.argv.slice(2));
  switch (command.kind) {
    case 'help':
      process.stdout.write(helpText);
      return;
    case 'version':
      process.stdout.write(`${product} version ${version}\n`);
      return;
    case 'components': {
      const { formatComponents } = await import('./cli/components.ts');
      process.stdout.write(formatComponents());
      return;
    }
    case 'inspect': {
      const { inspect } = await import('./cli/inspect.ts');
      process.stdout.write(await inspect(command, fetch));
      return;
    }
    case 'doctor': {
      const { doctor } = await import('./doctor.ts');
      const { text, exitCode } = doctor(command, { arch: process.arch, ownPid: process.pid });
      process.stdout.write(text);
      process.exitCode = exitCode;
      return;
    }
    case 'validate':
      await load(command);
      return;
    case 'attach':
      await run(await loadForCollector(command), command.isSupervised);
      return;
    case 'run':
      await run(await load(command), false);
  }
}

async function load(command: Extract<Command, { readonly kind: 'run' | 'validate' }>): Promise<LoadedConfig> {
  const { loadConfig } = await import('./config/load.ts');
  return loadConfig(command.sources, command.sets, inputs);
}

async function loadForCollector({ sources, sets, receiver, isSupervised }: AttachCommand): Promise<LoadedConfig> {
  const { loadAttached, loadSupervised } = await import('./config/load-attached.ts');
  return isSupervised
    ? loadSupervised(await readLine(process.stdin), receiver, inputs)
    : loadAttached(sources, sets, receiver, inputs);
}

/** What follows the line is not looked at. */
function readLine(input: NodeJS.ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const fail = (happened: string): void => {
      reject(
        new ReceiverError('USM_CONFIG_SOURCE', {
          attempted: 'read the configuration on',
          on: 'standard input',
          happened,
          remedy: '--supervised is for a Collector that starts this command; give a file with --config instead',
        }),
      );
    };
    const take = (chunk: string): void => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end !== -1) {
        input.off('data', take).resume();
        resolve(text.slice(0, end));
      } else if (text.length > maxLineCharacters) fail(`its first line is longer than ${maxLineCharacters} characters`);
    };
    input.setEncoding('utf8').on('data', take);
    input.once('end', () => fail('it ended before the end of its first line'));
    input.once('error', (error) => fail(messageOf(error)));
  });
}

async function run({ config, warnings }: LoadedConfig, isSupervised: boolean): Promise<void> {
  if (process.platform !== 'linux') {
    throw new ReceiverError('USM_PLATFORM', {
      attempted: 'observe this host',
      happened: `eBPF is a part of Linux, and this is ${process.platform}`,
    });
  }
  const { limitHeap, createCollector } = await import('./heap.ts');
  limitHeap({ v8: process.versions.v8, isNurseryLimited: isNurseryLimited() });
  const stopRequested = listenForStop(isSupervised);
  const logger = await openLog(config);
  process.on('uncaughtException', (error) => {
    logger.error('Unexpected error, exiting', { error: error.message, stack: error.stack });
    process.exit(1);
  });
  process.on('SIGHUP', () => {
    logger.info('SIGHUP is ignored; restart to apply a new configuration');
  });
  for (const { message, fields } of warnings) logger.warn(message, fields);

  const [{ createClock }, { startReceiver }] = await Promise.all([import('./clock.ts'), import('./receiver.ts')]);
  let logLedger = (): void => undefined;
  // Before anybody is told that we are there: without a handler the signal would end us.
  process.on('SIGUSR2', () => {
    logLedger();
  });
  const receiver = await startReceiver({
    config,
    logger,
    clock: createClock(() => process.hrtime.bigint(), Date.now),
    write: (text) => {
      process.stdout.write(text);
    },
    processReading,
    ownUid: process.geteuid?.() ?? 0,
    collectGarbage: createCollector(),
  });
  logLedger = () => {
    receiver.logLedger();
  };
  const reason = await stopRequested;
  logger.info('Shutting down', { reason });
  setTimeout(() => {
    const { message } = new ReceiverError('USM_SHUTDOWN_TIMEOUT', {
      attempted: 'stop',
      happened: `the receiver is still busy ${stuckGraceMs / 1000} s after shutdown_timeout`,
    });
    logger.error(message);
    process.exit(1);
  }, config.usm.shutdownTimeoutMs + stuckGraceMs).unref();
  await receiver.stop();
  logger.info('Shutdown complete');
  // Whatever a library still holds open must not keep the process.
  process.exit(0);
}

function isNurseryLimited(): boolean {
  return [...process.execArgv, process.env['NODE_OPTIONS']].some((option) => option?.includes('semi-space') === true);
}

function processReading(): ProcessReading {
  const { user, system } = process.cpuUsage();
  const memory = process.memoryUsage();
  return {
    uptimeSeconds: process.uptime(),
    cpuSeconds: (user + system) / 1e6,
    residentBytes: memory.rss,
    heapUsedBytes: memory.heapUsed,
    totalBytes: memory.heapTotal + memory.external,
  };
}

async function openLog({ logs }: LoadedConfig['config']): Promise<Logger> {
  const { createLogger, openLogOutput } = await import('./log.ts');
  const standard = {
    stdout: (text: string) => void process.stdout.write(text),
    stderr: (text: string) => void process.stderr.write(text),
  };
  const failures = openLogOutput(logs.errorOutputPaths, standard, (line) => {
    standard.stderr(line);
  });
  const output = openLogOutput(logs.outputPaths, standard, (line) => {
    failures.write(line);
  });
  return createLogger({
    ...logs,
    now: Date.now,
    write: (line) => {
      output.write(line);
    },
  });
}

/**
 * Resolves at the first SIGTERM or SIGINT, when nobody reads standard output any more, or when the Collector that supervises us is gone. A second signal
 * exits at once.
 */
function listenForStop(isSupervised: boolean): Promise<string> {
  return new Promise((resolve) => {
    let isRequested = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (isRequested) process.exit(128 + constants.signals[signal]);
        isRequested = true;
        resolve(signal);
      });
    }
    process.stdout.on('error', () => {
      resolve('standard output was closed');
    });
    if (isSupervised) {
      const end = (): void => resolve('the Collector is gone');
      for (const event of ['end', 'error', 'close'] as const) process.stdin.on(event, end);
      // Before anybody listened.
      if (process.stdin.readableEnded || process.stdin.destroyed) end();
    }
    // With standard error gone there is nobody left to tell.
    process.stderr.on('error', () => undefined);
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`Error: ${error instanceof ReceiverError ? error.message : describeBug(error)}\n`);
  process.exit(1);
});

function describeBug(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}
