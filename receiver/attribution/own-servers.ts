// Is this a client of the receiver itself: a scrape, a health check, an inspection? Our own sockets are left alone by the kernel side, but
// when such a client begins to speak nobody knows yet whose the other end is.
import type { ConnectionInfo } from '../model/connection.ts';

export interface OwnServers {
  /** That we listen on. */
  readonly ports: ReadonlySet<number>;
  /** Inode of our network namespace; undefined: unknown. */
  readonly networkNamespace: number | undefined;
}

type ConnectionEnds = Pick<ConnectionInfo, 'role' | 'peer' | 'local' | 'networkNamespace'>;

/** True for the client's end of a connection from this host to one of our servers. Another namespace has ports of its own. */
export function isOwnClient(connection: ConnectionEnds, servers: OwnServers): boolean {
  const { role, peer, local, networkNamespace } = connection;
  if (role !== 'client' || !servers.ports.has(peer.port) || networkNamespace !== servers.networkNamespace) return false;
  // A host speaks to an address of its own from the same one, unless it was told otherwise.
  return peer.address === local.address || peer.address.startsWith('127.');
}

/** `net:[4026531840]`, as /proc/self/ns/net links to. */
export function parseNetworkNamespace(link: string | undefined): number | undefined {
  const match = /^net:\[(\d+)\]$/.exec(link ?? '');
  return match === null ? undefined : Number(match[1]);
}
