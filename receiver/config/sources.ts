// The --config and --set values of the command line → one tree, merged from left to right; and the one place that reads a source.
// https://github.com/open-telemetry/opentelemetry-collector/blob/main/confmap/README.md
import { getSystemErrorMessage } from 'node:util';
import { messageOf, ReceiverError } from '../errors.ts';
import { nearMatch } from './near-match.ts';
import type { Tree } from './tree.ts';
import { mergeTrees, parseYaml, unflatten } from './tree.ts';

/** What the configuration may read of the world. */
export interface ConfigInputs {
  /** The text of a file; throws as `node:fs` does. */
  readonly readFile: (path: string) => string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Something worth a log record that is no error. */
export interface ConfigWarning {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Retrieved {
  readonly text: string;
  /** Set when an environment variable had no value and no default. */
  readonly warning?: ConfigWarning;
}

const maxSources = 100;
const maxSourceCharacters = 4 * 1024 * 1024;
// At least two characters before the colon, so that a drive letter is part of a path.
const schemeForm = /^([A-Za-z][A-Za-z0-9+.-]+):([\s\S]*)$/;
const variableName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const schemes = ['env', 'file', 'yaml'] as const;

export function readSources(
  sources: readonly string[],
  sets: readonly string[],
  inputs: ConfigInputs,
  warnings: ConfigWarning[],
): ReadonlyMap<string, Tree> {
  if (sources.length === 0) {
    throw new ReceiverError('USM_CONFIG_SOURCE', 'at least one config flag must be provided; give a file with --config=FILE');
  }
  if (sources.length + sets.length > maxSources) {
    throw new ReceiverError(
      'USM_CONFIG_SOURCE',
      `at most ${maxSources} --config and --set flags can be given, found ${sources.length + sets.length}`,
    );
  }
  let merged: Tree = new Map<string, Tree>();
  for (const source of sources) {
    const location = schemeForm.test(source) ? source : `file:${source}`;
    const { text, warning } = retrieve(location, inputs);
    if (warning !== undefined) warnings.push(warning);
    merged = mergeTrees(merged, parseSource(source, text));
  }
  for (const set of sets) merged = mergeTrees(merged, parseSet(set));
  return merged as ReadonlyMap<string, Tree>;
}

function parseSource(source: string, text: string): ReadonlyMap<string, Tree> {
  const parsed = parseYaml(text);
  if (parsed.kind === 'failed') {
    throw sourceError('parse the configuration', source, parsed.message);
  }
  if (parsed.tree === null) return new Map();
  if (!(parsed.tree instanceof Map)) {
    throw sourceError('use the configuration', source, 'it is not a map of receivers, exporters and service');
  }
  return unflatten(parsed.tree as ReadonlyMap<string, Tree>);
}

/** `a.b=value`, where `value` is YAML. Messages do not quote the value, which may be a secret. */
function parseSet(set: string): ReadonlyMap<string, Tree> {
  const equals = set.indexOf('=');
  const remedy = 'write --set=path.to.key=value';
  if (equals === -1) throw sourceError('use the flag', `--set=${set}`, 'missing equal sign', remedy);
  const written = set.slice(0, equals).trim();
  const path = written.replaceAll('.', '::');
  if (path.split('::').includes('')) throw sourceError('use the flag', `--set=${written}`, 'the path has an empty part', remedy);
  const parsed = parseYaml(set.slice(equals + 1).trim());
  if (parsed.kind === 'failed')
    throw sourceError('use the flag', `--set=${written}`, `the value is not YAML: ${parsed.message}`, remedy);
  return unflatten(new Map([[path, parsed.tree]]));
}

/** The text behind `scheme:opaque`. */
export function retrieve(uri: string, inputs: ConfigInputs): Retrieved {
  const match = schemeForm.exec(uri);
  const scheme = match?.[1] ?? uri.slice(0, uri.indexOf(':'));
  const opaque = match?.[2] ?? '';
  switch (scheme) {
    case 'file':
      return { text: readText(opaque, inputs) };
    case 'env':
      return readVariable(opaque, inputs);
    case 'yaml':
      return { text: opaque };
    case 'http':
    case 'https':
      throw sourceError(
        'use the configuration',
        uri,
        `usm-receiver reads no configuration over ${scheme}`,
        'download it and give the file',
      );
    default: {
      const near = opaque.startsWith('-') && variableName.test(scheme) ? `env:${uri}` : nearMatch(scheme, schemes);
      const hint = near === undefined ? '' : ` (did you mean "${near}"?)`;
      throw new ReceiverError(
        'USM_CONFIG_SOURCE',
        `scheme "${scheme}" is not supported for uri "${uri}"${hint}; supported are [${schemes.join(' ')}]`,
      );
    }
  }
}

function readText(path: string, inputs: ConfigInputs): string {
  let text: string;
  try {
    text = inputs.readFile(path);
  } catch (error) {
    throw sourceError('read the file', path, phraseReadFailure(error), 'check the path and its permissions', error);
  }
  if (text.length > maxSourceCharacters) {
    throw sourceError('read the file', path, `it is longer than ${maxSourceCharacters} characters`);
  }
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

function phraseReadFailure(error: unknown): string {
  const errno: unknown = error instanceof Error && 'errno' in error ? error.errno : undefined;
  return typeof errno === 'number' ? getSystemErrorMessage(errno) : messageOf(error);
}

/** `NAME` or `NAME:-default`; the default stands for a variable that is not set, not for an empty one. */
function readVariable(opaque: string, inputs: ConfigInputs): Retrieved {
  const separator = opaque.indexOf(':-');
  const name = separator === -1 ? opaque : opaque.slice(0, separator);
  if (!variableName.test(name)) {
    throw new ReceiverError(
      'USM_CONFIG_SOURCE',
      `environment variable "${name}" has invalid name: must match regex ${variableName.source}`,
    );
  }
  const value = Object.hasOwn(inputs.env, name) ? inputs.env[name] : undefined;
  if (value !== undefined) return { text: value };
  if (separator !== -1) return { text: opaque.slice(separator + 2) };
  return { text: '', warning: { message: 'Configuration references unset environment variable', fields: { name } } };
}

function sourceError(attempted: string, on: string, happened: string, remedy?: string, cause?: unknown): ReceiverError {
  const failure = { attempted, on, happened };
  return new ReceiverError('USM_CONFIG_SOURCE', remedy === undefined ? failure : { ...failure, remedy }, cause);
}
