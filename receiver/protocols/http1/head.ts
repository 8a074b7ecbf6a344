// A message head, from its first byte to its empty line → what frames the body, and where the few fields that we keep are.
// One pass over the bytes, nothing copied; strings are made only by the text methods.
// More than 400 lines: what a line means depends on those before it, and all of it is one pass. Hot path. RFC 9112, 2 to 6.
import {
  COLON,
  COMMA,
  CR,
  decodeText,
  equalsIgnoringCase,
  equalsText,
  hasListItem,
  LF,
  parseDecimal,
  skipBlanks,
  SPACE,
  TAB,
  trimBlanks,
} from '../../bytes/ascii.ts';
import type { Side, Verdict } from '../../model/protocol.ts';
import { MALFORMED, MORE, scanRequestLine, scanStatus, VERSION_SIZE } from './start-line.ts';

/** Request fields whose text is kept. */
export const Field = {
  host: 0,
  userAgent: 1,
  traceparent: 2,
  tracestate: 3,
  forwarded: 4,
  xForwardedFor: 5,
  xForwardedProto: 6,
  contentType: 7,
  http2Settings: 8,
  connectVersion: 9,
} as const;
export type Field = (typeof Field)[keyof typeof Field];
const FIELD_COUNT = 10;

/** What the line before an obs-fold was, when it was not a kept field. */
const IGNORED = -1;
const FRAMING = -2;
const NOTHING = -3;

/** Values of {@link Head.contentLength} that are no length. */
export const NO_LENGTH = -1;
export const BAD_LENGTH = -2;

/** Bit n is set when a field of interest begins with the n-th letter. */
const REQUEST_INITIALS = bitsOf('cfhtux');
const RESPONSE_INITIALS = bitsOf('ctu');

const METHODS: readonly string[] = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'CONNECT', 'TRACE'];

export class Head {
  /** Index behind the empty line, once {@link read} said 'yes'. */
  end = 0;
  statusCode = 0;
  contentLength = NO_LENGTH;
  /** The final transfer coding: none named, chunked, or one that leaves the length open. */
  transferCoding: 'none' | 'chunked' | 'other' = 'none';
  /** The sender offers another protocol on this connection: Upgrade, named by Connection (RFC 9110, 7.8). */
  offersUpgrade = false;

  readonly #side: Side;
  readonly #initials: number;
  #start = 0;
  #methodEnd = 0;
  #targetEnd = 0;
  #hasUpgrade = false;
  /** Value of the Upgrade field, if there is one. */
  #upgradeFrom = 0;
  #upgradeTo = 0;
  #hasConnectionUpgrade = false;
  /** Value of the last Connection field, looked into only when there is an Upgrade. */
  #connectionFrom = 0;
  #connectionTo = 0;
  /** Field of the line before, or one of the constants above. */
  #previous: number = NOTHING;
  #isFolded = false;
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  /** Values of repeated list fields before the last one, joined. */
  #earlier: (string | undefined)[] | undefined;

  constructor(side: Side) {
    this.#side = side;
    this.#initials = side === 'request' ? REQUEST_INITIALS : RESPONSE_INITIALS;
    if (side === 'request') {
      for (let i = 0; i < FIELD_COUNT; i++) {
        this.#from.push(-1);
        this.#to.push(-1);
      }
    }
  }

  /** Reads the head that begins at `from`. 'yes': it is whole; 'more': it is not, so far; 'no': it is none. */
  read(bytes: Uint8Array, from: number, to: number): Verdict {
    this.#reset(from);
    let i = this.#side === 'request' ? this.#readRequestLine(bytes, from, to) : this.#readStatusLine(bytes, from, to);
    while (i >= 0) {
      if (i >= to) return 'more';
      const byte = bytes[i] as number;
      if (byte === LF) return this.#finish(bytes, i + 1);
      if (byte === CR) {
        if (i + 1 >= to) return 'more';
        return bytes[i + 1] === LF ? this.#finish(bytes, i + 2) : 'no';
      }
      i = this.#readFieldLine(bytes, i, to);
    }
    return i === MORE ? 'more' : 'no';
  }

  /** Is the method of the head just read `method`? */
  isMethod(bytes: Uint8Array, method: string): boolean {
    return equalsText(bytes, this.#start, this.#methodEnd, method);
  }

  /** `last` is returned when it is the same, as on most connections it is. */
  methodText(bytes: Uint8Array, last: string | undefined): string {
    if (last !== undefined && this.isMethod(bytes, last)) return last;
    for (const method of METHODS) {
      if (this.isMethod(bytes, method)) return method;
    }
    return decodeText(bytes, this.#start, this.#methodEnd);
  }

  targetText(bytes: Uint8Array, last: string | undefined): string {
    const from = this.#methodEnd + 1;
    if (last !== undefined && equalsText(bytes, from, this.#targetEnd, last)) return last;
    return decodeText(bytes, from, this.#targetEnd);
  }

  versionText(bytes: Uint8Array): string {
    return bytes[this.#targetEnd + VERSION_SIZE] === 0x30 ? '1.0' : '1.1';
  }

  fieldText(field: Field, bytes: Uint8Array, last: string | undefined): string | undefined {
    const from = this.#from[field] as number;
    if (from < 0) return undefined;
    const to = this.#to[field] as number;
    const earlier = this.#earlier?.[field];
    if (last !== undefined && earlier === undefined && equalsText(bytes, from, to, last)) return last;
    let text = decodeText(bytes, from, to);
    if (this.#isFolded) text = text.replace(/[\t ]*\r?\n[\t ]+/g, ' ').trim();
    return earlier === undefined ? text : `${earlier},${text}`;
  }

  /** The protocols that the sender names in Upgrade, in lower case; '' if it names none, or in several lines. */
  upgradeText(bytes: Uint8Array): string {
    return this.#hasUpgrade ? decodeText(bytes, this.#upgradeFrom, this.#upgradeTo).toLowerCase() : '';
  }

  #reset(from: number): void {
    this.#start = from;
    this.statusCode = 0;
    this.contentLength = NO_LENGTH;
    this.transferCoding = 'none';
    this.offersUpgrade = false;
    this.#hasUpgrade = false;
    this.#hasConnectionUpgrade = false;
    this.#connectionTo = 0;
    this.#previous = NOTHING;
    this.#isFolded = false;
    this.#earlier = undefined;
    const fields = this.#from;
    for (let i = 0; i < fields.length; i++) fields[i] = -1;
  }

  #finish(bytes: Uint8Array, end: number): Verdict {
    this.end = end;
    if (this.#hasUpgrade) {
      this.#readConnection(bytes);
      this.offersUpgrade = this.#hasConnectionUpgrade;
    }
    return 'yes';
  }

  #readConnection(bytes: Uint8Array): void {
    if (hasListItem(bytes, this.#connectionFrom, this.#connectionTo, 'upgrade')) this.#hasConnectionUpgrade = true;
  }

  #readRequestLine(bytes: Uint8Array, from: number, to: number): number {
    const end = scanRequestLine(bytes, from, to);
    if (end < 0) return end;
    // The grammar was checked: the version ends the line, and the method has no space.
    this.#targetEnd = end - (bytes[end - 2] === CR ? 2 : 1) - VERSION_SIZE - 1;
    let i = from;
    while (bytes[i] !== SPACE) i++;
    this.#methodEnd = i;
    return end;
  }

  #readStatusLine(bytes: Uint8Array, from: number, to: number): number {
    const end = scanStatus(bytes, from, to);
    if (end < 0) return end;
    this.statusCode =
      ((bytes[end - 3] as number) - 0x30) * 100 + ((bytes[end - 2] as number) - 0x30) * 10 + ((bytes[end - 1] as number) - 0x30);
    const last = findLineEnd(bytes, end, to);
    return last < 0 ? last : last + (bytes[last] === CR ? 2 : 1);
  }

  /** Reads the field line at `from`; the index behind it, {@link MORE} or {@link MALFORMED}. */
  #readFieldLine(bytes: Uint8Array, from: number, to: number): number {
    let i = from;
    let byte = bytes[i] as number;
    // Most fields are told from those of interest by their first letter; obs-folds, which begin with a blank, are not.
    if (byte >= 0x40 && ((this.#initials >>> (byte & 31)) & 1) === 0) {
      const end = findLineEnd(bytes, from + 1, to);
      if (end < 0) return end;
      this.#previous = IGNORED;
      return end + (bytes[end] === CR ? 2 : 1);
    }
    while (byte !== COLON) {
      if (byte <= SPACE) return this.#readOddLine(bytes, from, i, to);
      if (++i >= to) return MORE;
      byte = bytes[i] as number;
    }
    return this.#readValue(bytes, from, i, i + 1, to);
  }

  #readValue(bytes: Uint8Array, nameFrom: number, nameTo: number, from: number, to: number): number {
    const end = findLineEnd(bytes, from, to);
    if (end < 0) return end;
    const next = end + (bytes[end] === CR ? 2 : 1);
    if (this.#side === 'request') {
      this.#previous = this.#takeRequestField(bytes, nameFrom, nameTo, from, end);
    } else {
      this.#previous = this.#takeFramingField(bytes, nameFrom, nameTo, from, end);
    }
    return next;
  }

  /** Lines that do not begin with `name:`. Rare, and never allowed to frame anything. */
  #readOddLine(bytes: Uint8Array, from: number, nameTo: number, to: number): number {
    const end = findLineEnd(bytes, from, to);
    if (end < 0) return end;
    const next = end + (bytes[end] === CR ? 2 : 1);
    if (nameTo === from) return this.#fold(bytes, from, end) ? next : MALFORMED;
    const colon = skipBlanks(bytes, nameTo, end);
    if (colon < end && bytes[colon] === COLON && nameTo < colon) {
      // Space between name and colon: clients drop it (RFC 9112, 5.1); between servers it smuggles requests, so there it frames nothing.
      if (this.#side === 'response') return this.#readValue(bytes, from, nameTo, colon + 1, to);
      if (isFramingName(bytes, from, nameTo)) this.contentLength = BAD_LENGTH;
    }
    // A line without a colon says nothing; servers and clients that bear it ignore it.
    this.#previous = IGNORED;
    return next;
  }

  /** Joins a continuation (obs-fold, RFC 9112, 5.2) to the line before; false where that would be a guess. */
  #fold(bytes: Uint8Array, from: number, end: number): boolean {
    if (bytes[from] !== SPACE && bytes[from] !== TAB) return false;
    const previous = this.#previous;
    if (previous === NOTHING || previous === FRAMING) return false;
    if (previous >= 0) {
      this.#to[previous] = trimBlanks(bytes, this.#from[previous] as number, end);
      this.#isFolded = true;
    }
    return true;
  }

  #takeRequestField(bytes: Uint8Array, nameFrom: number, nameTo: number, from: number, end: number): number {
    switch (nameTo - nameFrom) {
      case 4:
        return equalsIgnoringCase(bytes, nameFrom, nameTo, 'host') ? this.#keepFirst(Field.host, bytes, from, end) : IGNORED;
      case 9:
        return equalsIgnoringCase(bytes, nameFrom, nameTo, 'forwarded')
          ? this.#keepAll(Field.forwarded, bytes, from, end)
          : IGNORED;
      case 10:
        if (equalsIgnoringCase(bytes, nameFrom, nameTo, 'user-agent')) return this.#keepFirst(Field.userAgent, bytes, from, end);
        if (equalsIgnoringCase(bytes, nameFrom, nameTo, 'tracestate')) return this.#keepAll(Field.tracestate, bytes, from, end);
        break;
      case 11:
        return equalsIgnoringCase(bytes, nameFrom, nameTo, 'traceparent')
          ? this.#keepAll(Field.traceparent, bytes, from, end)
          : IGNORED;
      case 12:
        return equalsIgnoringCase(bytes, nameFrom, nameTo, 'content-type')
          ? this.#keepFirst(Field.contentType, bytes, from, end)
          : IGNORED;
      case 14:
        if (equalsIgnoringCase(bytes, nameFrom, nameTo, 'http2-settings')) {
          return this.#keepFirst(Field.http2Settings, bytes, from, end);
        }
        break;
      case 15:
        return equalsIgnoringCase(bytes, nameFrom, nameTo, 'x-forwarded-for')
          ? this.#keepAll(Field.xForwardedFor, bytes, from, end)
          : IGNORED;
      case 17:
        if (equalsIgnoringCase(bytes, nameFrom, nameTo, 'x-forwarded-proto')) {
          return this.#keepAll(Field.xForwardedProto, bytes, from, end);
        }
        break;
      case 24:
        return equalsIgnoringCase(bytes, nameFrom, nameTo, 'connect-protocol-version')
          ? this.#keepFirst(Field.connectVersion, bytes, from, end)
          : IGNORED;
    }
    return this.#takeFramingField(bytes, nameFrom, nameTo, from, end);
  }

  #takeFramingField(bytes: Uint8Array, nameFrom: number, nameTo: number, from: number, end: number): number {
    switch (nameTo - nameFrom) {
      case 7:
        if (!equalsIgnoringCase(bytes, nameFrom, nameTo, 'upgrade')) return IGNORED;
        this.#addUpgrade(bytes, from, end);
        return IGNORED;
      case 10:
        if (this.#side === 'response' || !equalsIgnoringCase(bytes, nameFrom, nameTo, 'connection')) return IGNORED;
        if (this.#connectionTo > 0) this.#readConnection(bytes);
        this.#connectionFrom = from;
        this.#connectionTo = end;
        return IGNORED;
      case 14:
        if (!equalsIgnoringCase(bytes, nameFrom, nameTo, 'content-length')) return IGNORED;
        this.#addContentLength(bytes, from, end);
        return FRAMING;
      case 17:
        if (!equalsIgnoringCase(bytes, nameFrom, nameTo, 'transfer-encoding')) return IGNORED;
        this.#addTransferCodings(bytes, from, end);
        return FRAMING;
      default:
        return IGNORED;
    }
  }

  #keepFirst(field: Field, bytes: Uint8Array, from: number, end: number): number {
    if ((this.#from[field] as number) >= 0) return IGNORED;
    return this.#keep(field, bytes, from, end);
  }

  #keepAll(field: Field, bytes: Uint8Array, from: number, end: number): number {
    const text = this.fieldText(field, bytes, undefined);
    if (text !== undefined) {
      this.#earlier ??= [];
      this.#earlier[field] = text;
    }
    return this.#keep(field, bytes, from, end);
  }

  #keep(field: Field, bytes: Uint8Array, from: number, end: number): number {
    const start = skipBlanks(bytes, from, end);
    this.#from[field] = start;
    this.#to[field] = trimBlanks(bytes, start, end);
    return field;
  }

  /** Of several lines only that they are there is known. */
  #addUpgrade(bytes: Uint8Array, from: number, end: number): void {
    const isRepeated = this.#hasUpgrade;
    const start = skipBlanks(bytes, from, end);
    this.#hasUpgrade ||= start < end;
    this.#upgradeFrom = start;
    this.#upgradeTo = isRepeated ? start : trimBlanks(bytes, start, end);
  }

  /** Equal lengths, repeated in a list or in lines, are one length; anything else is none (RFC 9112, 6.3). */
  #addContentLength(bytes: Uint8Array, from: number, end: number): void {
    let item = from;
    for (let i = from; i <= end; i++) {
      if (i < end && bytes[i] !== COMMA) continue;
      const start = skipBlanks(bytes, item, i);
      const length = parseDecimal(bytes, start, trimBlanks(bytes, start, i));
      const isFirst = this.contentLength === NO_LENGTH;
      this.contentLength = length >= 0 && (isFirst || this.contentLength === length) ? length : BAD_LENGTH;
      item = i + 1;
    }
  }

  /** The last coding of the last line decides; empty list elements do not count. */
  #addTransferCodings(bytes: Uint8Array, from: number, end: number): void {
    let item = from;
    for (let i = from; i <= end; i++) {
      if (i < end && bytes[i] !== COMMA) continue;
      const start = skipBlanks(bytes, item, i);
      const stop = trimBlanks(bytes, start, i);
      item = i + 1;
      if (start === stop) continue;
      if (equalsIgnoringCase(bytes, start, stop, 'chunked')) {
        this.transferCoding = 'chunked';
      } else if (this.#side === 'request' || !equalsIgnoringCase(bytes, start, stop, 'identity')) {
        // 'identity' was "no coding" until RFC 7230, and responses still say it; a request that does is read differently by servers.
        this.transferCoding = 'other';
      }
    }
  }
}

/** Index of the line's CR LF or bare LF; a NUL or a CR elsewhere is malformed (RFC 9110, 5.5). */
function findLineEnd(bytes: Uint8Array, from: number, to: number): number {
  let i = from;
  // Four at a time: nearly every byte is text, and half of all time goes by here.
  for (const last = to - 4; i <= last; i += 4) {
    if (
      (bytes[i] as number) <= CR ||
      (bytes[i + 1] as number) <= CR ||
      (bytes[i + 2] as number) <= CR ||
      (bytes[i + 3] as number) <= CR
    )
      break;
  }
  for (; i < to; i++) {
    const byte = bytes[i] as number;
    if (byte > CR) continue;
    if (byte === LF) return i;
    if (byte === CR) {
      if (i + 1 >= to) return MORE;
      return bytes[i + 1] === LF ? i : MALFORMED;
    }
    if (byte === 0) return MALFORMED;
  }
  return MORE;
}

function bitsOf(letters: string): number {
  let bits = 0;
  for (let i = 0; i < letters.length; i++) bits |= 1 << (letters.charCodeAt(i) & 31);
  return bits;
}

function isFramingName(bytes: Uint8Array, from: number, to: number): boolean {
  return equalsIgnoringCase(bytes, from, to, 'content-length') || equalsIgnoringCase(bytes, from, to, 'transfer-encoding');
}
