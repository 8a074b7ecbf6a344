//go:build !linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"context"
	"fmt"
	"runtime"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
)

// The component is there on every platform, so that a distribution for several of them can hold it.

func createTraces(context.Context, receiver.Settings, component.Config, consumer.Traces) (receiver.Traces, error) {
	return nil, errPlatform()
}

func createMetrics(context.Context, receiver.Settings, component.Config, consumer.Metrics) (receiver.Metrics, error) {
	return nil, errPlatform()
}

func errPlatform() error {
	return fmt.Errorf("the receiver usm observes with eBPF, which is a part of Linux, and this is %s: take it out of the pipelines", runtime.GOOS)
}
