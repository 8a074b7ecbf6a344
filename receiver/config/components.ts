// The components there are: type names, aliases and the block of each. `usm-receiver components` prints them.
import type { Block, Schema } from './schema.ts';
import {
  debugRefusals,
  debugSchema,
  fileRefusals,
  fileSchema,
  otlpGrpcRefusals,
  otlpGrpcSchema,
  otlpHttpRefusals,
  otlpHttpSchema,
} from './exporter-schemas.ts';
import {
  fileStorageRefusals,
  fileStorageSchema,
  healthCheckRefusals,
  healthCheckSchema,
  pprofRefusals,
  pprofSchema,
  zpagesRefusals,
  zpagesSchema,
} from './extension-schemas.ts';
import { serviceRefusals, serviceSchema } from './service-schema.ts';
import { usmSchema } from './usm-schema.ts';
import { withNearMatch } from './check.ts';

interface Component<S extends Schema> extends Block {
  readonly schema: S;
  /** Other spellings of the type. */
  readonly aliases: readonly string[];
}

function defineComponent<const S extends Schema>(
  schema: S,
  refusals: Block['refusals'],
  aliases: readonly string[],
): Component<S> {
  return { schema, refusals, aliases };
}

export const receiverTypes = { usm: defineComponent(usmSchema, {}, []) } as const;

export const exporterTypes = {
  debug: defineComponent(debugSchema, debugRefusals, []),
  file: defineComponent(fileSchema, fileRefusals, []),
  otlp_grpc: defineComponent(otlpGrpcSchema, otlpGrpcRefusals, ['otlp']),
  otlp_http: defineComponent(otlpHttpSchema, otlpHttpRefusals, ['otlphttp']),
} as const;

export type ExporterType = keyof typeof exporterTypes;

export const extensionTypes = {
  file_storage: defineComponent(fileStorageSchema, fileStorageRefusals, []),
  health_check: defineComponent(healthCheckSchema, healthCheckRefusals, []),
  pprof: defineComponent(pprofSchema, pprofRefusals, []),
  zpages: defineComponent(zpagesSchema, zpagesRefusals, []),
} as const;

export type ExtensionType = keyof typeof extensionTypes;

export const serviceBlock = { schema: serviceSchema, refusals: serviceRefusals } as const satisfies Block;

/** The type's own name for a name or an alias. */
export function findType<Name extends string>(
  types: Readonly<Record<Name, Component<Schema>>>,
  written: string,
): Name | undefined {
  for (const name of Object.keys(types) as Name[]) {
    if (name === written || types[name].aliases.includes(written)) return name;
  }
  return undefined;
}

export type ComponentId =
  { readonly kind: 'id'; readonly id: string; readonly type: string } | { readonly kind: 'malformed'; readonly message: string };

const typeForm = /^[a-zA-Z][0-9a-zA-Z_]{0,62}$/;
const nameForm = /^[^\p{Z}\p{C}\p{S}]{1,1024}$/u;

/** `type[/name]`, spaces around the parts removed. https://pkg.go.dev/go.opentelemetry.io/collector/component#ID */
export function parseComponentId(written: string): ComponentId {
  const malformed = (message: string): ComponentId => ({ kind: 'malformed', message });
  const slash = written.indexOf('/');
  const type = (slash === -1 ? written : written.slice(0, slash)).trim();
  const name = slash === -1 ? undefined : written.slice(slash + 1).trim();
  const quoted = JSON.stringify(written);
  if (name === undefined && type === '') return malformed('id must not be empty');
  if (type === '') return malformed(`in ${quoted} id: the part before / should not be empty`);
  if (name === '') return malformed(`in ${quoted} id: the part after / should not be empty`);
  if (!typeForm.test(type)) return malformed(`in ${quoted} id: invalid character(s) in type "${type}"`);
  if (name !== undefined && !nameForm.test(name)) return malformed(`in ${quoted} id: invalid character(s) in name "${name}"`);
  return { kind: 'id', id: name === undefined ? type : `${type}/${name}`, type };
}

/** The Collector's sentence for a type that it was built without. */
export function formatUnknownType(type: string, id: string, valid: readonly string[]): string {
  return withNearMatch(`unknown type: "${type}" for id: "${id}" (valid values: [${valid.join(' ')}])`, type, valid);
}
