// Process image → Resource: who a span speaks for (https://opentelemetry.io/docs/specs/semconv/resource/, docs/telemetry.md).
import {
  ATTR_CONTAINER_ID,
  ATTR_K8S_POD_UID,
  ATTR_SERVICE_INSTANCE_ID,
  ATTR_SERVICE_NAME,
  ATTR_TELEMETRY_SDK_LANGUAGE,
  ATTR_TELEMETRY_SDK_NAME,
  ATTR_TELEMETRY_SDK_VERSION,
} from '@opentelemetry/semantic-conventions';
import { createHash } from 'node:crypto';
import type { ProcessImage } from '../model/process.ts';
import type { Resource } from '../model/resource.ts';
import {
  ATTR_HOST_ARCH,
  ATTR_HOST_ID,
  ATTR_HOST_NAME,
  ATTR_OS_TYPE,
  ATTR_PROCESS_EXECUTABLE_NAME,
  ATTR_PROCESS_EXECUTABLE_PATH,
  ATTR_PROCESS_PID,
} from '../model/semconv.ts';
import type { AttributeValue } from '../model/span.ts';
import { containerOf } from './container.ts';
import type { HostInfo } from './host.ts';
import { interpreterOf } from './interpreters.ts';
import { parseResourceAttributes } from './resource-attributes.ts';
import { executableName, serviceName } from './service-name.ts';

export type { HostInfo } from './host.ts';

/** The namespace that the semantic conventions set for service.instance.id. */
const INSTANCE_NAMESPACE = '4d63009a-8d0f-11ee-aad7-4c796ed8e320';
const SDK_NAME = 'usm';
const NOTHING: ReadonlyMap<string, AttributeValue> = new Map();
export const OS_TYPE_LINUX = 'linux';

export interface ResourcesOptions {
  readonly host: HostInfo;
  /** Of the receiver. */
  readonly version: string;
  /** Resources kept; the one not used for longest goes first. */
  readonly maxProcesses: number;
}

export interface Resources {
  /** The same object for the same image, as long as it is kept. */
  readonly resourceOf: (image: ProcessImage) => Resource;
}

export function createResources(options: ResourcesOptions): Resources {
  const kept = new Map<ProcessImage, Resource>();
  // Most spans come from the process of the span before, which saves the look-up and its bookkeeping.
  let lastImage: ProcessImage | undefined;
  let lastResource: Resource | undefined;

  function resourceOf(image: ProcessImage): Resource {
    if (image === lastImage && lastResource !== undefined) return lastResource;
    let resource = kept.get(image);
    if (resource === undefined) {
      resource = makeResource(image, options);
      if (kept.size >= options.maxProcesses) kept.delete(kept.keys().next().value as ProcessImage);
    } else {
      kept.delete(image);
    }
    kept.set(image, resource);
    lastImage = image;
    lastResource = resource;
    return resource;
  }

  return { resourceOf };
}

function makeResource(image: ProcessImage, { host, version }: ResourcesOptions): Resource {
  const told = parseResourceAttributes(image.environment.get('OTEL_RESOURCE_ATTRIBUTES') ?? '');
  const published = image.published ?? NOTHING;
  const name = serviceName(image, told);
  const container = containerOf(image.cgroupPath);
  const executable = executableName(image);
  const attributes = new Map<string, AttributeValue>();

  attributes.set(ATTR_SERVICE_NAME, name);
  attributes.set(ATTR_SERVICE_INSTANCE_ID, instanceId(image, host));
  attributes.set(ATTR_HOST_NAME, host.name);
  if (host.id !== undefined) attributes.set(ATTR_HOST_ID, host.id);
  attributes.set(ATTR_HOST_ARCH, host.arch);
  attributes.set(ATTR_OS_TYPE, OS_TYPE_LINUX);
  if (container.id !== undefined) attributes.set(ATTR_CONTAINER_ID, container.id);
  if (container.podUid !== undefined) attributes.set(ATTR_K8S_POD_UID, container.podUid);
  if (told !== undefined) for (const [key, value] of told) attributes.set(key, value);
  for (const [key, value] of published) attributes.set(key, value);

  // What nobody can change: the name has an order of its own, and these are facts.
  attributes.set(ATTR_SERVICE_NAME, name);
  attributes.set(ATTR_PROCESS_PID, image.pid);
  if (executable !== '') attributes.set(ATTR_PROCESS_EXECUTABLE_NAME, executable);
  if (image.executablePath !== '') attributes.set(ATTR_PROCESS_EXECUTABLE_PATH, image.executablePath);
  attributes.set(ATTR_TELEMETRY_SDK_NAME, SDK_NAME);
  attributes.set(ATTR_TELEMETRY_SDK_VERSION, version);
  // The observed program's, as far as its SDK or its executable tells.
  const language = published.get(ATTR_TELEMETRY_SDK_LANGUAGE) ?? interpreterOf(executable)?.language;
  if (language === undefined) attributes.delete(ATTR_TELEMETRY_SDK_LANGUAGE);
  else attributes.set(ATTR_TELEMETRY_SDK_LANGUAGE, language);
  return { attributes, serviceName: name };
}

/** The same whoever computes it, and never again another process's. */
function instanceId(image: ProcessImage, host: HostInfo): string {
  return uuidV5(`${host.id ?? host.name}/${String(image.pid)}/${String(image.startTime)}`);
}

/** UUID version 5 (RFC 9562, 5.5) of a name, in the namespace of service.instance.id. */
export function uuidV5(name: string): string {
  const digest = createHash('sha1').update(INSTANCE_NAMESPACE.replaceAll('-', ''), 'hex').update(name).digest();
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x50;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  const hex = digest.toString('hex', 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
