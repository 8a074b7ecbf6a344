// Package metadata is what metadata.yaml says, written by hand in the shape that mdatagen gives it.
package metadata // import "usm-receiver.test/receiver/usmreceiver/internal/metadata"

import (
	"go.opentelemetry.io/collector/component"
)

var (
	Type      = component.MustNewType("usm")
	ScopeName = "usm-receiver.test/receiver/usmreceiver"
)

const (
	TracesStability  = component.StabilityLevelDevelopment
	MetricsStability = component.StabilityLevelDevelopment
)
