//go:build linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// A child that has lived for so long did not fail at its start: the next wait is the first again.
const healthyAfter = time.Minute

// How often it is looked whether the child is heard.
const watchInterval = time.Second

// supervisor keeps one child running: starts it, starts it again when it ends, stops it.
type supervisor struct {
	command   CollectorConfig
	args      []string
	input     []byte
	logger    *zap.Logger
	status    *statusReporter
	gate      *gate
	telemetry *telemetry
	silence   time.Duration

	stopping chan struct{}
	stopped  chan struct{}
	// deadline of stopping; written before stopping is closed.
	stopContext context.Context
}

func newSupervisor(cfg *Config, set receiver.Settings, status *statusReporter, gate *gate, telemetry *telemetry, signals []string) (*supervisor, error) {
	input, err := childInput(cfg, set.ID.String(), signals, levelOf(set.Logger))
	if err != nil {
		return nil, err
	}
	args := []string{"attach", "--supervised"}
	if id := set.ID.String(); id != set.ID.Type().String() {
		args = append(args, "--receiver", id)
	}
	return &supervisor{
		command:   cfg.Collector,
		args:      args,
		input:     input,
		logger:    set.Logger,
		status:    status,
		gate:      gate,
		telemetry: telemetry,
		silence:   maxSilence,
		stopping:  make(chan struct{}),
		stopped:   make(chan struct{}),
	}, nil
}

// childInput is what the child reads: one line, a configuration as in a file of the Collector, with this receiver and its pipelines.
func childInput(cfg *Config, id string, signals []string, level string) ([]byte, error) {
	block := maps.Clone(cfg.Capture)
	if block == nil {
		block = map[string]any{}
	}
	block["collector"] = map[string]any{"mode": modeSupervise, "socket": cfg.Collector.Socket}
	pipelines := map[string]any{}
	for _, signal := range signals {
		pipelines[signal] = map[string]any{"receivers": []string{id}}
	}
	line, err := json.Marshal(map[string]any{
		"receivers": map[string]any{id: block},
		"service": map[string]any{
			"pipelines": pipelines,
			"telemetry": map[string]any{
				"logs": map[string]any{"encoding": "json", "level": level},
				// The default would be the port of the Collector's own metrics.
				"metrics": map[string]any{"level": "none"},
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("the configuration of %s cannot be handed to usm-receiver: %w", id, err)
	}
	return append(line, '\n'), nil
}

// levelOf: what the Collector would not log, the child need not say.
func levelOf(logger *zap.Logger) string {
	for _, level := range []zapcore.Level{zapcore.DebugLevel, zapcore.InfoLevel, zapcore.WarnLevel} {
		if logger.Core().Enabled(level) {
			return level.String()
		}
	}
	return zapcore.ErrorLevel.String()
}

// run returns after stop, when no child is left.
func (s *supervisor) run() {
	defer close(s.stopped)
	// The child is killed when the thread that made it ends, and may do less than the Collector: so it gets a thread of its own, which
	// ends with this goroutine because it is never unlocked.
	runtime.LockOSThread()
	if err := restrictThread(); err != nil {
		s.logger.Warn("usm-receiver keeps the privileges of the Collector", zap.Error(err))
	}
	wait := s.command.Restart.InitialInterval
	for {
		startedAt := time.Now()
		reason := s.runOnce()
		if s.isStopping() {
			return
		}
		if time.Since(startedAt) >= healthyAfter {
			wait = s.command.Restart.InitialInterval
		}
		s.telemetry.restarted(context.Background())
		err := fmt.Errorf("%w; it is started again in %s", reason, wait)
		s.logger.Error("usm-receiver is not running", zap.Error(err))
		s.status.report(componentstatus.NewRecoverableErrorEvent(err))
		select {
		case <-s.stopping:
			return
		case <-time.After(wait):
		}
		wait = min(time.Duration(float64(wait)*s.command.Restart.Multiplier), s.command.Restart.MaxInterval)
	}
}

// runOnce starts a child and returns why there is none any more.
func (s *supervisor) runOnce() error {
	if err := checkExecutable(s.command.Executable, os.Getuid()); err != nil {
		return err
	}
	c, err := startChild(s.command, s.args, s.input, s.logger)
	if err != nil {
		return fmt.Errorf("cannot start usm-receiver: %w", err)
	}
	s.gate.expect(c.pid())
	s.logger.Info("usm-receiver is started", zap.String("executable", s.command.Executable), zap.Int("pid", c.pid()))
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	startedAt := time.Now()
	for {
		select {
		case <-c.exited:
			return c.describeExit()
		case <-s.stopping:
			s.end(s.stopContext, c)
			return nil
		case <-ticker.C:
		}
		heard := s.gate.lastHeard()
		switch {
		case heard.Before(startedAt) && time.Since(startedAt) >= s.command.StartupTimeout:
			s.end(context.Background(), c)
			return fmt.Errorf("usm-receiver (pid %d) was not heard on %s within startup_timeout (%s) and was stopped", c.pid(), s.command.Socket, s.command.StartupTimeout)
		case heard.After(startedAt) && time.Since(heard) >= s.silence:
			s.status.report(componentstatus.NewRecoverableErrorEvent(
				fmt.Errorf("usm-receiver (pid %d) runs and was not heard for %s: it is overloaded or stuck", c.pid(), s.silence)))
		}
	}
}

// end has the child flush and go, and makes it go.
func (s *supervisor) end(ctx context.Context, c *child) {
	c.terminate()
	timer := time.NewTimer(s.command.ShutdownTimeout)
	defer timer.Stop()
	select {
	case <-c.exited:
		return
	case <-timer.C:
	case <-ctx.Done():
	}
	s.logger.Warn("usm-receiver did not end in time and is killed; what it had not sent is lost",
		zap.Int("pid", c.pid()), zap.Duration("shutdown_timeout", s.command.ShutdownTimeout))
	c.kill()
	<-c.exited
}

func (s *supervisor) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// stop is called once, and returns when no child is left.
func (s *supervisor) stop(ctx context.Context) {
	s.stopContext = ctx
	close(s.stopping)
	<-s.stopped
}
