// One request on its way to an answer, as HTTP/1 has it.
import type { ConnectionInfo } from '../../model/connection.ts';
import type { OpenExchange } from '../../model/exchange.ts';
import type { ProcessId } from '../../model/process.ts';
import type { HttpRequest, Nanoseconds } from '../../model/transaction.ts';
import { BAD_LENGTH, Field, type Head, NO_LENGTH } from './head.ts';
import type { Body } from './parse.ts';

export interface HttpExchange extends OpenExchange {
  /** Where the response side stood when the request's first byte was told of. */
  readonly otherPosition: number;
  readonly isHead: boolean;
  /** A CONNECT, or an offer to upgrade: what follows it on the request side depends on the answer. */
  readonly maySwitch: boolean;
  /** `HTTP2-Settings` of an offer. */
  readonly settings: string | undefined;
}

/** Makes the exchange of the request head just read. `last`: a request before it, whose strings may come again. */
export function openExchange(
  head: Head,
  bytes: Uint8Array,
  last: HttpRequest | undefined,
  connection: ConnectionInfo,
  position: number,
  otherPosition: number,
  start: Nanoseconds,
  process: ProcessId,
): HttpExchange {
  const isConnect = head.isMethod(bytes, 'CONNECT');
  return {
    connection,
    position,
    otherPosition,
    start,
    process,
    isOver: false,
    otherEnd: undefined,
    servedBy: undefined,
    requestContext: undefined,
    responseContext: undefined,
    spanContext: undefined,
    request: {
      method: head.methodText(bytes, last?.method),
      target: head.targetText(bytes, last?.target),
      version: head.versionText(bytes),
      scheme: undefined,
      protocol: undefined,
      host: head.fieldText(Field.host, bytes, last?.host),
      userAgent: head.fieldText(Field.userAgent, bytes, last?.userAgent),
      traceparent: head.fieldText(Field.traceparent, bytes, undefined),
      tracestate: head.fieldText(Field.tracestate, bytes, last?.tracestate),
      forwarded: head.fieldText(Field.forwarded, bytes, last?.forwarded),
      xForwardedFor: head.fieldText(Field.xForwardedFor, bytes, last?.xForwardedFor),
      xForwardedProto: head.fieldText(Field.xForwardedProto, bytes, last?.xForwardedProto),
      contentType: head.fieldText(Field.contentType, bytes, last?.contentType),
      connectVersion: head.fieldText(Field.connectVersion, bytes, last?.connectVersion),
      bodySize: undefined,
    },
    isHead: head.isMethod(bytes, 'HEAD'),
    isConnect,
    maySwitch: isConnect || head.offersUpgrade,
    settings: head.offersUpgrade ? head.fieldText(Field.http2Settings, bytes, undefined) : undefined,
    statusCode: 0,
    answeredBy: undefined,
  };
}

/** What is still known of the last exchange of an idle connection, for those who ask what connections are for. */
export function pastExchange(connection: ConnectionInfo, request: HttpRequest, process: ProcessId): HttpExchange {
  return {
    connection,
    position: 0,
    otherPosition: 0,
    start: 0,
    process,
    isOver: true,
    otherEnd: undefined,
    servedBy: undefined,
    requestContext: undefined,
    responseContext: undefined,
    spanContext: undefined,
    request,
    isHead: false,
    isConnect: false,
    maySwitch: false,
    settings: undefined,
    statusCode: 0,
    answeredBy: undefined,
  };
}

const NO_BODY: Body = { kind: 'none' };
const CHUNKED: Body = { kind: 'chunked' };
const UNTIL_END: Body = { kind: 'until_end' };

/** The body that follows a request head (RFC 9112, 6.3); undefined when that would be a guess. */
export function requestBody(head: Head): Body | undefined {
  if (head.transferCoding === 'chunked') return CHUNKED;
  if (head.transferCoding === 'other' || head.contentLength === BAD_LENGTH) return undefined;
  return head.contentLength === NO_LENGTH || head.contentLength === 0 ? NO_BODY : { kind: 'length', length: head.contentLength };
}

/** The body that follows a response head; undefined when that would be a guess. `exchange`: what it answers, if anything. */
export function responseBody(head: Head, exchange: HttpExchange | undefined): Body | undefined {
  const status = head.statusCode;
  if (status < 200 || status === 204 || status === 304 || exchange?.isHead === true) return NO_BODY;
  if (exchange?.isConnect === true && status < 300) return NO_BODY;
  if (head.transferCoding === 'chunked') return CHUNKED;
  if (head.transferCoding === 'other') return UNTIL_END;
  if (head.contentLength === BAD_LENGTH) return undefined;
  if (head.contentLength === NO_LENGTH) return UNTIL_END;
  return head.contentLength === 0 ? NO_BODY : { kind: 'length', length: head.contentLength };
}
