// The description that an addon publishes for each thread that runs JavaScript → the record of the function that runs now: from the slot in which V8
// keeps the current AsyncContextFrame, a map, through the entry of the addon's own AsyncLocalStorage, to the object that wraps the record.
// The BPF side does the same in the thread itself (bpf/thread_context_node.h). Schema nodejs_v1_dev.
import { isAddress, type ReadAt, readWord, u64, viewOf } from './bytes.ts';

/** Where things are in V8's objects, from their tagged addresses; the same in Node.js 22 to 26, on 64-bit machines without compressed pointers. */
const TAG = 1;
const MAP_TABLE = 24;
const TABLE_HEADER = 16;
const TABLE_BUCKETS = TABLE_HEADER + 24;
const ENTRY_SIZE = 24;
/** Where a wrapper has the address of the record: Node.js 22 at the first, later ones at the second, where the first is empty. */
const RECORD_SLOTS = [24, 32] as const;
const MAX_BUCKETS = 1024;
const MAX_CHAIN = 8;

export const DESCRIPTION_SIZE = 32;

export type NodejsRecord =
  | { readonly kind: 'record'; readonly address: number }
  /** No JavaScript runs, or it is in no span. */
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable'; readonly what: string };

/** `description` is the address of the thread's variable. */
export function nodejsRecord(read: ReadAt, description: number): NodejsRecord {
  const unreadable = (what: string): NodejsRecord => ({ kind: 'unreadable', what });
  const none: NodejsRecord = { kind: 'none' };
  // { frame slot, storage handle, i32 hash of the storage, tagged undefined }
  const bytes = isAddress(description) ? read(description, DESCRIPTION_SIZE) : undefined;
  if (!bytes) return unreadable('the description');
  const view = viewOf(bytes);
  const frameSlot = u64(view, 0);
  if (frameSlot === 0) return none;
  const nothing = u64(view, 24);
  const frame = readWord(read, frameSlot);
  const storage = readWord(read, u64(view, 8));
  if (frame === undefined || storage === undefined) return unreadable('the current frame');
  if (frame === nothing) return none;
  const table = isTagged(frame) ? readWord(read, frame - TAG + MAP_TABLE) : undefined;
  const buckets = table !== undefined && isTagged(table) ? readSmi(read, table - TAG + TABLE_HEADER + 16) : undefined;
  if (table === undefined || buckets === undefined) return unreadable('the map of the frame');
  if (buckets < 1 || buckets > MAX_BUCKETS || (buckets & (buckets - 1)) !== 0) return unreadable('the size of the map');
  const start = table - TAG + TABLE_BUCKETS;
  let entry = readSmi(read, start + (view.getInt32(16, true) & (buckets - 1)) * 8);
  for (let i = 0; i < MAX_CHAIN; i++) {
    if (entry === undefined) return unreadable('the map');
    if (entry < 0 || entry >= 2 * buckets) return none;
    const words = read(start + buckets * 8 + entry * ENTRY_SIZE, ENTRY_SIZE);
    if (!words) return unreadable('an entry of the map');
    const pair = viewOf(words);
    if (u64(pair, 0) !== storage) {
      entry = pair.getInt32(20, true);
      continue;
    }
    const wrapper = u64(pair, 8);
    if (wrapper === nothing) return none;
    return isTagged(wrapper) ? recordOf(read, wrapper - TAG) : unreadable('the wrapper');
  }
  return none;
}

function recordOf(read: ReadAt, wrapper: number): NodejsRecord {
  for (const slot of RECORD_SLOTS) {
    const address = readWord(read, wrapper + slot);
    if (address === undefined) return { kind: 'unreadable', what: 'the wrapper' };
    if (address !== 0) return { kind: 'record', address };
  }
  return { kind: 'none' };
}

function isTagged(word: number): boolean {
  return isAddress(word) && word % 4 === TAG;
}

/** A small integer is in the upper half of its word. */
function readSmi(read: ReadAt, address: number): number | undefined {
  const bytes = read(address, 8);
  return bytes && viewOf(bytes).getInt32(4, true);
}
