// What an exchange has in common, whatever the version of HTTP, and the Transaction that it comes to. Hot path.
import type { Exchange } from '../../model/exchange.ts';
import type { ProcessId } from '../../model/process.ts';
import type { Abort, HttpRequest, Nanoseconds, RpcCall, Transaction } from '../../model/transaction.ts';

/** A request whose body size may still become known. */
export type OpenRequest = { -readonly [K in keyof HttpRequest]: HttpRequest[K] };

/** A request on its way to an answer. */
export interface OpenExchange extends Exchange {
  readonly start: Nanoseconds;
  readonly request: OpenRequest;
  readonly isConnect: boolean;
  /** 0 until the final response's head is whole, or while its status is not known. */
  statusCode: number;
  /** Who moved the first byte of the final response. */
  answeredBy: ProcessId | undefined;
}

/** As it stands at `end`. `bodySize`: of the response. */
export function transactionOf(
  exchange: OpenExchange,
  end: Nanoseconds,
  bodySize: number | undefined,
  abort: Abort | undefined,
  reset: string | undefined,
  rpc: RpcCall | undefined,
): Transaction {
  const { connection } = exchange;
  // The role is resolved before a conversation is opened.
  const role = connection.role === 'client' ? 'client' : 'server';
  return {
    kind: 'http',
    exchange,
    connection,
    role,
    secure: connection.security !== undefined,
    process: role === 'server' && exchange.answeredBy !== undefined ? exchange.answeredBy : exchange.process,
    requestPosition: exchange.position,
    // The call that sent the request may return after the one that read the answer.
    start: Math.min(exchange.start, end),
    end,
    request: exchange.request,
    response: exchange.statusCode === 0 ? undefined : { statusCode: exchange.statusCode, bodySize },
    abort,
    reset,
    rpc,
  };
}
