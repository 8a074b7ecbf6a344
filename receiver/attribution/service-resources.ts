// Process image → Resource of its service's metrics: that of its spans, without what tells the workers of one service apart. All of them
// together are one writer, named by a service.instance.id of their own (docs/telemetry.md, Metrics).
import { ATTR_SERVICE_INSTANCE_ID, ATTR_SERVICE_NAME } from '@opentelemetry/semantic-conventions';
import type { ProcessImage } from '../model/process.ts';
import type { Resource } from '../model/resource.ts';
import { ATTR_HOST_ARCH, ATTR_HOST_ID, ATTR_HOST_NAME, ATTR_OS_TYPE } from '../model/semconv.ts';
import type { AttributeValue } from '../model/span.ts';
import type { HostInfo } from './host.ts';
import { parseResourceAttributes } from './resource-attributes.ts';
import { OS_TYPE_LINUX, uuidV5 } from './resources.ts';
import { UNKNOWN_SERVICE } from './service-name.ts';

export interface ServiceResourcesOptions {
  readonly host: HostInfo;
  /** Of the process's spans. */
  readonly resourceOf: (image: ProcessImage) => Resource;
}

/** The prefixes of attributes that are those of one process or of the program it runs. */
const OF_PROCESSES = ['process.', 'telemetry.sdk.language'] as const;

/** A new object at each call, equal for all workers of a service. Undefined: of processes that nothing is known of. */
export function createServiceResources({
  host,
  resourceOf,
}: ServiceResourcesOptions): (image: ProcessImage | undefined) => Resource {
  return (image) => {
    const attributes = new Map<string, AttributeValue>();
    if (image === undefined) {
      attributes.set(ATTR_SERVICE_NAME, UNKNOWN_SERVICE);
      attributes.set(ATTR_HOST_NAME, host.name);
      if (host.id !== undefined) attributes.set(ATTR_HOST_ID, host.id);
      attributes.set(ATTR_HOST_ARCH, host.arch);
      attributes.set(ATTR_OS_TYPE, OS_TYPE_LINUX);
      attributes.set(ATTR_SERVICE_INSTANCE_ID, instanceId(attributes));
      return { attributes, serviceName: UNKNOWN_SERVICE };
    }
    const { attributes: ofProcess, serviceName } = resourceOf(image);
    for (const [name, value] of ofProcess) {
      if (!OF_PROCESSES.some((prefix) => name.startsWith(prefix))) attributes.set(name, value);
    }
    // What the service was told to be called itself stays. Ours would be one process's, and so is what its SDK publishes.
    const told = parseResourceAttributes(image.environment.get('OTEL_RESOURCE_ATTRIBUTES') ?? '');
    attributes.delete(ATTR_SERVICE_INSTANCE_ID);
    attributes.set(ATTR_SERVICE_INSTANCE_ID, told?.get(ATTR_SERVICE_INSTANCE_ID) ?? instanceId(attributes));
    return { attributes, serviceName };
  };
}

/** The same for the same service on the same host, in the same container, whenever the receiver starts. */
function instanceId(attributes: ReadonlyMap<string, AttributeValue>): string {
  const sorted = [...attributes].sort(([a], [b]) => (a < b ? -1 : 1));
  return uuidV5(JSON.stringify(sorted));
}
