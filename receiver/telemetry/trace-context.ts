// traceparent and tracestate → TraceContext, as strictly as the specification asks for (https://www.w3.org/TR/trace-context-2/, 3.2 and 3.3).
import type { TraceContext } from '../model/trace.ts';
import { TraceFlag } from '../model/trace.ts';

const HYPHEN = 0x2d;
/** "00-" + 32 + "-" + 16 + "-" + 2. */
const VERSION_00_LENGTH = 55;
const KNOWN_FLAGS = TraceFlag.sampled | TraceFlag.random;
/** 32 members of the longest key and value are shorter; what is beyond it is padding. */
const MAX_TRACESTATE_LENGTH = 17_408;
const MAX_TRACESTATE_MEMBERS = 32;
const MAX_TRACESTATE_PART = 256;

/**
 * `undefined` for a malformed traceparent. A version above 00 is read as far as version 00 goes; 'ff' is none. Flags beyond the known ones are
 * dropped. The ids are parts of `traceparent` and keep it in memory.
 */
export function parseTraceparent(traceparent: string, traceState: string): TraceContext | undefined {
  const length = traceparent.length;
  if (length < VERSION_00_LENGTH) return undefined;
  const versionHigh = hexValue(traceparent.charCodeAt(0));
  const versionLow = hexValue(traceparent.charCodeAt(1));
  if ((versionHigh | versionLow) < 0) return undefined;
  const version = versionHigh * 16 + versionLow;
  if (version === 0xff) return undefined;
  if (length > VERSION_00_LENGTH && (version === 0 || traceparent.charCodeAt(VERSION_00_LENGTH) !== HYPHEN)) return undefined;
  if (traceparent.charCodeAt(2) !== HYPHEN || traceparent.charCodeAt(35) !== HYPHEN || traceparent.charCodeAt(52) !== HYPHEN) {
    return undefined;
  }
  if (!isId(traceparent, 3, 35) || !isId(traceparent, 36, 52)) return undefined;
  const flagsHigh = hexValue(traceparent.charCodeAt(53));
  const flagsLow = hexValue(traceparent.charCodeAt(54));
  if ((flagsHigh | flagsLow) < 0) return undefined;
  return {
    traceId: traceparent.substring(3, 35),
    spanId: traceparent.substring(36, 52),
    flags: flagsLow & KNOWN_FLAGS,
    traceState,
  };
}

/** Lower-case hex digits, not all of them zero. */
function isId(text: string, from: number, to: number): boolean {
  let any = 0;
  for (let i = from; i < to; i++) {
    const value = hexValue(text.charCodeAt(i));
    if (value < 0) return false;
    any |= value;
  }
  return any !== 0;
}

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : -1;
}

/** True for a list of at most 32 well-formed members with different keys. Empty members are allowed, and so is an empty list. */
export function isTracestate(text: string): boolean {
  if (text.length > MAX_TRACESTATE_LENGTH) return false;
  const keys: string[] = [];
  for (let from = 0; from <= text.length;) {
    const comma = text.indexOf(',', from);
    let to = comma === -1 ? text.length : comma;
    const next = to + 1;
    while (from < to && isBlank(text.charCodeAt(from))) from++;
    while (from < to && isBlank(text.charCodeAt(to - 1))) to--;
    if (from < to) {
      const key = memberKey(text, from, to);
      if (key === '' || keys.includes(key) || keys.push(key) > MAX_TRACESTATE_MEMBERS) return false;
    }
    from = next;
  }
  return true;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Key of the well-formed member text[from, to), '' for any other. */
function memberKey(text: string, from: number, to: number): string {
  let at = from;
  // A digit may begin a key, not only a tenant id, since level 2.
  if (!isKeyStart(text.charCodeAt(at++))) return '';
  while (at < to && isKeyCharacter(text.charCodeAt(at))) at++;
  const keyLength = at - from;
  const valueLength = to - at - 1;
  if (text.charCodeAt(at) !== 0x3d || keyLength > MAX_TRACESTATE_PART || valueLength < 1 || valueLength > MAX_TRACESTATE_PART)
    return '';
  for (let i = at + 1; i < to; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e || code === 0x3d) return '';
  }
  return text.substring(from, at);
}

function isKeyStart(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
}

/** Letters, digits and `_ - * / @`. */
function isKeyCharacter(code: number): boolean {
  return isKeyStart(code) || code === 0x5f || code === HYPHEN || code === 0x2a || code === 0x2f || code === 0x40;
}
