//go:build linux

package usmreceiver

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"usm-receiver.test/receiver/usmreceiver/internal/metadata"
	"usm-receiver.test/receiver/usmreceiver/internal/metadatatest"
)

// observed has settings of a receiver `usm/edge` whose metrics can be read.
func observed(t *testing.T) (*componenttest.Telemetry, receiver.Settings) {
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { assert.NoError(t, tel.Shutdown(context.Background())) })
	set := metadatatest.NewSettings(tel)
	set.ID = component.NewIDWithName(metadata.Type, "edge")
	return tel, set
}

// ignored are the moment of a measurement, and the request that it was taken in.
var ignored = []metricdatatest.Option{metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars()}

// one is a metric's only series.
func one(value int64, attributes ...attribute.KeyValue) []metricdata.DataPoint[int64] {
	attributes = append(attributes, attribute.String("receiver", "usm/edge"))
	return []metricdata.DataPoint[int64]{{Value: value, Attributes: attribute.NewSet(attributes...)}}
}

func TestSpansAndPointsAreCountedForUsm(t *testing.T) {
	for name, c := range map[string]struct {
		err               error
		accepted, refused int64
	}{
		"accepted":             {nil, 1, 0},
		"refused for now":      {errors.New("queue is full"), 0, 1},
		"refused for all time": {consumererror.NewPermanent(errors.New("no such index")), 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			tel, set := observed(t)
			cfg := attachConfig(t)
			_, err := NewFactory().CreateMetrics(context.Background(), set, cfg, consumertest.NewErr(c.err))
			require.NoError(t, err)
			startTraces(t, cfg, set, consumertest.NewErr(c.err))
			client := newClient(t, cfg.Collector.Socket, usmReceiverOf("a"))
			assert.Equal(t, c.err == nil, client.sendTraces(oneSpan()) == nil)
			assert.Equal(t, c.err == nil, client.sendMetrics(onePoint()) == nil)
			for metric, expected := range map[string]int64{
				"otelcol_receiver_accepted_spans":         c.accepted,
				"otelcol_receiver_refused_spans":          c.refused,
				"otelcol_receiver_accepted_metric_points": c.accepted,
				"otelcol_receiver_refused_metric_points":  c.refused,
			} {
				got, err := tel.GetMetric(metric)
				require.NoError(t, err)
				points := metricdata.Sum[int64]{
					Temporality: metricdata.CumulativeTemporality,
					IsMonotonic: true,
					DataPoints:  one(expected, attribute.String("transport", "grpc")),
				}
				metricdatatest.AssertAggregationsEqual(t, points, got.Data, ignored...)
			}
		})
	}
}

func TestItIsToldWhetherUsmReceiverIsThere(t *testing.T) {
	tel, set := observed(t)
	cfg := attachConfig(t)
	r := startTraces(t, cfg, set, consumertest.NewNop())
	isThere := func(connected, connects int64) {
		t.Helper()
		metadatatest.AssertEqualReceiverUsmConnected(t, tel, one(connected), ignored...)
		metadatatest.AssertEqualReceiverUsmConnects(t, tel, one(connects), ignored...)
	}
	isThere(0, 0)
	first := newClient(t, cfg.Collector.Socket, usmReceiverOf("a"))
	require.NoError(t, first.greet())
	require.NoError(t, first.sendTraces(oneSpan()))
	isThere(1, 1)
	first.close()
	eventually(t, "the end of the connection", func() bool { return !r.(*usmReceiver).gate.isConnected() })
	isThere(0, 1)
	require.NoError(t, newClient(t, cfg.Collector.Socket, usmReceiverOf("b")).greet())
	isThere(1, 2)
	_, err := tel.GetMetric("otelcol_receiver_usm_restarts")
	require.Error(t, err, "nothing is started again in mode attach")
	require.NoError(t, r.Shutdown(context.Background()))
	_, err = tel.GetMetric("otelcol_receiver_usm_connected")
	require.Error(t, err, "a receiver that is gone says nothing")
}

func TestWhatIsRefusedIsCountedByItsReason(t *testing.T) {
	own := int32(os.Getpid())
	for reason, ask := range map[string]func(g *gate) error{
		reasonUnknownPeer:    func(g *gate) error { return g.admit(context.Background()) },
		reasonOtherUser:      func(g *gate) error { return g.admit(incoming(&peerConn{pid: own, uid: 1000}, usmReceiverOf("a"))) },
		reasonNotUsmReceiver: func(g *gate) error { return g.admit(incoming(&peerConn{pid: own}, identity{})) },
		reasonOtherProtocol: func(g *gate) error {
			return g.admit(incoming(&peerConn{pid: own}, identity{protocol: "2", instance: "a"}))
		},
		reasonNotTheChild: func(g *gate) error {
			g.expect(4711)
			return g.admit(incoming(&peerConn{pid: 4712}, usmReceiverOf("a")))
		},
		reasonTaken: func(g *gate) error {
			require.NoError(t, g.admit(incoming(&peerConn{pid: own}, usmReceiverOf("a"))))
			return g.admit(incoming(&peerConn{pid: own}, usmReceiverOf("b")))
		},
	} {
		t.Run(reason, func(t *testing.T) {
			tel, set := observed(t)
			telemetry, err := newTelemetry(set)
			require.NoError(t, err)
			require.Error(t, ask(newGate(0, maxSilence, set.Logger, telemetry)))
			metadatatest.AssertEqualReceiverUsmRefusedRequests(t, tel, one(1, attribute.String("reason", reason)), ignored...)
		})
	}
	t.Run(reasonNoPipeline, func(t *testing.T) {
		tel, set := observed(t)
		cfg := attachConfig(t)
		startTraces(t, cfg, set, consumertest.NewNop())
		require.Error(t, newClient(t, cfg.Collector.Socket, usmReceiverOf("a")).sendMetrics(onePoint()))
		metadatatest.AssertEqualReceiverUsmRefusedRequests(t, tel, one(1, attribute.String("reason", reasonNoPipeline)), ignored...)
	})
}
