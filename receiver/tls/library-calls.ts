// What of OpenSSL's and GnuTLS's interfaces takes plaintext and gives it, and what makes another connection of an object.
// https://docs.openssl.org/3.0/man3/SSL_read/, https://www.gnutls.org/manual/html_node/Core-TLS-API.html
import { probeFlag } from '../kernel/layout.ts';
import type { CallShape } from './call-sites.ts';

export interface LibraryCall {
  readonly name: string;
  readonly shape: CallShape;
  readonly flags: number;
  /** It may end in a function within the library, which others call too. */
  readonly followsJumps?: boolean;
  /** Needs no probes if it is nothing but another way to call this one. */
  readonly forwardsTo?: string;
  /** Rare: if there is no place for its probes, objects for which it is called are given up; else the library is not read at all. */
  readonly isRare?: boolean;
}

export interface LibraryCalls {
  readonly calls: readonly LibraryCall[];
  /** What makes another connection of an object, or none. */
  readonly forgets: readonly string[];
  /** What has an object begin anew: the library calls it itself, as a handshake begins. */
  readonly clears: readonly string[];
  /** What moves plaintext in a way that is not followed: an object for which it is called is given up. */
  readonly unfollowed: readonly string[];
}

const count: CallShape = { needs: [0, 1], result: 'count' };
const success: CallShape = { needs: [0, 1, 3], result: 'success' };
const { sent, countPointer, noBuffer, isQuiet } = probeFlag;

export const openSslCalls: LibraryCalls = {
  calls: [
    { name: 'SSL_read', shape: count, flags: 0 },
    { name: 'SSL_write', shape: count, flags: sent },
    { name: 'SSL_read_ex', shape: success, flags: countPointer },
    { name: 'SSL_write_ex', shape: success, flags: sent | countPointer },
    // A server's; a client may have to send again what it has sent early.
    { name: 'SSL_read_early_data', shape: success, flags: countPointer, isRare: true },
    { name: 'SSL_sendfile', shape: { needs: [0], result: 'count' }, flags: sent | noBuffer, isRare: true },
  ],
  forgets: ['SSL_free', 'SSL_set_fd', 'SSL_set_rfd', 'SSL_set_wfd', 'SSL_set_bio', 'SSL_set0_rbio', 'SSL_set0_wbio'],
  clears: ['SSL_clear'],
  unfollowed: ['SSL_write_early_data'],
};

export const gnuTlsCalls: LibraryCalls = {
  calls: [
    { name: 'gnutls_record_recv', shape: count, flags: 0, followsJumps: true },
    { name: 'gnutls_record_recv_seq', shape: count, flags: 0, followsJumps: true },
    { name: 'gnutls_record_send', shape: count, flags: sent, followsJumps: true, forwardsTo: 'gnutls_record_send2' },
    { name: 'gnutls_record_send2', shape: count, flags: sent, followsJumps: true },
    // Sends what gnutls_record_send() has taken before.
    { name: 'gnutls_record_uncork', shape: { needs: [0], result: 'count' }, flags: sent | isQuiet },
  ],
  forgets: ['gnutls_deinit', 'gnutls_transport_set_ptr', 'gnutls_transport_set_ptr2', 'gnutls_transport_set_int2'],
  clears: [],
  unfollowed: [
    'gnutls_record_recv_packet',
    'gnutls_record_recv_early_data',
    'gnutls_record_send_early_data',
    'gnutls_record_send_file',
    'gnutls_record_send_range',
  ],
};
