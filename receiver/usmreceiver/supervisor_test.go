//go:build linux

package usmreceiver

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"usm-receiver.test/receiver/usmreceiver/internal/metadata"
	"usm-receiver.test/receiver/usmreceiver/internal/metadatatest"
)

// supervised is a receiver with a child.
type supervised struct {
	receiver receiver.Traces
	host     *recordingHost
	sink     *consumertest.TracesSink
	logs     *observer.ObservedLogs
	tel      *componenttest.Telemetry
}

func supervise(t *testing.T, fake string, change func(*Config)) *supervised {
	cfg := superviseConfig(filepath.Join(t.TempDir(), "collector.sock"), fake)
	if change != nil {
		change(cfg)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { assert.NoError(t, tel.Shutdown(context.Background())) })
	set := metadatatest.NewSettings(tel)
	set.Logger = zap.New(core)
	s := &supervised{host: &recordingHost{}, sink: &consumertest.TracesSink{}, logs: logs, tel: tel}
	var err error
	s.receiver, err = NewFactory().CreateTraces(context.Background(), set, cfg, s.sink)
	require.NoError(t, err)
	require.NoError(t, s.receiver.Start(context.Background(), s.host))
	t.Cleanup(func() { assert.NoError(t, s.receiver.Shutdown(context.Background())) })
	return s
}

// record waits for a record with this message and returns its fields.
func (s *supervised) record(t *testing.T, message string) map[string]any {
	t.Helper()
	eventually(t, "a record: "+message, func() bool { return s.logs.FilterMessage(message).Len() > 0 })
	return s.logs.FilterMessage(message).All()[0].ContextMap()
}

func (s *supervised) assertRestarts(t *testing.T, expected int) {
	t.Helper()
	points := []metricdata.DataPoint[int64]{{Value: int64(expected), Attributes: attribute.NewSet(attribute.String("receiver", "usm"))}}
	metadatatest.AssertEqualReceiverUsmRestarts(t, s.tel, points, ignored...)
}

func (s *supervised) childPID(t *testing.T) int {
	return int(s.record(t, "usm-receiver is started")["pid"].(int64))
}

func isAlive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestAChildIsStartedAndFlushesAtTheEnd(t *testing.T) {
	s := supervise(t, "well", nil)
	eventually(t, "OK", func() bool { return s.host.last().Status() == componentstatus.StatusOK })
	s.assertRestarts(t, 0)
	pid := s.childPID(t)
	require.NoError(t, s.receiver.Shutdown(context.Background()))
	assert.False(t, isAlive(pid))
	assert.Equal(t, 1, s.sink.SpanCount(), "what it sent after SIGTERM")
	s.assertRestarts(t, 0)
}

func TestAChildThatCrashesIsStartedAgainMoreAndMoreSlowly(t *testing.T) {
	s := supervise(t, "crash", nil)
	message := "usm-receiver is not running"
	eventually(t, "five ends", func() bool { return s.logs.FilterMessage(message).Len() >= 5 })
	var waits []string
	for _, record := range s.logs.FilterMessage(message).All()[:5] {
		reason := record.ContextMap()["error"].(string)
		assert.Contains(t, reason, "ended with exit code 3: Error: USM_KERNEL: cannot load: no BTF")
		waits = append(waits, reason[strings.LastIndex(reason, " ")+1:])
	}
	assert.Equal(t, []string{"20ms", "40ms", "80ms", "80ms", "80ms"}, waits)
	assert.Equal(t, componentstatus.StatusRecoverableError, s.host.last().Status())
	// It waits most of the time; a stop does not wait with it.
	startedAt := time.Now()
	require.NoError(t, s.receiver.Shutdown(context.Background()))
	assert.Less(t, time.Since(startedAt), testTimeout)
	s.assertRestarts(t, s.logs.FilterMessage(message).Len())
}

func TestAChildThatIgnoresSIGTERMIsKilled(t *testing.T) {
	s := supervise(t, "deaf", func(cfg *Config) { cfg.Collector.ShutdownTimeout = 100 * time.Millisecond })
	eventually(t, "OK", func() bool { return s.host.last().Status() == componentstatus.StatusOK })
	pid := s.childPID(t)
	require.NoError(t, s.receiver.Shutdown(context.Background()))
	assert.False(t, isAlive(pid))
	assert.Equal(t, 1, s.logs.FilterMessageSnippet("is killed").Len())
}

func TestTheDeadlineOfShutdownGoesBeforeTheTimeoutOfTheChild(t *testing.T) {
	s := supervise(t, "deaf", func(cfg *Config) { cfg.Collector.ShutdownTimeout = time.Hour })
	eventually(t, "OK", func() bool { return s.host.last().Status() == componentstatus.StatusOK })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	require.NoError(t, s.receiver.Shutdown(ctx))
	assert.False(t, isAlive(s.childPID(t)))
}

func TestALongLineIsCutAndTheNextIsThere(t *testing.T) {
	s := supervise(t, "long-line", nil)
	assert.Equal(t, map[string]any{"count": 7.0}, s.record(t, "after"))
	assert.Equal(t, zapcore.WarnLevel, s.logs.FilterMessage("after").All()[0].Level)
	cut := s.logs.FilterField(zap.Bool("truncated", true)).All()
	require.Len(t, cut, 1)
	assert.Len(t, cut[0].Message, maxLogLineBytes)
}

func TestAChildThatIsNotHeardIsStartedAgain(t *testing.T) {
	s := supervise(t, "silent", func(cfg *Config) { cfg.Collector.StartupTimeout = 50 * time.Millisecond })
	reason := s.record(t, "usm-receiver is not running")["error"]
	assert.Contains(t, reason, "startup_timeout (50ms)")
	eventually(t, "another", func() bool { return s.logs.FilterMessage("usm-receiver is started").Len() >= 2 })
}

func TestWhatAChildLeavesBehindIsEnded(t *testing.T) {
	s := supervise(t, "grandchild", nil)
	pid := int(s.record(t, "grandchild")["pid"].(float64))
	eventually(t, "its end", func() bool { return !isAlive(pid) })
	eventually(t, "a restart", func() bool { return s.logs.FilterMessage("usm-receiver is started").Len() >= 2 })
}

func TestAChildCannotHaveMoreMemoryThanItsLimit(t *testing.T) {
	s := supervise(t, "greedy", func(cfg *Config) { cfg.Collector.MemoryLimitMiB = 128 })
	assert.Regexp(t, "ended with exit code [1-9]", s.record(t, "usm-receiver is not running")["error"])
}

func TestWhatAChildGets(t *testing.T) {
	for _, variable := range []string{"NODE_OPTIONS", "NODE_PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "OTLP_TOKEN"} {
		t.Setenv(variable, "/of/the/collector")
	}
	t.Setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET,PURGE")
	s := supervise(t, "facts", func(cfg *Config) { cfg.Collector.MemoryLimitMiB = 1024 })
	facts := s.record(t, "facts")
	assert.Equal(t, []any{"attach", "--supervised"}, facts["args"])
	environ := fmt.Sprint(facts["environ"])
	assert.NotContains(t, environ, "/of/the/collector")
	assert.Contains(t, environ, "NODE_OPTIONS=--max-old-space-size=512")
	assert.Contains(t, environ, "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS=GET,PURGE")
	assert.Contains(t, environ, "PATH="+os.Getenv("PATH"))
	assert.JSONEq(t, fmt.Sprintf(`{
		"receivers": {"usm": {"fake": "facts", "collector": {"mode": "supervise", "socket": %q}}},
		"service": {
			"pipelines": {"traces": {"receivers": ["usm"]}},
			"telemetry": {"logs": {"encoding": "json", "level": "debug"}, "metrics": {"level": "none"}}
		}
	}`, s.receiver.(*usmReceiver).cfg.Collector.Socket), facts["input"].(string))
	if os.Getuid() == 0 {
		status := facts["status"].(string)
		assert.Contains(t, status, "NoNewPrivs:\t1")
		assert.Zero(t, capabilitiesIn(t, status, "CapEff")&(1<<12|1<<16|1<<21|1<<22), "of NET_ADMIN, SYS_MODULE, SYS_ADMIN, SYS_BOOT")
	}
	own, err := os.ReadFile("/proc/thread-self/status")
	require.NoError(t, err)
	assert.Contains(t, string(own), "NoNewPrivs:\t0", "the Collector keeps what it has")
}

func TestAReceiverWithANameIsNamedToTheChild(t *testing.T) {
	set := receivertest.NewNopSettings(metadata.Type)
	set.ID = component.NewIDWithName(metadata.Type, "edge")
	s, err := newSupervisor(attachConfig(t), set, &statusReporter{}, nil, nil, []string{"metrics"})
	require.NoError(t, err)
	assert.Equal(t, []string{"attach", "--supervised", "--receiver", "usm/edge"}, s.args)
	assert.Contains(t, string(s.input), `"pipelines":{"metrics":{"receivers":["usm/edge"]}}`)
}

func capabilitiesIn(t *testing.T, status, set string) uint64 {
	_, rest, found := strings.Cut(status, set+":\t")
	require.True(t, found)
	capabilities, err := strconv.ParseUint(rest[:16], 16, 64)
	require.NoError(t, err)
	return capabilities
}

func TestAChildEndsWithACollectorThatIsKilled(t *testing.T) {
	executable, err := os.Executable()
	require.NoError(t, err)
	collector := exec.Command(executable, "collector-to-be-killed", filepath.Join(t.TempDir(), "collector.sock"))
	stdout, err := collector.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, collector.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	require.True(t, isAlive(pid))
	require.NoError(t, collector.Process.Kill())
	_ = collector.Wait()
	eventually(t, "the end of the child", func() bool { return !isAlive(pid) })
}

func TestStartSaysWhatIsWrongWithTheExecutable(t *testing.T) {
	folder := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	foreign := file("foreign", 0o755)
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(foreign, 4711, 4711))
	}
	for path, expected := range map[string]string{
		filepath.Join(folder, "missing"): "install usm-receiver",
		"usm-receiver":                   "must be absolute",
		folder:                           "is a folder and no program",
		file("data", 0o644):              "is not executable",
		file("open", 0o775):              "others than its owner can write",
		foreign:                          "is owned by user 4711",
	} {
		if path == foreign && os.Getuid() != 0 {
			continue
		}
		cfg := superviseConfig(filepath.Join(folder, "collector.sock"), "well")
		cfg.Collector.Executable = path
		r, err := NewFactory().CreateTraces(context.Background(), receivertest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
		require.NoError(t, err)
		err = r.Start(context.Background(), componenttest.NewNopHost())
		require.ErrorContains(t, err, expected)
		require.ErrorContains(t, err, path)
		require.NoError(t, r.Shutdown(context.Background()))
		assert.False(t, exists(cfg.Collector.Socket))
	}
}
