// An exchange, whatever the version of HTTP → the Transaction that it comes to. Hot path.
import type { OpenExchange } from '../../model/exchange.ts';
import type { Abort, Nanoseconds, RpcCall, Transaction } from '../../model/transaction.ts';

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
