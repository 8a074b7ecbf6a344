import { test } from 'node:test';
import { exporterTypes, extensionTypes, receiverTypes, serviceBlock } from '../../receiver/config/components.ts';
import type { Format } from '../../receiver/config/formats.ts';
import type { Block, Schema } from '../../receiver/config/schema.ts';
import { checkGenerated, formatTable } from '../docs/generated.ts';

test('docs/configuration.md has every key, type, default and meaning of the schema', () => {
  const blocks = { ...receiverTypes, ...exporterTypes, ...extensionTypes, service: serviceBlock };
  const parts = Object.fromEntries(Object.entries(blocks).map(([name, block]) => [name, describeBlock(block)]));
  checkGenerated(new URL('../../docs/configuration.md', import.meta.url), parts, process.env['UPDATE_DOCS'] === '1');
});

function describeBlock({ schema, refusals }: Block): string {
  const table = formatTable(['Key', 'Type', 'Default', 'Meaning'], describeKeys(schema, ''));
  const refused = Object.entries(refusals).map(([key, reason]) => [`\`${key.replace('=', ': ')}\``, reason]);
  return refused.length === 0
    ? table
    : `${table}\nRefused, though the Collector has them:\n\n${formatTable(['Key', 'Why'], refused)}`;
}

function describeKeys(schema: Schema, prefix: string): string[][] {
  const properties = Object.entries(schema.properties ?? {});
  if (typeof schema.additionalProperties === 'object' && schema.additionalProperties.properties !== undefined) {
    properties.push(['<id>', schema.additionalProperties]);
  }
  return properties.flatMap(([key, property]) => {
    const path = `${prefix}${key}`;
    const inner = property.type === 'array' ? property.items : property;
    // The rules of `exclude` are those of `include`, and are told once.
    const isTold =
      inner !== property &&
      properties.findIndex(([, other]) => other.items === inner) < properties.findIndex(([other]) => other === key);
    const rows =
      inner?.type === 'object' && !isTold ? describeKeys(inner, `${path}${property.type === 'array' ? '[]' : ''}::`) : [];
    return [
      [
        `\`${path}\``,
        describeType(property),
        describeDefault(property, schema.required?.includes(key) === true),
        property.description ?? '',
      ],
      ...rows,
    ];
  });
}

function describeType(schema: Schema): string {
  if (schema.format !== undefined) return `${formNames[schema.format]}${describeBounds(schema)}`;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(', ');
  switch (schema.type) {
    case 'object':
      return schema.properties === undefined &&
        typeof schema.additionalProperties === 'object' &&
        schema.additionalProperties.type === 'string'
        ? 'map of texts'
        : 'map';
    case 'array':
      return `list of ${describeItems(schema.items ?? {})}`;
    case 'integer':
    case 'number':
      return describeRange(schema);
    case 'boolean':
      return '`true`, `false`';
    case 'string':
      return 'text';
    default:
      return 'number or text';
  }
}

const formNames: Readonly<Record<Format, string>> = {
  'absolute-path': 'path',
  'byte-size': 'size',
  'cgroup-path': 'path',
  cidr: 'prefix',
  'go-duration': 'duration',
  'octal-mode': 'octal mode',
  'port-range': 'port or range',
  'socket-path': 'path',
};

function describeBounds({ range, powerOfTwo }: Schema): string {
  return range === undefined ? '' : `, ${range[0]} to ${range[1]}${powerOfTwo === true ? ', a power of two' : ''}`;
}

function describeItems(schema: Schema): string {
  if (schema.type === 'object') return 'maps';
  if (schema.type === 'integer') return 'integers';
  return schema.type === 'string' ? 'texts' : 'numbers or texts';
}

function describeRange({ type, minimum, maximum }: Schema): string {
  const name = type === 'integer' ? 'integer' : 'number';
  return minimum === undefined || maximum === undefined ? name : `${name}, ${minimum} to ${maximum}`;
}

function describeDefault(schema: Schema, isRequired: boolean): string {
  if (isRequired) return 'required';
  if (schema.default === undefined || schema.type === 'object') return '';
  if (!Array.isArray(schema.default)) return `\`${JSON.stringify(schema.default)}\``.replaceAll('"', '');
  return schema.default.length === 0 ? '`[]`' : schema.default.map((item) => `\`${String(item)}\``).join(', ');
}
