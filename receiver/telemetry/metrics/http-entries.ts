// Hot path. The dimensions of an exchange → the series that it is measured in. What was measured lately is found by comparing, without
// making a key; only what is not found there costs one.
import type { HttpDimensions } from '../../model/http-metrics.ts';
import type { AttributeList, AttributeValue } from '../../model/span.ts';
import type { DistributionSeries } from './series.ts';
import { ENTRIES, type Service } from './services.ts';

/** One combination of dimensions, and its series of each metric that was measured under it. */
export interface HttpEntry {
  readonly isServer: boolean;
  readonly dimensions: Readonly<HttpDimensions>;
  duration: DistributionSeries | undefined;
  requestBodySize: DistributionSeries | undefined;
  responseBodySize: DistributionSeries | undefined;
}

/** An unknown combination takes the place of another one, whose series stay where they are. */
export function entryOf(service: Service, isServer: boolean, dimensions: HttpDimensions): HttpEntry {
  const slot = slotOf(isServer, dimensions);
  const entry = service.entries[slot];
  if (entry?.isServer === isServer && isSame(entry.dimensions, dimensions)) return entry;
  const fresh: HttpEntry = {
    isServer,
    dimensions: { ...dimensions },
    duration: undefined,
    requestBodySize: undefined,
    responseBodySize: undefined,
  };
  service.entries[slot] = fresh;
  return fresh;
}

function isSame(a: HttpDimensions, b: HttpDimensions): boolean {
  return (
    a.statusCode === b.statusCode &&
    a.method === b.method &&
    a.serverPort === b.serverPort &&
    a.serverAddress === b.serverAddress &&
    a.scheme === b.scheme &&
    a.protocolVersion === b.protocolVersion &&
    a.errorType === b.errorType
  );
}

/** The attributes of these names that there are. */
export function attributesOf(dimensions: HttpDimensions, names: readonly string[]): AttributeList {
  const attributes: (string | AttributeValue)[] = [];
  for (const name of names) {
    const value = valueOf(dimensions, name);
    if (value !== '' && value !== 0) attributes.push(name, value);
  }
  return attributes;
}

function valueOf(dimensions: HttpDimensions, name: string): string | number {
  switch (name) {
    case 'http.request.method':
      return dimensions.method;
    case 'url.scheme':
      return dimensions.scheme;
    case 'error.type':
      return dimensions.errorType;
    case 'http.response.status_code':
      return dimensions.statusCode;
    case 'network.protocol.version':
      return dimensions.protocolVersion;
    case 'server.address':
      return dimensions.serverAddress;
    case 'server.port':
      return dimensions.serverPort;
    default:
      return '';
  }
}

/** What mostly differs between the exchanges of one service: the status, the method, and of clients the server. */
function slotOf(isServer: boolean, { statusCode, method, serverAddress, serverPort }: HttpDimensions): number {
  const length = serverAddress.length;
  const address = length === 0 ? 0 : length * 7 + serverAddress.charCodeAt(0) * 3 + serverAddress.charCodeAt(length - 1) * 11;
  const last = method.charCodeAt(method.length - 1);
  return (
    (statusCode + (statusCode >>> 4) + last * 5 + method.length * 17 + address + serverPort * 13 + (isServer ? 31 : 0)) &
    (ENTRIES - 1)
  );
}
