// Random configurations: good ones load, one slip anywhere is found and named, and our checks agree with a JSON Schema validator.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { checkBlock } from '../../receiver/config/check.ts';
import { exporterTypes, receiverTypes, serviceBlock } from '../../receiver/config/components.ts';
import { formats } from '../../receiver/config/formats.ts';
import type { Block, Schema } from '../../receiver/config/schema.ts';
import { parseYaml } from '../../receiver/config/tree.ts';
import { parseDurationMs, parseSizeBytes } from '../../receiver/config/values.ts';
import { loadFrom, problemsOf } from './load-from.ts';
import type { Json, JsonMap, Random } from './random-config.ts';
import { createRandom, exporterTypeNames, pick, randomConfig, randomExporter, randomUsm } from './random-config.ts';

const rounds = 500;

interface Spot {
  readonly map: JsonMap;
  readonly path: string;
}

/** Every map of settings: not those whose keys are of the user's choice. */
function settingMaps(value: Json, path: string): Spot[] {
  if (Array.isArray(value)) return value.flatMap((item, at) => settingMaps(item, `${path}::${at}`));
  if (typeof value !== 'object' || value === null) return [];
  const own = /^(?:receivers|exporters|extensions|service::pipelines)$|::headers$|initial_fields/.test(path)
    ? []
    : [{ map: value, path }];
  return [...own, ...Object.entries(value).flatMap(([key, item]) => settingMaps(item, path === '' ? key : `${path}::${key}`))];
}

test('random good configurations load, and load to the same whether in one file or many', () => {
  for (let seed = 1; seed <= rounds; seed++) {
    const config = randomConfig(createRandom(seed));
    const whole = loadFrom(JSON.stringify(config));
    const parts = Object.entries(config).map(([key, value]) => JSON.stringify({ [key]: value }));
    assert.deepEqual(loadFrom(parts), whole, `seed ${seed}`);
  }
});

test('a random extra key anywhere is refused with its path', () => {
  for (let seed = 1; seed <= rounds; seed++) {
    const random = createRandom(seed);
    const config = randomConfig(random);
    const { map, path } = pick(random, settingMaps(config, ''));
    map['zz_extra'] = pick<Json>(random, [null, 1, 'x', [], {}]);
    const [problem = '', ...more] = problemsOf(JSON.stringify(config));
    assert.deepEqual(more, [], `seed ${seed}`);
    assert.ok(problem.startsWith(`'${path}' has invalid keys: zz_extra; valid keys are [`), `seed ${seed}: ${problem}`);
  }
});

test('a random value of another type is refused with its path, or is good', () => {
  for (let seed = 1; seed <= rounds; seed++) {
    const random = createRandom(seed);
    const config = randomConfig(random);
    const { map, path } = pick(random, settingMaps(config, ''));
    const keys = Object.keys(map);
    if (keys.length === 0) continue;
    const key = pick(random, keys);
    map[key] = pick<Json>(random, [-1, 1e9, true, 'zz', ['zz'], [[]], { zz: {} }]);
    const where = path === '' ? key : `${path}::${key}`;
    let problems: readonly string[];
    try {
      loadFrom(JSON.stringify(config));
      continue;
    } catch {
      problems = problemsOf(JSON.stringify(config));
    }
    // A wrong id of a component shows where it is defined and where it is used.
    const top = where.split('::')[0] ?? '';
    assert.ok(
      problems.some((problem) => problem.includes(where) || problem.startsWith(top) || problem.includes(path)),
      `seed ${seed}: ${where}: ${problems.join(' | ')}`,
    );
  }
});

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
for (const [name, { has }] of Object.entries(formats))
  ajv.addFormat(name, { type: 'string', validate: (text: string) => has(text) });
ajv.addKeyword({
  keyword: 'range',
  type: ['number', 'string'],
  validate: ([least, greatest]: readonly [string, string], value: string | number) => {
    const toNumber = (text: string | number): number => parseDurationMs(String(text)) ?? parseSizeBytes(text) ?? NaN;
    return toNumber(value) >= toNumber(least) && toNumber(value) <= toNumber(greatest);
  },
});
ajv.addKeyword({
  keyword: 'powerOfTwo',
  type: ['number', 'string'],
  validate: (_: true, value: string | number) => Number.isInteger(Math.log2(parseSizeBytes(value) ?? NaN)),
});
// Said of two keys together; the good configurations here keep them.
for (const keyword of ['needs', 'notLessThan']) ajv.addKeyword({ keyword, schemaType: 'string' });

test('the schemas are JSON Schema, and every setting has a description', () => {
  const missing = (schema: Schema, path: string): string[] => {
    const inner = [
      ...Object.entries(schema.properties ?? {}),
      ...(typeof schema.additionalProperties === 'object' ? [['*', schema.additionalProperties] as const] : []),
    ];
    return inner.flatMap(([key, property]) => [
      ...(property.description === undefined && property.writeOnly !== true ? [`${path}${key}`] : []),
      ...missing(property, `${path}${key}::`),
      ...missing(property.items ?? {}, `${path}${key}[]::`),
    ]);
  };
  for (const { schema } of [...Object.values(receiverTypes), ...Object.values(exporterTypes), serviceBlock]) {
    assert.equal(typeof ajv.compile(schema), 'function');
    assert.deepEqual(missing(schema, ''), []);
  }
});

test('our checks accept what a JSON Schema validator accepts', () => {
  const blocks: Readonly<Record<string, Block>> = { ...receiverTypes, ...exporterTypes };
  const outcomes = { accepted: 0, refused: 0 };
  for (const [name, block] of Object.entries(blocks)) {
    const validate = ajv.compile(block.schema);
    for (let seed = 1; seed <= rounds; seed++) {
      const random = createRandom(seed);
      const value = exporterTypeNames.includes(name) ? randomExporter(random, name) : randomUsm(random);
      if (seed % 4 !== 0) mutate(random, value);
      const parsed = parseYaml(JSON.stringify(value));
      if (parsed.kind !== 'parsed') throw new Error(parsed.message);
      const problems: string[] = [];
      checkBlock(parsed.tree, name, block, problems);
      assert.equal(
        problems.length === 0,
        validate(value),
        `${name}, seed ${seed}: ${JSON.stringify(value)}\n${problems.join('\n')}`,
      );
      outcomes[problems.length === 0 ? 'accepted' : 'refused']++;
    }
  }
  assert.ok(outcomes.accepted > 500 && outcomes.refused > 500, JSON.stringify(outcomes));
});

/** One setting becomes something else. Left out are the forms that only we take: null, a list as text, 0 as a duration, an empty endpoint. */
function mutate(random: Random, block: JsonMap): void {
  const spots = settingMaps(block, '').filter(({ map }) => Object.keys(map).length > 0);
  if (spots.length === 0) return;
  const { map } = pick(random, spots);
  const key = pick(random, Object.keys(map));
  const isList = Array.isArray(map[key]);
  map[key] = pick<Json>(random, isList ? [17, {}, [{}], [''], [0.5], []] : [17, 2.5, true, 'none', '5s', [], {}, -3]);
}
