package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.opentelemetry.io/collector/component"
)

// Config is the block `usm` under `receivers`, the same one that usm-receiver takes when it runs by itself.
type Config struct {
	// Collector is how the Collector and usm-receiver meet: the only part that this component acts upon.
	Collector CollectorConfig `mapstructure:"collector"`
	// Capture is everything else: what is observed, and how. It is for usm-receiver.
	Capture map[string]any `mapstructure:",remain"`
}

// CollectorConfig is the part of the block that only a Collector needs.
type CollectorConfig struct {
	// Mode is `attach` or `supervise`: usm-receiver is started by somebody else, or by this component.
	Mode string `mapstructure:"mode"`
	// Socket is the absolute path of the UNIX socket that usm-receiver sends to.
	Socket string `mapstructure:"socket"`
	// MaxRecvMsgSizeMiB bounds one request.
	MaxRecvMsgSizeMiB int `mapstructure:"max_recv_msg_size_mib"`
	// Executable is what mode supervise starts.
	Executable string `mapstructure:"executable"`
	// StartupTimeout is how long usm-receiver may take until it is heard, in mode supervise.
	StartupTimeout time.Duration `mapstructure:"startup_timeout"`
	// ShutdownTimeout is how long usm-receiver may take to send what it has after SIGTERM, in mode supervise.
	ShutdownTimeout time.Duration `mapstructure:"shutdown_timeout"`
	// MemoryLimitMiB is the hard limit of usm-receiver, in mode supervise.
	MemoryLimitMiB int `mapstructure:"memory_limit_mib"`
	// Restart is how long to wait before usm-receiver is started again, in mode supervise.
	Restart RestartConfig `mapstructure:"restart"`
}

// RestartConfig is exponential backoff.
type RestartConfig struct {
	InitialInterval time.Duration `mapstructure:"initial_interval"`
	Multiplier      float64       `mapstructure:"multiplier"`
	MaxInterval     time.Duration `mapstructure:"max_interval"`
}

// The kernel's limit (unix(7)) without the final 0.
const maxSocketPathBytes = 107

const (
	modeAttach    = "attach"
	modeSupervise = "supervise"
)

func createDefaultConfig() component.Config {
	return &Config{
		Collector: CollectorConfig{
			Mode:              modeAttach,
			Socket:            "/run/usm-receiver/collector.sock",
			MaxRecvMsgSizeMiB: 64,
			Executable:        "/usr/bin/usm-receiver",
			StartupTimeout:    30 * time.Second,
			ShutdownTimeout:   10 * time.Second,
			MemoryLimitMiB:    512,
			Restart:           RestartConfig{InitialInterval: time.Second, Multiplier: 2, MaxInterval: time.Minute},
		},
	}
}

// Validate checks what this component acts upon.
func (c *Config) Validate() error {
	var problems []error
	complain := func(key, format string, arguments ...any) {
		problems = append(problems, fmt.Errorf("collector::%s: "+format, append([]any{key}, arguments...)...))
	}
	collector := c.Collector
	if collector.Mode != modeAttach && collector.Mode != modeSupervise {
		complain("mode", "must be one of [%s %s], found %q", modeAttach, modeSupervise, collector.Mode)
	}
	if !filepath.IsAbs(collector.Socket) || len(collector.Socket) > maxSocketPathBytes {
		complain("socket", "expected an absolute path of at most %d bytes such as /run/usm-receiver/collector.sock, found %q", maxSocketPathBytes, collector.Socket)
	}
	if collector.MaxRecvMsgSizeMiB < 1 || collector.MaxRecvMsgSizeMiB > 1024 {
		complain("max_recv_msg_size_mib", "must be between 1 and 1024, found %d", collector.MaxRecvMsgSizeMiB)
	}
	return errors.Join(problems...)
}
