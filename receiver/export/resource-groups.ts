// Hot path. Where in a buffer the parts of each Resource are: what was written in the order in which it came is sent resource by resource.
import type { Resource } from '../model/resource.ts';

export class ResourceGroup {
  /** In the order of appearance. */
  readonly number: number;
  /** The resource as it is sent. */
  readonly resource: Uint8Array;
  /** Of all parts. */
  size = 0;
  /** from, to, from, to, …: ascending, neighbours joined. */
  readonly ranges: number[] = [];

  constructor(number: number, resource: Uint8Array) {
    this.number = number;
    this.resource = resource;
  }

  /** [from, to) of the buffer is this group's. */
  append(from: number, to: number): void {
    const { ranges } = this;
    if (ranges[ranges.length - 1] === from) ranges[ranges.length - 1] = to;
    else ranges.push(from, to);
    this.size += to - from;
  }
}

/** Of one request at a time. Knows resources by identity, and encodes each only once. */
export class ResourceGroups {
  readonly #encode: (resource: Resource) => Uint8Array;
  readonly #encoded = new WeakMap<Resource, Uint8Array>();
  readonly #groups = new Map<Resource, ResourceGroup>();
  // Neighbours often share their resource, which saves the look-up.
  #lastResource: Resource | undefined;
  #last: ResourceGroup | undefined;
  #resourceBytes = 0;

  constructor(encode: (resource: Resource) => Uint8Array) {
    this.#encode = encode;
  }

  of(resource: Resource): ResourceGroup {
    if (resource === this.#lastResource && this.#last !== undefined) return this.#last;
    let group = this.#groups.get(resource);
    if (group === undefined) {
      let encoded = this.#encoded.get(resource);
      if (encoded === undefined) this.#encoded.set(resource, (encoded = this.#encode(resource)));
      this.#resourceBytes += encoded.length;
      group = new ResourceGroup(this.#groups.size, encoded);
      this.#groups.set(resource, group);
    }
    this.#lastResource = resource;
    this.#last = group;
    return group;
  }

  /** Of all resources as they are sent. */
  get resourceBytes(): number {
    return this.#resourceBytes;
  }

  /** In the order of appearance. */
  all(): Iterable<ResourceGroup> {
    return this.#groups.values();
  }

  clear(): void {
    this.#groups.clear();
    this.#lastResource = undefined;
    this.#last = undefined;
    this.#resourceBytes = 0;
  }
}
