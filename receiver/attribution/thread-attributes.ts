// The record that an application's thread had published → attributes of the span: those that are wanted, by name. OTEP 4947.
import { decodeRecord } from '../../otel-thread-context/reader/index.ts';
import { threadContextOf } from '../model/exchange.ts';
import type { ProcessId } from '../model/process.ts';
import type { AttributeValue } from '../model/span.ts';
import type { Transaction } from '../model/transaction.ts';

/** Appends to a flat list of attributes. */
export type AddThreadAttributes = (transaction: Transaction, to: (string | AttributeValue)[]) => void;

export interface ThreadAttributesOptions {
  /** Those that are wanted. */
  readonly names: readonly string[];
  /** Names of the attributes in a process's records, by their index. */
  readonly keyMapOf: (process: ProcessId) => readonly string[];
  /** The key map does not have all of them: it has grown. */
  readonly onUnknownKey: (process: ProcessId) => void;
}

export function createThreadAttributes({ names, keyMapOf, onUnknownKey }: ThreadAttributesOptions): AddThreadAttributes {
  const wanted = new Set(names);
  return ({ exchange, process }, to) => {
    const bytes = threadContextOf(exchange)?.record;
    if (bytes === undefined) return;
    const record = decodeRecord(bytes, keyMapOf(process));
    if (record.kind !== 'context') return;
    if (record.unknownKeys.length > 0) onUnknownKey(process);
    for (const [name, value] of record.attributes) if (wanted.has(name) && !hasAttribute(to, name)) to.push(name, value);
  };
}

/** What we have seen ourselves stays. */
function hasAttribute(list: readonly (string | AttributeValue)[], name: string): boolean {
  for (let i = 0; i < list.length; i += 2) if (list[i] === name) return true;
  return false;
}
