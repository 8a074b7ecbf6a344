// TLS settings under the Collector's names → the key material and options that Node's TLS takes. Files are read once, at start, so that a
// wrong path is an error of the configuration and not of the first export.
import { readFile } from 'node:fs/promises';
import { getCACertificates } from 'node:tls';

export interface TlsOptions {
  readonly insecure: boolean;
  readonly insecureSkipVerify: boolean;
  readonly includeSystemCaCertsPool: boolean;
  readonly caFile: string | undefined;
  readonly caPem: string | undefined;
  readonly certFile: string | undefined;
  readonly certPem: string | undefined;
  readonly keyFile: string | undefined;
  readonly keyPem: string | undefined;
  readonly serverNameOverride: string | undefined;
  readonly minVersion: '1.0' | '1.1' | '1.2' | '1.3';
}

/** Where nothing is configured. */
export const defaultTls: TlsOptions = {
  insecure: false,
  insecureSkipVerify: false,
  includeSystemCaCertsPool: false,
  caFile: undefined,
  caPem: undefined,
  certFile: undefined,
  certPem: undefined,
  keyFile: undefined,
  keyPem: undefined,
  serverNameOverride: undefined,
  minVersion: '1.2',
};

/** Assignable to the options of tls.createSecureContext and https.Agent. */
export interface TlsMaterial {
  readonly ca: string[];
  readonly cert?: string;
  readonly key?: string;
  readonly minVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
}

const MIN_VERSIONS = { '1.0': 'TLSv1', '1.1': 'TLSv1.1', '1.2': 'TLSv1.2', '1.3': 'TLSv1.3' } as const;

/** @throws {Error} naming the exporter, the key and the file that could not be read. */
export async function loadTls(exporterId: string, options: TlsOptions): Promise<TlsMaterial> {
  const ca = await pem(exporterId, 'ca', options.caFile, options.caPem);
  const cert = await pem(exporterId, 'cert', options.certFile, options.certPem);
  const key = await pem(exporterId, 'key', options.keyFile, options.keyPem);
  return {
    ca: ca === undefined ? hostRoots() : options.includeSystemCaCertsPool ? [...hostRoots(), ca] : [ca],
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    minVersion: MIN_VERSIONS[options.minVersion],
  };
}

/** The host's own roots, as a Collector takes them, and Node's, for a host that has none. */
function hostRoots(): string[] {
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}

async function pem(
  exporterId: string,
  name: string,
  file: string | undefined,
  text: string | undefined,
): Promise<string | undefined> {
  if (file === undefined || file === '') return text;
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new Error(`exporters::${exporterId}::tls::${name}_file: cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}
