// The forms that a text of the configuration may have to have: which texts are of the form, and what a message says of one that is not.
// Named by the keyword `format` of a schema. Other languages that check the same schema have this table too (scripts/generate-collector-schema.ts).
import {
  parseAbsolutePath,
  parseCgroup,
  parseCidr,
  parseDurationMs,
  parseMode,
  parsePortRange,
  parseSizeBytes,
} from './values.ts';

interface Form {
  /** Completes `expected …, found "x"`. */
  readonly expected: string;
  readonly has: (value: string | number) => boolean;
}

/** unix(7): sun_path, with its final 0. */
const MAX_SOCKET_PATH_BYTES = 107;

export const formats = {
  'absolute-path': ofText('an absolute path such as /usr/sbin/nginx', (text) => parseAbsolutePath(text) !== undefined),
  'byte-size': {
    expected: 'a size in bytes such as 32768, 32KiB or 8MiB',
    has: (value) => parseSizeBytes(value) !== undefined,
  },
  'cgroup-path': ofText(
    'a path below the cgroup root such as /system.slice/nginx.service',
    (text) => parseCgroup(text) !== undefined,
  ),
  cidr: ofText('a prefix such as 10.0.0.0/8 or fd00::/8, or an address', (text) => parseCidr(text) !== undefined),
  'go-duration': ofText('a duration such as 200ms, 5s or 1m30s', (text) => parseDurationMs(text) !== undefined),
  'octal-mode': ofText('an octal mode such as "0660"', (text) => parseMode(text) !== undefined),
  'port-range': {
    expected: 'a port from 1 to 65535 or a range such as "8000-8999"',
    has: (value) => parsePortRange(value) !== undefined,
  },
  'socket-path': ofText(
    `an absolute path of at most ${MAX_SOCKET_PATH_BYTES} bytes such as /run/usm-receiver/usm.sock`,
    (text) => parseAbsolutePath(text) !== undefined && Buffer.byteLength(text) <= MAX_SOCKET_PATH_BYTES,
  ),
} as const satisfies Readonly<Record<string, Form>>;

export type Format = keyof typeof formats;

function ofText(expected: string, has: (text: string) => boolean): Form {
  return { expected, has: (value) => typeof value === 'string' && has(value) };
}
