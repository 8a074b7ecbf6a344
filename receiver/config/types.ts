// The configuration as everything behind it sees it: resolved, defaults filled in, durations in milliseconds, sizes in bytes, frozen.
// What a user writes is described once, in the schemas, and in docs/configuration.md, which is made from them. More than 400 lines: it is one value.
import type { MetricName } from '../model/metrics.ts';

export interface ReceiverConfig {
  /** The one `usm` receiver that the pipelines use. */
  readonly usm: UsmConfig;
  /** The exporters that a pipeline uses, each once. Those defined but unused are validated and left out. */
  readonly exporters: readonly ExporterConfig[];
  readonly pipelines: readonly PipelineConfig[];
  readonly logs: LogsConfig;
  readonly selfMetrics: SelfMetricsConfig;
  /** Those that `service::extensions` names, in its order. */
  readonly extensions: readonly ExtensionConfig[];
}

export interface PipelineConfig {
  /** `traces`, `metrics`, or one of them with `/name`. */
  readonly id: string;
  readonly signal: 'traces' | 'metrics';
  /** Ids of entries in {@link ReceiverConfig.exporters}, without repetition. */
  readonly exporters: readonly string[];
}

export interface UsmConfig {
  /** `usm` or `usm/name`. */
  readonly id: string;
  readonly filter: FilterConfig;
  readonly http: HttpConfig;
  readonly capture: CaptureConfig;
  readonly overload: OverloadConfig;
  readonly correlation: CorrelationConfig;
  readonly processContext: ProcessContextConfig;
  readonly threadContext: ThreadContextConfig;
  readonly sampling: SamplingConfig;
  readonly tls: TlsCaptureConfig;
  readonly redaction: RedactionConfig;
  /** Those that are switched on. */
  readonly metrics: readonly MetricConfig[];
  readonly aggregation: AggregationConfig;
  readonly collectionIntervalMs: number;
  readonly shutdownTimeoutMs: number;
  readonly collector: CollectorConfig;
}

/** What of the block's `collector` concerns us; the rest is for the Collector's side. */
export interface CollectorConfig {
  /** Of a UNIX socket, absolute. */
  readonly socketPath: string;
}

export interface TlsCaptureConfig {
  /** TLS libraries are probed. */
  readonly isEnabled: boolean;
}

export interface FilterConfig {
  /** Empty: everything is included. */
  readonly include: readonly FilterRule[];
  /** Wins over include. */
  readonly exclude: readonly FilterRule[];
  /** False: connections between two loopback addresses are ignored. */
  readonly loopback: boolean;
  /** True: export requests of OTLP are reported like any other. */
  readonly otlp: boolean;
}

/** A rule matches when every list that is not empty has a match; an empty list is a key that was not given. */
export interface FilterRule {
  readonly localPorts: readonly PortRange[];
  readonly remotePorts: readonly PortRange[];
  /** Matches when the remote or the local address is inside. */
  readonly cidrs: readonly Cidr[];
  /** Thread group ids in the initial pid namespace. */
  readonly pids: readonly number[];
  /** Absolute paths. */
  readonly executables: readonly string[];
  /** Absolute paths in the cgroup v2 hierarchy; a group matches with all groups below it. */
  readonly cgroups: readonly string[];
}

/** Inclusive at both ends. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface Cidr {
  readonly ipVersion: 4 | 6;
  /** Network address, 4 or 16 bytes, host bits zero. */
  readonly bytes: readonly number[];
  readonly prefixLength: number;
}

export interface HttpConfig {
  readonly maxHeadSizeBytes: number;
  /** Case-sensitive; others are reported as `_OTHER`. */
  readonly knownMethods: readonly string[];
}

export interface CaptureConfig {
  /** A power of two. */
  readonly ringBufferSizeBytes: number;
  readonly maxConnections: number;
  readonly drainIntervalMs: number;
}

export interface OverloadConfig {
  readonly enabled: boolean;
  /** The largest share of connections that may be left out, 0 to 1. */
  readonly maxShare: number;
}

export interface CorrelationConfig {
  readonly sdkDuplicates: 'suppress' | 'internal' | 'keep';
}

export interface ProcessContextConfig {
  readonly isEnabled: boolean;
}

export interface ThreadContextConfig {
  readonly isEnabled: boolean;
  /** Programs made by Go are read by the labels of their goroutines, also where they publish nothing. */
  readonly hasGoLabels: boolean;
  /** Names of those that spans are given. */
  readonly attributes: readonly string[];
  /** Undefined: nobody can register. */
  readonly registration: RegistrationConfig | undefined;
}

export interface RegistrationConfig {
  /** Of a UNIX socket, absolute. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** Undefined: as the receiver's own. */
  readonly gid: number | undefined;
}

export interface SamplingConfig {
  /** Share of the traces that begin here to keep, 0 to 1. Undefined: all, and spans say nothing of sampling. */
  readonly ratio: number | undefined;
  readonly keepErrors: boolean;
  /** Undefined: none is kept for its duration. */
  readonly keepSlowerThanMs: number | undefined;
}

export interface RedactionConfig {
  /** Case-sensitive names of query parameters whose values become REDACTED. */
  readonly queryKeys: readonly string[];
}

export interface MetricConfig {
  readonly name: MetricName;
  /** Names of its attributes, the required ones among them. */
  readonly attributes: readonly string[];
}

export interface AggregationConfig {
  /** Of histograms. */
  readonly temporality: 'cumulative' | 'delta';
  readonly histogram: 'explicit' | 'exponential';
  /** Buckets of an exponential histogram. */
  readonly maxSize: number;
  /** Series of one metric of one service, the overflow series included. */
  readonly cardinalityLimit: number;
  readonly exemplars: boolean;
  readonly seriesExpiryMs: number;
}

export type ExporterConfig =
  OtlpGrpcExporterConfig | OtlpHttpExporterConfig | DebugExporterConfig | FileExporterConfig | CollectorExporterConfig;

/** To the Collector's component `usm`. No file says so: it is what `usm-receiver attach` is about. */
export interface CollectorExporterConfig {
  readonly kind: 'collector';
  readonly id: 'collector';
  /** Of a UNIX socket, absolute. */
  readonly socketPath: string;
  /** Of one attempt. */
  readonly timeoutMs: number;
  readonly sendingQueue: SendingQueueConfig;
  readonly retryOnFailure: RetryConfig;
}

export interface OtlpGrpcExporterConfig {
  readonly kind: 'otlp_grpc';
  /** As written by the user, `otlp/backend` included. */
  readonly id: string;
  /** `host:port`, `http://host:port`, `https://host:port`, `unix:///path`, `dns:///host:port`. */
  readonly endpoint: string;
  readonly tls: TlsConfig;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'gzip' | 'none';
  /** Of one attempt; 0: no limit. */
  readonly timeoutMs: number;
  /** Undefined: no keepalive pings. */
  readonly keepalive: KeepaliveConfig | undefined;
  /** Undefined: the exporter's own name and version. */
  readonly userAgent: string | undefined;
  readonly sendingQueue: SendingQueueConfig;
  readonly retryOnFailure: RetryConfig;
}

export interface OtlpHttpExporterConfig {
  readonly kind: 'otlp_http';
  readonly id: string;
  /** Full URL of the traces resource, from `traces_endpoint` or `endpoint` + `/v1/traces`. Undefined: neither is given. */
  readonly tracesEndpoint: string | undefined;
  /** Full URL of the metrics resource, from `metrics_endpoint` or `endpoint` + `/v1/metrics`. */
  readonly metricsEndpoint: string | undefined;
  readonly encoding: 'proto' | 'json';
  readonly tls: TlsConfig;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'gzip' | 'none';
  /** Of one attempt; 0: no limit. */
  readonly timeoutMs: number;
  readonly sendingQueue: SendingQueueConfig;
  readonly retryOnFailure: RetryConfig;
}

export interface DebugExporterConfig {
  readonly kind: 'debug';
  readonly id: string;
  readonly verbosity: 'basic' | 'normal' | 'detailed';
}

export interface FileExporterConfig {
  readonly kind: 'file';
  readonly id: string;
  readonly path: string;
  readonly format: 'json';
  /** False: an existing file is truncated at start. */
  readonly append: boolean;
  /** Undefined: one file that grows. */
  readonly rotation: FileRotationConfig | undefined;
  readonly flushIntervalMs: number;
  readonly createDirectory: boolean;
}

export interface FileRotationConfig {
  readonly maxMegabytes: number;
  /** 0: old files are not removed for their age. */
  readonly maxDays: number;
  /** 0: all old files are kept. */
  readonly maxBackups: number;
  readonly localtime: boolean;
}

export interface TlsConfig {
  /** True: no TLS, unless the endpoint says https. */
  readonly insecure: boolean;
  readonly insecureSkipVerify: boolean;
  readonly includeSystemCaCertsPool: boolean;
  readonly caFile: string | undefined;
  readonly caPem: string | undefined;
  readonly certFile: string | undefined;
  readonly certPem: string | undefined;
  readonly keyFile: string | undefined;
  readonly keyPem: string | undefined;
  readonly serverNameOverride: string | undefined;
  readonly minVersion: TlsVersion;
}

export type TlsVersion = '1.0' | '1.1' | '1.2' | '1.3';

export interface KeepaliveConfig {
  readonly timeMs: number;
  readonly timeoutMs: number;
  readonly permitWithoutStream: boolean;
}

export interface SendingQueueConfig {
  /** False: a batch is sent as soon as it is cut, one at a time. */
  readonly enabled: boolean;
  readonly numConsumers: number;
  /** In units of `sizer`. */
  readonly queueSize: number;
  /** What the queue counts: spans ('items'), batches ('requests') or bytes of uncompressed requests ('bytes'). */
  readonly sizer: 'items' | 'requests' | 'bytes';
  /** True: when the queue is full, nothing is taken from the kernel. False: what does not fit is dropped. */
  readonly blockOnOverflow: boolean;
  /** Id of a {@link FileStorageConfig} in {@link ReceiverConfig.extensions}; undefined: in memory. */
  readonly storage: string | undefined;
  readonly batch: BatchConfig;
}

export interface BatchConfig {
  readonly flushTimeoutMs: number;
  /** What the sizes count: spans ('items'), or bytes of the uncompressed request ('bytes'). */
  readonly sizer: 'items' | 'bytes';
  /** Reaching it sends the batch at once. */
  readonly minSize: number;
  /** Never exceeded, at least minSize. 0: no limit. */
  readonly maxSize: number;
}

export interface RetryConfig {
  readonly enabled: boolean;
  readonly initialIntervalMs: number;
  readonly multiplier: number;
  readonly randomizationFactor: number;
  readonly maxIntervalMs: number;
  /** 0: forever. */
  readonly maxElapsedTimeMs: number;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogsConfig {
  readonly level: LogLevel;
  readonly encoding: 'console' | 'json';
  /** `stderr`, `stdout` or file paths. */
  readonly outputPaths: readonly string[];
  /** Where failures of the logger itself go. */
  readonly errorOutputPaths: readonly string[];
  /** Added to every record. */
  readonly initialFields: Readonly<Record<string, unknown>>;
}

export type ExtensionConfig = HealthCheckConfig | PprofConfig | ZpagesConfig | FileStorageConfig;

/** Not started like the others: exporters whose sending queue names it open a database in its directory. */
export interface FileStorageConfig {
  readonly kind: 'file_storage';
  readonly id: string;
  readonly directory: string;
  readonly createDirectory: boolean;
  /** Mode bits of directories that are created. */
  readonly directoryPermissions: number;
  /** How long to wait for a database that another process has open. */
  readonly timeoutMs: number;
  readonly fsync: boolean;
  /** True: a database that cannot be read is renamed aside and begun anew. */
  readonly recreate: boolean;
  readonly compaction: {
    readonly onStart: boolean;
    readonly onRebound: boolean;
    /** Where the compacted copy is made. */
    readonly directory: string;
    readonly reboundNeededBytes: number;
    readonly reboundTriggerBytes: number;
    readonly checkIntervalMs: number;
    readonly cleanupOnStart: boolean;
  };
}

export interface HealthCheckConfig {
  readonly kind: 'health_check';
  readonly id: string;
  readonly listen: ListenAddress;
  readonly path: string;
  /** Undefined: JSON. */
  readonly healthyBody: string | undefined;
  readonly unhealthyBody: string | undefined;
  readonly stallTimeoutMs: number;
  /** 0: exporters are not looked at. */
  readonly exporterFailureTimeoutMs: number;
}

export interface PprofConfig {
  readonly kind: 'pprof';
  readonly id: string;
  readonly listen: ListenAddress;
}

export interface ZpagesConfig {
  readonly kind: 'zpages';
  readonly id: string;
  readonly listen: ListenAddress;
}

export interface ListenAddress {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  /** 0: one that is free. */
  readonly port: number;
}

export type SelfMetricsLevel = 'none' | 'basic' | 'normal' | 'detailed';

/** Metrics about the receiver itself. */
export interface SelfMetricsConfig {
  readonly level: SelfMetricsLevel;
  readonly readers: readonly (PrometheusReaderConfig | OtlpMetricReaderConfig)[];
}

export interface PrometheusReaderConfig {
  readonly kind: 'prometheus';
  readonly listen: ListenAddress;
  /** Nobody asked for it: a taken port does not stop the receiver. */
  readonly isDefault: boolean;
  readonly withoutUnits: boolean;
  readonly withoutTypeSuffix: boolean;
  readonly withoutScopeInfo: boolean;
}

export interface OtlpMetricReaderConfig {
  readonly kind: 'otlp';
  readonly protocol: 'grpc' | 'http/protobuf' | 'http/json';
  /** URL; with the path for HTTP. */
  readonly endpoint: string;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'none' | 'gzip';
  readonly requestTimeoutMs: number;
  readonly intervalMs: number;
  /** At most intervalMs. */
  readonly timeoutMs: number;
}
