//go:build linux

package usmreceiver

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

const testTimeout = 10 * time.Second

// identity is what a client says of itself.
type identity struct {
	protocol string
	version  string
	instance string
}

func usmReceiverOf(instance string) identity {
	return identity{protocol: protocol, version: "0.1.0", instance: instance}
}

// client sends as usm-receiver does.
type client struct {
	conn     *grpc.ClientConn
	identity identity
}

func newClient(t testing.TB, socket string, id identity) *client {
	conn, err := dial(socket)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &client{conn: conn, identity: id}
}

func dial(socket string) (*grpc.ClientConn, error) {
	return grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func (c *client) context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	for key, value := range map[string]string{protocolKey: c.identity.protocol, versionKey: c.identity.version, instanceKey: c.identity.instance} {
		if value != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, key, value)
		}
	}
	return ctx, cancel
}

func (c *client) sendTraces(traces ptrace.Traces) error {
	ctx, cancel := c.context()
	defer cancel()
	_, err := ptraceotlp.NewGRPCClient(c.conn).Export(ctx, ptraceotlp.NewExportRequestFromTraces(traces))
	return err
}

func (c *client) sendMetrics(metrics pmetric.Metrics) error {
	ctx, cancel := c.context()
	defer cancel()
	_, err := pmetricotlp.NewGRPCClient(c.conn).Export(ctx, pmetricotlp.NewExportRequestFromMetrics(metrics))
	return err
}

// greet says that it is there.
func (c *client) greet() error {
	return c.sendTraces(ptrace.NewTraces())
}

func (c *client) close() {
	_ = c.conn.Close()
}

func oneSpan() ptrace.Traces {
	traces := ptrace.NewTraces()
	traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName("GET")
	return traces
}

func onePoint() pmetric.Metrics {
	metrics := pmetric.NewMetrics()
	metric := metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	metric.SetName("http.server.request.duration")
	metric.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(1)
	return metrics
}

// attachConfig has a socket of its own.
func attachConfig(t testing.TB) *Config {
	cfg := createDefaultConfig().(*Config)
	cfg.Collector.Socket = filepath.Join(t.TempDir(), "run", "collector.sock")
	return cfg
}

// recordingHost remembers what was reported.
type recordingHost struct {
	mu     sync.Mutex
	events []*componentstatus.Event
}

var (
	_ component.Host           = (*recordingHost)(nil)
	_ componentstatus.Reporter = (*recordingHost)(nil)
)

func (h *recordingHost) GetExtensions() map[component.ID]component.Component {
	return nil
}

func (h *recordingHost) Report(event *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, event)
}

func (h *recordingHost) statuses() []componentstatus.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	var statuses []componentstatus.Status
	for _, event := range h.events {
		statuses = append(statuses, event.Status())
	}
	return statuses
}

func (h *recordingHost) last() *componentstatus.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) == 0 {
		return componentstatus.NewEvent(componentstatus.StatusNone)
	}
	return h.events[len(h.events)-1]
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, testTimeout, 5*time.Millisecond, what)
}
