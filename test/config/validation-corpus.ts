// The schema of a block → configurations of it, good ones and ones that are broken in each way that the schema knows, with the exact messages.
// The Collector's component is held against them (receiver/usmreceiver/testdata/validation.json), in a language that has none of this code.
import { checkBlock } from '../../receiver/config/check.ts';
import type { Format } from '../../receiver/config/formats.ts';
import type { Block, Schema } from '../../receiver/config/schema.ts';
import { parseYaml } from '../../receiver/config/tree.ts';
import { createRandom, type Json, type JsonMap, pick, type Random, randomUsm } from './random-config.ts';

export interface CorpusEntry {
  readonly config: Json;
  /** In the order in which they are told; paths begin at the block. */
  readonly problems: readonly string[];
}

const GOOD_ROUNDS = 60;
const BROKEN_ROUNDS = 150;
/** Of a map: messages list all its keys, and that of all metrics is long. */
const MAX_MISSPELT_KEYS = 4;

/** Keys, and 0 for the first entry of a list. */
type Path = readonly (string | 0)[];

/** A place in the schema. */
interface Spot {
  readonly path: Path;
  readonly schema: Schema;
}

export function makeCorpus(block: Block): readonly CorpusEntry[] {
  const spots = spotsOf(block.schema, []);
  const configs = new Set<string>(['{}']);
  const shapes = new Set<string>();
  for (const spot of spots) {
    const shape = spot.path.at(-1) === 0 && spot.schema.enum !== undefined ? 'words' : shapeOf(spot.schema);
    // What is like something that was tried is only shown to be there.
    for (const value of shapes.has(shape) ? briefTrials : trials(spot))
      configs.add(JSON.stringify(withValue({}, spot.path, value)));
    shapes.add(shape);
    for (const config of relatedTrials(spot, spots)) configs.add(JSON.stringify(config));
  }
  for (let seed = 1; seed <= GOOD_ROUNDS; seed++) configs.add(JSON.stringify(randomUsm(createRandom(seed))));
  for (let seed = 1; seed <= BROKEN_ROUNDS; seed++) configs.add(JSON.stringify(brokenConfig(createRandom(seed), spots)));
  return [...configs].map((text) => ({ config: JSON.parse(text) as Json, problems: problemsOf(text, block) }));
}

function problemsOf(text: string, block: Block): readonly string[] {
  const parsed = parseYaml(text);
  if (parsed.kind !== 'parsed') throw new Error(parsed.message);
  const problems: string[] = [];
  checkBlock(parsed.tree, '', block, problems);
  return problems;
}

function spotsOf(schema: Schema, path: Path): readonly Spot[] {
  return [
    { path, schema },
    ...Object.entries(schema.properties ?? {}).flatMap(([key, property]) => spotsOf(property, [...path, key])),
    ...(schema.items === undefined ? [] : spotsOf(schema.items, [...path, 0])),
  ];
}

/** What the checks see of a schema: not what is said of it, nor its defaults, and of a list of words that it is one. */
function shapeOf(schema: Schema): string {
  return JSON.stringify(schema, (key, value: unknown) => {
    if (key === 'description' || key === 'default') return undefined;
    return key === 'items' && (value as Schema).enum !== undefined ? 'words' : value;
  });
}

/** `config` with `value` at `path`, whatever was there. */
function withValue(config: Json, path: Path, value: Json): Json {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (key === 0) return [withValue(Array.isArray(config) ? (config[0] ?? null) : null, rest, value)];
  const map = typeof config === 'object' && config !== null && !Array.isArray(config) ? config : {};
  return { ...map, [key]: withValue(Object.hasOwn(map, key) ? (map[key] ?? null) : null, rest, value) };
}

function brokenConfig(random: Random, spots: readonly Spot[]): Json {
  let config: Json = randomUsm(random);
  for (let slips = 1 + Math.floor(random() * 4); slips > 0; slips--) {
    const spot = pick(random, spots);
    config = withValue(config, spot.path, pick(random, trials(spot)));
  }
  return config;
}

const longWord = 'é'.repeat(99);

/** Of whatever type the setting is. */
const anyTrials: readonly Json[] = [
  ...[null, true, false, 0, 7, -3, 2.5, 1e21, 1.5e-7, 9007199254740991],
  ...['', 'none', 'true', ' 5', '"\\\u007f\b\u0001\n', `${longWord}😀…`, `${longWord}😀`, [], {}, [null], [[]], [{}], ['a', 5]],
];

const briefTrials: readonly Json[] = [null, -3, 'none', [-3], { zz_extra: 1 }];

const keyTrials: readonly JsonMap[] = [
  { zz_extra: 1, Aa: null },
  { 'we ird\n"<&>': {}, '': 1 },
  { '\uffee': 1, '😀': 2, '/a.b-c': [] },
  { [`${longWord}😀x`]: 1, ['k'.repeat(100)]: 1, ['k'.repeat(101)]: 1 },
];

const formatTrials: Readonly<Record<Format, readonly Json[]>> = {
  'absolute-path': ['/usr/sbin/nginx', '/a b/c', '/', 'nginx', '/a/', '//a', '/a//b', '/a/./b', '/a/../b', '/a/..b', '/é'],
  'byte-size': [
    32768,
    '32768',
    '32KiB',
    '32KB',
    '0',
    '1GiB',
    '1B',
    ' 1KiB',
    '1.5KiB',
    '-1KiB',
    '1234567890123456',
    '999999999999999GiB',
  ],
  'cgroup-path': ['/system.slice', 'a/b/', '/', '', '//', '/a//b', '/sys/fs/cgroup/a', 'sys/fs/cgroupx', '/a/../b'],
  cidr: [
    ...[
      '10.0.0.0/8',
      '192.0.2.1',
      '::1',
      'fd00::/8',
      '::ffff:10.0.0.0/104',
      '0.0.0.0/0',
      '::/0',
      '1:2:3:4:5:6:7::',
      '::1.2.3.4/120',
    ],
    ...[
      '10.0.0.0/33',
      '::/129',
      '10.0.0/8',
      '10.0.0.0/08',
      '10.0.0.0/',
      '/8',
      '010.0.0.1',
      'fe80::1%eth0',
      '1:2:3:4:5:6:7:8:9',
      '1::2::3',
    ],
    ...['::00001', '1:2:3:4::5:6:7:8', ' 10.0.0.1', '10.0.0.0/-1', '10.0.0.0/8/8', '256.0.0.1', 'localhost'],
  ],
  'go-duration': [
    ...['200ms', '1m30s', '.5s', '2.s', '100us', '100µs', '100μs', '1000000ns', '1h1m1s1ms', '0', '0s', 0],
    ...['5', '00', 's', '.s', '5 s', '-5s', '+5s', '1d', '5S', '1s2', '5s ', '1e3s', '2562047h', '9999999h', 5, -1, 0.5],
  ],
  'octal-mode': ['0660', '660', '0000', '0888', '66', '00660', '1660', 'rw', '0o660', 660],
  'port-range': [1, 65535, 80, '80', '1-65535', '00080', '8000-8999', '80-80'].concat([
    0,
    65536,
    -1,
    '',
    '0',
    '80-',
    '-80',
    '81-80',
    '1-2-3',
    '80 - 90',
    'http',
    '123456',
  ]),
  'socket-path': [
    '/run/a.sock',
    'a.sock',
    `/${'a'.repeat(106)}`,
    `/${'a'.repeat(107)}`,
    `/${'é'.repeat(53)}`,
    `/${'é'.repeat(54)}`,
  ],
};

/** Values for a place: of each kind that it may be and must not be, at its bounds and beyond them. */
function trials({ path, schema }: Spot): readonly Json[] {
  const { enum: words, format, minimum, maximum, range } = schema;
  // The block itself is a map, or there is no block.
  const values: Json[] = path.length === 0 ? [null] : [...anyTrials];
  if (schema.properties !== undefined) {
    values.push(...keyTrials);
    for (const key of Object.keys(schema.properties).slice(0, MAX_MISSPELT_KEYS))
      for (const slip of misspell(key)) values.push({ [slip]: null });
  }
  for (const word of words ?? []) values.push(word, ...misspell(String(word)));
  if (format !== undefined) values.push(...formatTrials[format]);
  for (const bound of [minimum, maximum]) if (bound !== undefined) values.push(bound - 1, bound, bound + 1, bound + 0.5);
  for (const bound of range ?? [])
    values.push(
      bound,
      bound.replace(/\d+/, (digits) => String(Number(digits) + 1)),
      `0.5${bound}`,
      `1${bound}`,
    );
  if (format === 'byte-size') values.push(1023, 1024, 1025, '3MiB', 3 * 1024 * 1024, '4194304');
  if (schema.type === 'array') {
    const item = sampleOf(schema.items ?? {});
    values.push([item], [item, null], 'a, b', ' a ,\tb\u00a0', ',', '5,6', { 0: item });
    if (schema.maxItems !== undefined && schema.maxItems < 100)
      values.push(Array.from({ length: schema.maxItems + 1 }, () => item));
  }
  return values;
}

/** As people do: a letter less, two that changed places, another case, a dash. */
function misspell(word: string): readonly string[] {
  const middle = Math.floor(word.length / 2);
  const swapped = `${word.slice(0, middle - 1)}${word.charAt(middle)}${word.charAt(middle - 1)}${word.slice(middle + 1)}`;
  return [word.slice(0, -1), swapped, word.toUpperCase(), word.replaceAll(/[_.]/g, '-'), `${word}s`];
}

/** Good by itself. */
function sampleOf(schema: Schema): Json {
  const { enum: words, format, properties, range } = schema;
  if (schema.default !== undefined && schema.type !== 'object') return schema.default as Json;
  if (words !== undefined) return words[0] ?? null;
  if (range !== undefined) return range[0];
  if (format !== undefined) return formatTrials[format][0] ?? null;
  switch (schema.type) {
    case 'object': {
      const [key, property] = Object.entries(properties ?? {})[0] ?? [];
      return key === undefined || property === undefined ? {} : { [key]: sampleOf(property) };
    }
    case 'array':
      return [sampleOf(schema.items ?? {})];
    case 'integer':
    case 'number':
      return schema.minimum ?? 1;
    case 'boolean':
      return true;
    default:
      return 'x';
  }
}

/** A key together with the one that judges it. */
function relatedTrials({ path, schema }: Spot, spots: readonly Spot[]): readonly Json[] {
  const { needs, notLessThan } = schema;
  const alone = withValue({}, path, sampleOf(schema));
  if (needs !== undefined) return [alone, ...[true, false, null].map((is) => withValue(alone, needs.split('::'), is))];
  if (notLessThan === undefined) return [];
  const other = spots.find((spot) => spot.path.join('::') === notLessThan);
  if (other === undefined) throw new Error(`there is no ${notLessThan}`);
  const durations = ['500ms', '1s', '1000ms', '2s', '1h', '2h', null];
  return durations.flatMap((value) => durations.map((one) => withValue(withValue({}, path, value), other.path, one)));
}
