// TLS settings of an exporter, as the configuration gives them by default.
import { defaultTls, type TlsOptions } from '../../receiver/export/tls.ts';

export function tlsOptions(changes: Partial<TlsOptions> = {}): TlsOptions {
  return { ...defaultTls, ...changes };
}
