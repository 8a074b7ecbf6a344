// The vocabulary in which a block of the configuration is described: JSON Schema (draft 2020-12), a subset, with formats and keywords of our own.
// The same description gives the checks (check.ts), the defaults, the types (FromSchema), docs/configuration.md, and to the Collector's component
// all that it knows of the `usm` block (scripts/generate-collector-schema.ts).
import type { Format } from './formats.ts';

export interface Schema {
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | readonly ['integer', 'string'];
  readonly enum?: readonly (string | boolean)[];
  readonly format?: Format;
  /** Of a duration or a size: the least and the greatest, both allowed, written as a user would. */
  readonly range?: readonly [least: string, greatest: string];
  /** Of a size. */
  readonly powerOfTwo?: true;
  /** Path of a boolean key, from the block down: this key makes sense only where that one is true. */
  readonly needs?: string;
  /** Path of another duration, from the block down: this one must not be shorter. */
  readonly notLessThan?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  /** False: only `properties`. A schema: a map with keys of the user's choice. True: anything. */
  readonly additionalProperties?: boolean | Schema;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minProperties?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  /** A secret: never quoted in a message. */
  readonly writeOnly?: boolean;
}

/** The type of a value that passed the checks, with defaults filled in. */
export type FromSchema<S> = S extends { readonly enum: readonly (infer Value)[] }
  ? Value
  : S extends { readonly type: 'object'; readonly properties: infer Properties }
    ? { readonly [Key in keyof Properties]: FromSchema<Properties[Key]> | Absence<S, Key, Properties[Key]> }
    : S extends { readonly type: 'object'; readonly additionalProperties: infer Item }
      ? Readonly<Record<string, Item extends true ? unknown : FromSchema<Item>>>
      : S extends { readonly type: 'array'; readonly items: infer Item }
        ? readonly FromSchema<Item>[]
        : S extends { readonly type: keyof Scalars }
          ? Scalars[S['type']]
          : string | number;

interface Scalars {
  readonly string: string;
  readonly integer: number;
  readonly number: number;
  readonly boolean: boolean;
}

type Absence<S, Key, Property> = Property extends { readonly default: unknown }
  ? never
  : S extends { readonly required: readonly (infer Required)[] }
    ? Key extends Required
      ? never
      : undefined
    : undefined;

/** A block as a user knows it, for checks and docs. */
export interface Block {
  readonly schema: Schema;
  /**
   * Keys (`tls::cipher_suites`) and values (`compression=zstd`) that the Collector has and we cannot honour, with the reason.
   * Everything else that is not in the schema is unknown.
   */
  readonly refusals: Readonly<Record<string, string>>;
}
