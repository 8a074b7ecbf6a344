//go:build linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"context"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"usm-receiver.test/receiver/usmreceiver/internal/metadata"
)

// Why a request is refused, in receiver_usm_refused_requests.
const (
	reasonUnknownPeer    = "unknown_peer"
	reasonOtherUser      = "other_user"
	reasonNotTheChild    = "not_the_child"
	reasonNotUsmReceiver = "not_usm_receiver"
	reasonOtherProtocol  = "other_protocol"
	reasonTaken          = "taken"
	reasonNoPipeline     = "no_pipeline"
)

// telemetry counts what becomes of usm-receiver. What becomes of its spans and points, receiverhelper counts.
type telemetry struct {
	builder *metadata.TelemetryBuilder
	// receiver is the attribute that receiverhelper's counters have too.
	receiver attribute.KeyValue
}

func newTelemetry(set receiver.Settings) (*telemetry, error) {
	builder, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &telemetry{builder: builder, receiver: attribute.String("receiver", set.ID.String())}, nil
}

// start begins the counters at 0, because the first step of one that begins with 1 is none to Prometheus, and has whoever reads the
// metrics told whether usm-receiver is there.
func (t *telemetry) start(isSupervised bool, isConnected func() bool) error {
	t.builder.ReceiverUsmConnects.Add(context.Background(), 0, metric.WithAttributes(t.receiver))
	if isSupervised {
		t.builder.ReceiverUsmRestarts.Add(context.Background(), 0, metric.WithAttributes(t.receiver))
	}
	return t.builder.RegisterReceiverUsmConnectedCallback(func(_ context.Context, observer metric.Int64Observer) error {
		var value int64
		if isConnected() {
			value = 1
		}
		observer.Observe(value, metric.WithAttributes(t.receiver))
		return nil
	})
}

func (t *telemetry) connected(ctx context.Context) {
	t.builder.ReceiverUsmConnects.Add(ctx, 1, metric.WithAttributes(t.receiver))
}

func (t *telemetry) refused(ctx context.Context, reason string) {
	t.builder.ReceiverUsmRefusedRequests.Add(ctx, 1, metric.WithAttributes(t.receiver, attribute.String("reason", reason)))
}

func (t *telemetry) restarted(ctx context.Context) {
	t.builder.ReceiverUsmRestarts.Add(ctx, 1, metric.WithAttributes(t.receiver))
}

func (t *telemetry) shutdown() {
	t.builder.Shutdown()
}
