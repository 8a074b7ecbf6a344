//go:build linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
)

// statusReporter tells every pipeline of the receiver how it is, and only changes.
type statusReporter struct {
	mu     sync.Mutex
	hosts  []component.Host
	latest *componentstatus.Event
}

// add takes the host of one more pipeline, which gets to know what the others know.
func (s *statusReporter) add(host component.Host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts = append(s.hosts, host)
	if s.latest != nil {
		componentstatus.ReportStatus(host, s.latest)
	}
}

func (s *statusReporter) report(event *componentstatus.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != nil && isSame(s.latest, event) {
		return
	}
	// There is no way back from one that is permanent.
	if s.latest != nil && s.latest.Status() == componentstatus.StatusPermanentError {
		return
	}
	s.latest = event
	for _, host := range s.hosts {
		componentstatus.ReportStatus(host, event)
	}
}

func isSame(a, b *componentstatus.Event) bool {
	return a.Status() == b.Status() && messageOf(a.Err()) == messageOf(b.Err())
}

func messageOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
