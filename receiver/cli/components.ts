// The components of this build → the YAML that the Collector's `components` command prints.
import { exporterTypes, extensionTypes, receiverTypes } from '../config/components.ts';
import { product, version } from './version.ts';

interface Kind {
  readonly section: string;
  readonly types: Readonly<Record<string, { readonly aliases: readonly string[] }>>;
}

const kinds: readonly Kind[] = [
  { section: 'receivers', types: receiverTypes },
  { section: 'processors', types: {} },
  { section: 'exporters', types: exporterTypes },
  { section: 'connectors', types: {} },
  { section: 'extensions', types: extensionTypes },
];

const signalStability = ['        logs: Undefined', '        metrics: Development', '        traces: Development'];
const extensionStability = ['        extension: Development'];

const schemes = ['env', 'file', 'yaml'];

export function formatComponents(): string {
  const lines = [
    'buildinfo:',
    `    command: ${product}`,
    '    description: OpenTelemetry receiver for HTTP transactions seen with eBPF',
    `    version: ${version}`,
  ];
  for (const { section, types } of kinds) {
    const entries = Object.entries(types);
    lines.push(entries.length === 0 ? `${section}: []` : `${section}:`);
    for (const [name, { aliases }] of entries) {
      lines.push(`    - name: ${name}`);
      if (aliases.length > 0) lines.push(`      aliases: [${aliases.join(', ')}]`);
      lines.push('      stability:', ...(section === 'extensions' ? extensionStability : signalStability));
    }
  }
  lines.push('providers:', ...schemes.map((scheme) => `    - scheme: ${scheme}`));
  return `${lines.join('\n')}\n`;
}
