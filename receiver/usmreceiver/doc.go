// Package usmreceiver is the receiver `usm` of an OpenTelemetry Collector: it serves OTLP on a UNIX socket, to which usm-receiver, the
// process that observes the host, sends its spans and metrics. It starts that process itself (mode supervise) or waits for it (attach).
package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

// mdatagen has a module of its own (internal/tools), so that nobody who builds the component needs what it needs.
//go:generate go tool -modfile=internal/tools/go.mod mdatagen metadata.yaml
