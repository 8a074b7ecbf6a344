// Hot path. The dimensions of an exchange → the series that it is measured in. What was measured lately is found by comparing, without
// making a key; only what is not found there costs one.
import type { HttpDimensions } from '../../model/http-metrics.ts';
import type { AttributeList, AttributeValue } from '../../model/span.ts';
import type { Instrument } from './instruments.ts';
import type { DistributionSeries } from './series.ts';
import { ENTRIES, type Service } from './services.ts';

/** One combination of dimensions, and its series of each metric that is switched on. */
export interface HttpEntry {
  readonly isServer: boolean;
  readonly dimensions: Readonly<HttpDimensions>;
  readonly duration: DistributionSeries | undefined;
  readonly requestBodySize: DistributionSeries | undefined;
  readonly responseBodySize: DistributionSeries | undefined;
}

/** Which instruments one role has, as indexes; -1 for one that is switched off. */
export interface RoleInstruments {
  readonly duration: number;
  readonly requestBodySize: number;
  readonly responseBodySize: number;
}

export function findEntry(service: Service, isServer: boolean, dimensions: HttpDimensions): HttpEntry | undefined {
  const entry = service.entries[slotOf(isServer, dimensions)];
  if (entry?.isServer !== isServer) return undefined;
  const known = entry.dimensions;
  return known.statusCode === dimensions.statusCode &&
    known.method === dimensions.method &&
    known.serverPort === dimensions.serverPort &&
    known.serverAddress === dimensions.serverAddress &&
    known.scheme === dimensions.scheme &&
    known.protocolVersion === dimensions.protocolVersion &&
    known.errorType === dimensions.errorType
    ? entry
    : undefined;
}

/** Finds or makes the series, and remembers them in the place of others. `startUnixNs`: of series that do not exist yet. */
export function makeEntry(
  service: Service,
  isServer: boolean,
  dimensions: HttpDimensions,
  roleInstruments: RoleInstruments,
  instruments: readonly Instrument<DistributionSeries>[],
  startUnixNs: bigint,
): HttpEntry {
  const seriesOf = (index: number): DistributionSeries | undefined => {
    const instrument = instruments[index];
    const stream = service.distributions[index];
    if (instrument === undefined || stream === undefined) return undefined;
    const attributes = attributesOf(dimensions, instrument.attributes);
    const key = attributes.join('\0');
    return stream.find(key) ?? stream.add(key, attributes, startUnixNs);
  };
  const entry: HttpEntry = {
    isServer,
    dimensions: { ...dimensions },
    duration: seriesOf(roleInstruments.duration),
    requestBodySize: seriesOf(roleInstruments.requestBodySize),
    responseBodySize: seriesOf(roleInstruments.responseBodySize),
  };
  service.entries[slotOf(isServer, dimensions)] = entry;
  return entry;
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
