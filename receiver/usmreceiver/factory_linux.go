package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
)

func createTraces(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Traces) (receiver.Traces, error) {
	r, err := receivers.of(cfg.(*Config), set)
	if err != nil {
		return nil, err
	}
	r.nextTraces = next
	return r, nil
}

func createMetrics(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
	r, err := receivers.of(cfg.(*Config), set)
	if err != nil {
		return nil, err
	}
	r.nextMetrics = next
	return r, nil
}

// receivers holds those that live: pipelines of traces and of metrics that name one receiver are created apart and get the same, because
// there is one socket and one capture.
var receivers = &sharedReceivers{byConfig: map[*Config]*usmReceiver{}}

type sharedReceivers struct {
	mu       sync.Mutex
	byConfig map[*Config]*usmReceiver
}

func (s *sharedReceivers) of(cfg *Config, set receiver.Settings) (*usmReceiver, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.byConfig[cfg]; ok {
		return r, nil
	}
	r, err := newReceiver(cfg, set, func() { s.forget(cfg) })
	if err != nil {
		return nil, err
	}
	s.byConfig[cfg] = r
	return r, nil
}

// forget makes room for a new receiver of this configuration: one that was shut down is not started again.
func (s *sharedReceivers) forget(cfg *Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byConfig, cfg)
}
