// TLS settings of an exporter, as the configuration gives them by default.
import type { TlsOptions } from '../../receiver/export/tls.ts';

export function tlsOptions(changes: Partial<TlsOptions> = {}): TlsOptions {
  return {
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
    ...changes,
  };
}
