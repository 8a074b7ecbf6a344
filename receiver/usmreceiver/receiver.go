//go:build linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

const (
	// usm-receiver says something every 5 s, if only that it is there.
	maxSilence = 15 * time.Second
	// It sends with ten consumers for each of two signals, and some room: the number of requests that are in memory at a time.
	maxConcurrentRequests = 32
	readBufferBytes       = 512 * 1024
	// More often than this a client's pings would be an attack.
	minPingInterval = 5 * time.Second
)

// usmReceiver serves the pipelines of both signals. It owns the socket, and in mode supervise the child.
type usmReceiver struct {
	cfg         *Config
	set         receiver.Settings
	obsreport   *receiverhelper.ObsReport
	telemetry   *telemetry
	nextTraces  consumer.Traces
	nextMetrics consumer.Metrics
	status      *statusReporter
	gate        *gate
	// silence is a field for tests.
	silence time.Duration

	mu         sync.Mutex
	hasStarted bool
	startErr   error
	hasStopped bool
	forget     func()
	server     *grpc.Server
	child      *supervisor
	stopWatch  context.CancelFunc
	running    sync.WaitGroup
}

func newReceiver(cfg *Config, set receiver.Settings, forget func()) (*usmReceiver, error) {
	obsreport, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID:             set.ID,
		Transport:              "grpc",
		ReceiverCreateSettings: set,
	})
	if err != nil {
		return nil, err
	}
	telemetry, err := newTelemetry(set)
	if err != nil {
		return nil, err
	}
	return &usmReceiver{
		cfg:       cfg,
		set:       set,
		obsreport: obsreport,
		telemetry: telemetry,
		status:    &statusReporter{},
		gate:      newGate(uint32(os.Getuid()), maxSilence, set.Logger, telemetry),
		silence:   maxSilence,
		forget:    forget,
	}, nil
}

// Start is called for each pipeline; the first call starts.
func (r *usmReceiver) Start(ctx context.Context, host component.Host) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.add(host)
	if r.hasStarted || r.hasStopped {
		return r.startErr
	}
	r.hasStarted = true
	r.startErr = r.start(ctx, host)
	return r.startErr
}

func (r *usmReceiver) start(ctx context.Context, host component.Host) error {
	collector := r.cfg.Collector
	if collector.Mode == modeSupervise {
		// Before anything is opened. Later, when it is gone while it is being upgraded, it is tried again.
		if err := checkExecutable(collector.Executable, os.Getuid()); err != nil {
			return err
		}
		child, err := newSupervisor(r.cfg, r.set, r.status, r.gate, r.telemetry, r.signals())
		if err != nil {
			return err
		}
		r.child = child
	}
	listener, err := listen(collector.Socket)
	if err != nil {
		return err
	}
	server, err := r.newServer(ctx, host)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := r.telemetry.start(r.child != nil, r.gate.isConnected); err != nil {
		return errors.Join(err, listener.Close())
	}
	r.server = server
	r.running.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			r.status.report(componentstatus.NewFatalErrorEvent(err))
		}
	})
	if r.child != nil {
		r.running.Go(r.child.run)
	} else {
		watching, stopWatch := context.WithCancel(context.Background())
		r.stopWatch = stopWatch
		r.running.Go(func() { r.watch(watching) })
	}
	r.set.Logger.Info("Listening for usm-receiver", zap.String("socket", collector.Socket), zap.String("mode", collector.Mode))
	return nil
}

func (r *usmReceiver) newServer(ctx context.Context, host component.Host) (*grpc.Server, error) {
	config := configgrpc.NewDefaultServerConfig()
	config.MaxRecvMsgSizeMiB = r.cfg.Collector.MaxRecvMsgSizeMiB
	config.MaxConcurrentStreams = maxConcurrentRequests
	config.ReadBufferSize = readBufferBytes
	config.Keepalive = configoptional.Some(configgrpc.KeepaliveServerConfig{
		EnforcementPolicy: configoptional.Some(configgrpc.KeepaliveEnforcementPolicy{
			MinTime:             minPingInterval,
			PermitWithoutStream: true,
		}),
	})
	server, err := config.ToServer(ctx, host.GetExtensions(), r.set.TelemetrySettings,
		configgrpc.WithGrpcServerOption(grpc.Creds(peerCredentials{})),
		configgrpc.WithGrpcServerOption(grpc.ChainUnaryInterceptor(r.admit)),
	)
	if err != nil {
		return nil, err
	}
	// Both, whatever the pipelines are: that usm-receiver is there comes as an empty request for traces.
	ptraceotlp.RegisterGRPCServer(server, &tracesService{next: r.nextTraces, obsreport: r.obsreport, telemetry: r.telemetry})
	pmetricotlp.RegisterGRPCServer(server, &metricsService{next: r.nextMetrics, obsreport: r.obsreport, telemetry: r.telemetry})
	return server, nil
}

// admit lets through what comes from the one usm-receiver that may send here.
func (r *usmReceiver) admit(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := r.gate.admit(ctx); err != nil {
		return nil, err
	}
	r.status.report(componentstatus.NewEvent(componentstatus.StatusOK))
	return handler(ctx, request)
}

// watch tells when usm-receiver is not heard any more, in mode attach. That it is heard again, admit tells.
func (r *usmReceiver) watch(ctx context.Context) {
	timer := time.NewTimer(r.silence)
	defer timer.Stop()
	since := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		heard := r.gate.lastHeard()
		if heard.Before(since) {
			heard = since
		}
		if left := r.silence - time.Since(heard); left > 0 {
			timer.Reset(left)
			continue
		}
		r.status.report(componentstatus.NewRecoverableErrorEvent(r.gate.whySilent(r.silence, r.cfg.Collector.Socket)))
		timer.Reset(r.silence)
	}
}

func (r *usmReceiver) signals() []string {
	var signals []string
	if r.nextTraces != nil {
		signals = append(signals, "traces")
	}
	if r.nextMetrics != nil {
		signals = append(signals, "metrics")
	}
	return signals
}

// Shutdown is called for each pipeline too. The first call stops, because from then on the next of that pipeline may be gone.
func (r *usmReceiver) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hasStopped {
		return nil
	}
	r.hasStopped = true
	defer r.forget()
	defer r.telemetry.shutdown()
	if r.child != nil && r.server != nil {
		// It sends what it has through the socket, which is still served.
		r.child.stop(ctx)
	}
	if r.stopWatch != nil {
		r.stopWatch()
	}
	if r.server != nil {
		stopServer(ctx, r.server)
	}
	r.running.Wait()
	return nil
}

// stopServer lets requests finish for as long as ctx allows. What is refused then is sent again to the next Collector.
func stopServer(ctx context.Context, server *grpc.Server) {
	done := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		server.Stop()
		<-done
	}
}
