// Attribute names that the stable entry of @opentelemetry/semantic-conventions does not have yet (its incubating entry may rename them
// in a minor release), and our own. Everything stable is imported from the package.
// https://opentelemetry.io/docs/specs/semconv/registry/attributes/

/** Of `rpc.system.name`. */
export const RPC_SYSTEM_NAME_VALUE_CONNECTRPC = 'connectrpc';

export const ATTR_HTTP_REQUEST_BODY_SIZE = 'http.request.body.size';
export const ATTR_HTTP_RESPONSE_BODY_SIZE = 'http.response.body.size';

export const ATTR_HOST_ARCH = 'host.arch';
export const ATTR_HOST_ID = 'host.id';
export const ATTR_HOST_NAME = 'host.name';
export const ATTR_OS_TYPE = 'os.type';
export const ATTR_PROCESS_EXECUTABLE_NAME = 'process.executable.name';
export const ATTR_PROCESS_EXECUTABLE_PATH = 'process.executable.path';
export const ATTR_PROCESS_PID = 'process.pid';

/** The same on the spans of both ends of an exchange, also on two hosts. */
export const ATTR_USM_EXCHANGE_ID = 'usm.exchange.id';
/** Where a span's trace comes from: {@link CorrelationSource}. */
export const ATTR_USM_CORRELATION_SOURCE = 'usm.correlation.source';
/** How sure that is: {@link CorrelationConfidence}. Absent where nothing was joined. */
export const ATTR_USM_CORRELATION_CONFIDENCE = 'usm.correlation.confidence';
/** Which end of a TCP connection a process has: 'client', 'server' or 'unknown'. */
export const ATTR_USM_CONNECTION_ROLE = 'usm.connection.role';
