// What an examination of an executable or library finds: the TLS library in it, and where to probe it, or why not.

/** As bpf/event.h numbers them. */
export const tlsLibraries = { openssl: 1, go: 2, gnutls: 3 } as const;
export type ReadableLibrary = keyof typeof tlsLibraries;

/** Those that are only recognised. */
export type TlsLibrary = ReadableLibrary | 'boringssl' | 'rustls' | 'nss' | 'mbedtls' | 'wolfssl' | 'jsse';

export interface ProbeSite {
  /** Name of the BPF program. */
  readonly program: string;
  /** In the file. */
  readonly offset: number;
  readonly cookie: bigint;
  /** For people: the function, and what stands there. */
  readonly description: string;
  /** Linux emulates the instruction; else it costs a single step. */
  readonly isEmulated: boolean;
}

export interface Probes {
  readonly kind: 'probes';
  readonly library: ReadableLibrary;
  /** As the library says it; '' when it does not. */
  readonly version: string;
  readonly sites: readonly ProbeSite[];
  /** Go: what its programs have to know of the file, as struct tls_target. */
  readonly target?: Uint8Array;
}

export interface Refused {
  readonly kind: 'refused';
  readonly library: TlsLibrary;
  readonly version: string;
  /** A few words from a small set, for counters. */
  readonly reason: string;
  /** For people. */
  readonly detail: string;
}

/** One file may hold several libraries; most hold none. */
export type Finding = Probes | Refused;
