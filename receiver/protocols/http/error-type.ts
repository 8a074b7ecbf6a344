// Hot path. How an HTTP exchange failed → `error.type` (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status).
import { ERROR_TYPE_VALUE_OTHER } from '@opentelemetry/semantic-conventions';
import type { Transaction } from '../../model/transaction.ts';

/**
 * '' unless the span's status is Error. A status code that is an error for this side says more than how the exchange ended, and one that
 * is the other side's error (4xx on a server) keeps the status unset, however it ended.
 */
export function errorTypeOf(transaction: Transaction, isServer: boolean): string {
  const status = transaction.response?.statusCode ?? 0;
  if (status >= 500) return String(status);
  if (status >= 400) return isServer ? '' : String(status);
  return endErrorOf(transaction);
}

/**
 * How an exchange ended early; '' if it did not. A stream's reset is the name of its error code, as RFC 9113 writes it. A code that has no name
 * is `_OTHER`: there are 2 ** 32 of them, and a number looks like a status code.
 */
export function endErrorOf({ abort, reset }: Transaction): string {
  if (reset === undefined) return abort ?? '';
  const first = reset.charCodeAt(0);
  return first >= 0x41 && first <= 0x5a ? reset : ERROR_TYPE_VALUE_OTHER;
}
