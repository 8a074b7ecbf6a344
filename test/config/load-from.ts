// A configuration from texts, as loadConfig sees files and the environment.
import type { LoadedConfig } from '../../receiver/config/load.ts';
import { loadConfig } from '../../receiver/config/load.ts';
import { ReceiverError } from '../../receiver/errors.ts';

export interface World {
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly sets?: readonly string[];
}

/** The first text is `--config=main.yaml`; more are merged over it. */
export function loadFrom(texts: string | readonly string[], world: World = {}): LoadedConfig {
  const all = typeof texts === 'string' ? [texts] : texts;
  const files = new Map(all.map((text, at) => [at === 0 ? 'main.yaml' : `over${at}.yaml`, text]));
  for (const [path, text] of Object.entries(world.files ?? {})) files.set(path, text);
  const sources = all.map((_, at) => (at === 0 ? 'main.yaml' : `over${at}.yaml`));
  return loadSources(sources, world, files);
}

export function loadSources(
  sources: readonly string[],
  world: World,
  files: ReadonlyMap<string, string> = new Map(Object.entries(world.files ?? {})),
): LoadedConfig {
  const readFile = (path: string): string => {
    const text = files.get(path);
    // ENOENT, as node:fs throws it.
    if (text === undefined)
      throw Object.assign(new Error(`ENOENT: no such file or directory, open '${path}'`), { errno: -2, code: 'ENOENT' });
    return text;
  };
  return loadConfig(sources, world.sets ?? [], { readFile, env: world.env ?? {} });
}

export function failureOf(load: () => unknown): ReceiverError {
  try {
    load();
  } catch (error) {
    if (error instanceof ReceiverError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

/** The lines of the failure, without what stands before them. */
export function problemsOf(texts: string | readonly string[], world: World = {}): readonly string[] {
  const { message } = failureOf(() => loadFrom(texts, world));
  const prefix = /^(?:invalid configuration|cannot resolve the configuration): /;
  const lines = message.replace(prefix, '').split('\n');
  return lines.length === 1 ? lines : lines.slice(1).map((line) => line.trim());
}

/** A whole configuration around the parts of interest. */
export function around(parts: { readonly usm?: string; readonly exporters?: string; readonly service?: string }): string {
  const indent = (text: string, by: number): string => text.replace(/^(?=.)/gm, ' '.repeat(by));
  return [
    'receivers:',
    `  usm:${parts.usm === undefined ? '' : `\n${indent(parts.usm, 4)}`}`,
    'exporters:',
    '  debug:',
    ...(parts.exporters === undefined ? [] : [indent(parts.exporters, 2)]),
    'service:',
    indent(parts.service ?? 'pipelines:\n  traces:\n    receivers: [usm]\n    exporters: [debug]', 2),
    '',
  ].join('\n');
}
