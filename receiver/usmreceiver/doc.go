// Package usmreceiver is the receiver `usm` of an OpenTelemetry Collector: it serves OTLP on a UNIX socket, to which usm-receiver, the
// process that observes the host, sends its spans and metrics. It starts that process itself (mode supervise) or waits for it (attach).
package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"
