package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"go.opentelemetry.io/collector/receiver"

	"usm-receiver.test/receiver/usmreceiver/internal/metadata"
)

// NewFactory makes the factory of the receiver `usm`.
func NewFactory() receiver.Factory {
	return receiver.NewFactory(
		metadata.Type,
		createDefaultConfig,
		receiver.WithTraces(createTraces, metadata.TracesStability),
		receiver.WithMetrics(createMetrics, metadata.MetricsStability),
	)
}
