// vitals_event of bpf/event.h → how a TCP connection fares: from the ring at its end, or many at once as an iterator tells of living ones.
import type { Role } from '../model/connection.ts';
import type { ConnectionOutcome, ConnectionVitals } from '../model/connection-vitals.ts';
import { formatAddress, isMappedIpv4 } from './ipv6.ts';
import { vitalsEvent } from './layout.ts';

const ROLES: readonly Role[] = ['unknown', 'client', 'server'];
/** By their number in enum conn_outcome. */
const OUTCOMES: readonly (ConnectionOutcome | undefined)[] = [
  undefined,
  'closed',
  'reset_received',
  'reset_sent',
  'reset',
  'failed',
];

/** `at`: where the record begins; all of it must be there. */
export function decodeVitals(bytes: Uint8Array, at: number): ConnectionVitals {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, vitalsEvent.sizeOf);
  const u64 = (field: number): number => Number(view.getBigUint64(field, true));
  const u32 = (field: number): number => view.getUint32(field, true);
  const u16 = (field: number): number => view.getUint16(field, true);
  const local = bytes.subarray(at + vitalsEvent.localAddress, at + vitalsEvent.localAddress + 16);
  const peer = bytes.subarray(at + vitalsEvent.peerAddress, at + vitalsEvent.peerAddress + 16);
  const pid = u32(vitalsEvent.tgid);
  return {
    connection: u64(vitalsEvent.cookie),
    sent: u64(vitalsEvent.sent),
    received: u64(vitalsEvent.received),
    retransmits: u32(vitalsEvent.retransmits),
    rttUs: u32(vitalsEvent.rtt),
    role: ROLES[view.getUint8(vitalsEvent.role)] ?? 'unknown',
    ipVersion: isMappedIpv4(peer) ? 4 : 6,
    local: { address: formatAddress(local), port: u16(vitalsEvent.localPort) },
    peer: { address: formatAddress(peer), port: u16(vitalsEvent.peerPort) },
    networkNamespace: u32(vitalsEvent.netns),
    process: pid === 0 ? undefined : { pid, startTime: u64(vitalsEvent.startTime) },
    outcome: OUTCOMES[view.getUint8(vitalsEvent.outcome)],
    error: u32(vitalsEvent.error),
    isUnsent: view.getUint8(vitalsEvent.unsent) !== 0,
  };
}

/** Of an iterator's output, which is records without anything between. */
export function decodeAllVitals(bytes: Uint8Array, visit: (vitals: ConnectionVitals) => void): void {
  for (let at = 0; at + vitalsEvent.sizeOf <= bytes.length; at += vitalsEvent.sizeOf) visit(decodeVitals(bytes, at));
}
