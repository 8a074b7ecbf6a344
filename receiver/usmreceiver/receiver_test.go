//go:build linux

package usmreceiver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"usm-receiver.test/receiver/usmreceiver/internal/metadata"
)

// started is a receiver with both pipelines.
type started struct {
	receiver *usmReceiver
	traces   *consumertest.TracesSink
	metrics  *consumertest.MetricsSink
	hosts    [2]*recordingHost
	socket   string
}

func start(t testing.TB, cfg *Config, change func(*usmReceiver)) *started {
	s := &started{
		traces:  &consumertest.TracesSink{},
		metrics: &consumertest.MetricsSink{},
		hosts:   [2]*recordingHost{{}, {}},
		socket:  cfg.Collector.Socket,
	}
	set := receivertest.NewNopSettings(metadata.Type)
	traces, err := NewFactory().CreateTraces(context.Background(), set, cfg, s.traces)
	require.NoError(t, err)
	metrics, err := NewFactory().CreateMetrics(context.Background(), set, cfg, s.metrics)
	require.NoError(t, err)
	require.Same(t, traces, metrics, "pipelines share one receiver")
	s.receiver = traces.(*usmReceiver)
	if change != nil {
		change(s.receiver)
	}
	require.NoError(t, traces.Start(context.Background(), s.hosts[0]))
	require.NoError(t, metrics.Start(context.Background(), s.hosts[1]))
	t.Cleanup(func() {
		assert.NoError(t, traces.Shutdown(context.Background()))
		assert.NoError(t, metrics.Shutdown(context.Background()))
	})
	return s
}

// startTraces starts a receiver in front of one consumer.
func startTraces(t testing.TB, cfg *Config, set receiver.Settings, next consumer.Traces) receiver.Traces {
	r, err := NewFactory().CreateTraces(context.Background(), set, cfg, next)
	require.NoError(t, err)
	require.NoError(t, r.Start(context.Background(), componenttest.NewNopHost()))
	t.Cleanup(func() { assert.NoError(t, r.Shutdown(context.Background())) })
	return r
}

func requireRefused(t testing.TB, err error, code codes.Code, parts ...string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, status.Code(err), err.Error())
	for _, part := range parts {
		require.Contains(t, err.Error(), part)
	}
}

func TestSpansAndPointsReachTheirPipelines(t *testing.T) {
	s := start(t, attachConfig(t), nil)
	c := newClient(t, s.socket, usmReceiverOf("a"))
	require.NoError(t, c.sendTraces(oneSpan()))
	require.NoError(t, c.sendMetrics(onePoint()))
	assert.Equal(t, 1, s.traces.SpanCount())
	assert.Equal(t, 1, s.metrics.DataPointCount())
}

func TestAnEmptyRequestIsAGreetingAndIsNotPassedOn(t *testing.T) {
	s := start(t, attachConfig(t), nil)
	require.NoError(t, newClient(t, s.socket, usmReceiverOf("a")).greet())
	assert.Empty(t, s.traces.AllTraces())
	for _, host := range s.hosts {
		assert.Equal(t, []componentstatus.Status{componentstatus.StatusOK}, host.statuses())
	}
}

func TestStatusTellsSilenceAndItsEndOnce(t *testing.T) {
	s := start(t, attachConfig(t), func(r *usmReceiver) { r.silence = 50 * time.Millisecond })
	c := newClient(t, s.socket, usmReceiverOf("a"))
	require.NoError(t, c.greet())
	require.NoError(t, c.greet())
	eventually(t, "silence", func() bool { return s.hosts[1].last().Status() == componentstatus.StatusRecoverableError })
	assert.ErrorContains(t, s.hosts[1].last().Err(), s.socket)
	time.Sleep(120 * time.Millisecond) // more silence is no news
	require.NoError(t, c.greet())
	expected := []componentstatus.Status{componentstatus.StatusOK, componentstatus.StatusRecoverableError, componentstatus.StatusOK}
	assert.Equal(t, expected, s.hosts[0].statuses()[:3])
	assert.Equal(t, expected, s.hosts[1].statuses()[:3])
}

func TestStatusSaysWhyNobodyIsAdmitted(t *testing.T) {
	s := start(t, attachConfig(t), func(r *usmReceiver) { r.silence = 50 * time.Millisecond })
	requireRefused(t, newClient(t, s.socket, identity{protocol: "2", version: "9.9.9", instance: "a"}).greet(), codes.Unavailable)
	eventually(t, "the reason", func() bool {
		err := s.hosts[0].last().Err()
		return err != nil && strings.Contains(err.Error(), "9.9.9")
	})
}

func TestStatusSaysThatTheSocketWasRemoved(t *testing.T) {
	s := start(t, attachConfig(t), func(r *usmReceiver) { r.silence = 50 * time.Millisecond })
	require.NoError(t, newClient(t, s.socket, usmReceiverOf("a")).greet())
	require.NoError(t, os.Remove(s.socket))
	eventually(t, "the reason", func() bool {
		err := s.hosts[0].last().Err()
		return err != nil && strings.Contains(err.Error(), "somebody has removed "+s.socket)
	})
}

func TestAnotherProtocolIsRefusedAndMayComeAgain(t *testing.T) {
	s := start(t, attachConfig(t), nil)
	for _, id := range []identity{{protocol: "2", version: "9.9.9", instance: "a"}, {protocol: "0", version: "9.9.9", instance: "a"}} {
		err := newClient(t, s.socket, id).sendTraces(oneSpan())
		requireRefused(t, err, codes.Unavailable, "usm-receiver 9.9.9 speaks protocol "+id.protocol, "receiver usm protocol 1")
	}
	assert.Zero(t, s.traces.SpanCount())
	assert.Empty(t, s.hosts[0].statuses())
}

func TestWhatIsNotUsmReceiverIsSentElsewhere(t *testing.T) {
	s := start(t, attachConfig(t), nil)
	for _, id := range []identity{{}, {protocol: protocol}, {instance: "a"}} {
		requireRefused(t, newClient(t, s.socket, id).sendMetrics(onePoint()), codes.Unavailable, "otlp receiver")
	}
	assert.Zero(t, s.metrics.DataPointCount())
}

func TestASecondInstanceIsRefusedWhileTheFirstLives(t *testing.T) {
	s := start(t, attachConfig(t), nil)
	one, two := newClient(t, s.socket, usmReceiverOf("one")), newClient(t, s.socket, usmReceiverOf("two"))
	require.NoError(t, one.sendTraces(oneSpan()))
	requireRefused(t, two.sendTraces(oneSpan()), codes.Unavailable, "instance one", "twice")
	require.NoError(t, one.sendTraces(oneSpan()))
	one.close()
	eventually(t, "the second after the end of the first", func() bool { return two.sendTraces(oneSpan()) == nil })
	assert.Equal(t, 3, s.traces.SpanCount())
}

func TestASecondInstanceTakesOverFromOneThatIsSilent(t *testing.T) {
	s := start(t, attachConfig(t), func(r *usmReceiver) { r.gate.silence = 50 * time.Millisecond })
	require.NoError(t, newClient(t, s.socket, usmReceiverOf("one")).greet())
	two := newClient(t, s.socket, usmReceiverOf("two"))
	eventually(t, "the second after silence", func() bool { return two.greet() == nil })
}

func newTestGate(t testing.TB, ownUID uint32) *gate {
	set := receivertest.NewNopSettings(metadata.Type)
	telemetry, err := newTelemetry(set)
	require.NoError(t, err)
	return newGate(ownUID, maxSilence, set.Logger, telemetry)
}

func TestOnlyRootAndTheCollectorsUserMaySend(t *testing.T) {
	g := newTestGate(t, 998)
	for uid, isAdmitted := range map[uint32]bool{0: true, 998: true, 1000: false, 65534: false} {
		conn := &peerConn{pid: 4711, uid: uid}
		err := g.admit(incoming(conn, usmReceiverOf("a")))
		if isAdmitted {
			require.NoError(t, err)
			continue
		}
		requireRefused(t, err, codes.Unavailable, "process 4711", fmt.Sprintf("user %d", uid), "998")
	}
}

func TestWithAChildOnlyTheChildMaySend(t *testing.T) {
	g := newTestGate(t, 0)
	g.expect(4711)
	require.NoError(t, g.admit(incoming(&peerConn{pid: 4711}, usmReceiverOf("a"))))
	requireRefused(t, g.admit(incoming(&peerConn{pid: 4712}, usmReceiverOf("a"))), codes.Unavailable, "process 4712", "process 4711")
}

func TestErrorsFromDownstreamSayWhetherToSendAgain(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code codes.Code
	}{
		"transient":                 {errors.New("queue is full"), codes.Unavailable},
		"permanent":                 {consumererror.NewPermanent(errors.New("no such index")), codes.Internal},
		"with a code of its own":    {status.Error(codes.ResourceExhausted, "slow down"), codes.ResourceExhausted},
		"permanent with its reason": {consumererror.NewPermanent(status.Error(codes.InvalidArgument, "bad span")), codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := attachConfig(t)
			startTraces(t, cfg, receivertest.NewNopSettings(metadata.Type), consumertest.NewErr(c.err))
			err := newClient(t, cfg.Collector.Socket, usmReceiverOf("a")).sendTraces(oneSpan())
			requireRefused(t, err, c.code, status.Convert(c.err).Message())
		})
	}
}

func TestASignalWithoutAPipelineWaits(t *testing.T) {
	cfg := attachConfig(t)
	startTraces(t, cfg, receivertest.NewNopSettings(metadata.Type), consumertest.NewNop())
	requireRefused(t, newClient(t, cfg.Collector.Socket, usmReceiverOf("a")).sendMetrics(onePoint()), codes.Unavailable, "no metrics pipeline")
}

func TestARequestOverTheLimitIsRefused(t *testing.T) {
	cfg := attachConfig(t)
	cfg.Collector.MaxRecvMsgSizeMiB = 1
	startTraces(t, cfg, receivertest.NewNopSettings(metadata.Type), consumertest.NewNop())
	c := newClient(t, cfg.Collector.Socket, usmReceiverOf("a"))
	traces := oneSpan()
	traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).SetName(strings.Repeat("x", mib))
	requireRefused(t, c.sendTraces(traces), codes.ResourceExhausted)
	require.NoError(t, c.sendTraces(oneSpan()))
}

func TestItCanBeStartedAgainAndAgain(t *testing.T) {
	cfg := attachConfig(t)
	for round := range 3 {
		sink := &consumertest.TracesSink{}
		r, err := NewFactory().CreateTraces(context.Background(), receivertest.NewNopSettings(metadata.Type), cfg, sink)
		require.NoError(t, err)
		require.NoError(t, r.Start(context.Background(), componenttest.NewNopHost()))
		c := newClient(t, cfg.Collector.Socket, usmReceiverOf(fmt.Sprint(round)))
		require.NoError(t, c.sendTraces(oneSpan()))
		require.NoError(t, r.Shutdown(context.Background()))
		require.NoError(t, r.Shutdown(context.Background()))
		assert.Equal(t, 1, sink.SpanCount())
		requireRefused(t, c.sendTraces(oneSpan()), codes.Unavailable)
		assert.NoFileExists(t, cfg.Collector.Socket)
	}
}

func TestShutdownLetsARequestFinish(t *testing.T) {
	cfg := attachConfig(t)
	next := newSlowConsumer(t)
	r := startTraces(t, cfg, receivertest.NewNopSettings(metadata.Type), next)
	sent := make(chan error, 1)
	go func() { sent <- newClient(t, cfg.Collector.Socket, usmReceiverOf("a")).sendTraces(oneSpan()) }()
	<-next.entered
	stopped := make(chan error, 1)
	go func() { stopped <- r.Shutdown(context.Background()) }()
	eventually(t, "the socket is gone", func() bool { return !exists(cfg.Collector.Socket) })
	close(next.release)
	require.NoError(t, <-stopped)
	require.NoError(t, <-sent)
	assert.Equal(t, int64(1), next.consumed.Load())
}

func TestShutdownKeepsItsDeadline(t *testing.T) {
	cfg := attachConfig(t)
	next := newSlowConsumer(t)
	r := startTraces(t, cfg, receivertest.NewNopSettings(metadata.Type), next)
	sent := make(chan error, 1)
	go func() { sent <- newClient(t, cfg.Collector.Socket, usmReceiverOf("a")).sendTraces(oneSpan()) }()
	<-next.entered
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.NoError(t, r.Shutdown(ctx))
	// usm-receiver keeps it and sends it to the next Collector.
	requireRefused(t, <-sent, codes.Unavailable)
	assert.Zero(t, next.consumed.Load())
}

func TestShutdownWithoutStart(t *testing.T) {
	r, err := NewFactory().CreateTraces(context.Background(), receivertest.NewNopSettings(metadata.Type), attachConfig(t), consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, r.Shutdown(context.Background()))
}

// slowConsumer takes spans when it is released, or not at all when its request is cancelled.
type slowConsumer struct {
	consumer.Traces
	entered  chan struct{}
	release  chan struct{}
	consumed atomic.Int64
}

func newSlowConsumer(t testing.TB) *slowConsumer {
	c := &slowConsumer{entered: make(chan struct{}), release: make(chan struct{})}
	traces, err := consumer.NewTraces(func(ctx context.Context, _ ptrace.Traces) error {
		close(c.entered)
		select {
		case <-c.release:
			c.consumed.Add(1)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	require.NoError(t, err)
	c.Traces = traces
	return c
}

// generator sends as usm-receiver does: again, while it is told UNAVAILABLE.
type generator struct {
	t      *testing.T
	socket string
	signal pipeline.Signal
	client *client
	sent   atomic.Int64
}

func (g *generator) Start() {
	g.client = newClient(g.t, g.socket, usmReceiverOf("contract"))
}

func (g *generator) Stop() {
	g.client.close()
}

func (g *generator) Generate() []receivertest.UniqueIDAttrVal {
	id := receivertest.UniqueIDAttrVal(fmt.Sprint(g.sent.Add(1)))
	for {
		var err error
		if g.signal == pipeline.SignalTraces {
			err = g.client.sendTraces(receivertest.CreateOneSpanWithID(id))
		} else {
			err = g.client.sendMetrics(receivertest.CreateHistogramMetricWithID(id))
		}
		if status.Code(err) != codes.Unavailable {
			return []receivertest.UniqueIDAttrVal{id}
		}
	}
}

func TestConsumeContract(t *testing.T) {
	for _, signal := range []pipeline.Signal{pipeline.SignalTraces, pipeline.SignalMetrics} {
		t.Run(signal.String(), func(t *testing.T) {
			cfg := attachConfig(t)
			receivertest.CheckConsumeContract(receivertest.CheckConsumeContractParams{
				T:             t,
				Factory:       NewFactory(),
				Signal:        signal,
				Config:        cfg,
				Generator:     &generator{t: t, socket: cfg.Collector.Socket, signal: signal},
				GenerateCount: 500,
			})
		})
	}
}
