package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"errors"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
)

// Config is the block `usm` under `receivers`, the same one that usm-receiver takes when it runs by itself.
type Config struct {
	// Collector is how the Collector and usm-receiver meet: the only part that this component acts upon.
	Collector CollectorConfig `mapstructure:"collector"`
	// Capture is everything else: what is observed, and how. It is for usm-receiver.
	Capture map[string]any `mapstructure:",remain"`

	problems []string
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

const (
	modeAttach    = "attach"
	modeSupervise = "supervise"
)

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
	_ confmap.Validator   = (*Config)(nil)
)

// createDefaultConfig has the defaults of schema.json, which a test compares.
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

// Unmarshal checks the block as usm-receiver does, and takes what is for the Collector. Problems wait for Validate, which the Collector
// calls for all components, so that a user gets to know those of others too.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	block := blockOf(conf)
	complete, problems := check(block)
	if c.problems = problems; len(problems) > 0 {
		return nil
	}
	delete(block, "collector")
	c.Capture = block
	collector, _ := complete["collector"].(map[string]any)
	return confmap.NewFromStringMap(collector).Unmarshal(&c.Collector)
}

// Validate tells what is wrong with the block, in the words of usm-receiver.
func (c *Config) Validate() error {
	var problems []error
	for _, problem := range c.problems {
		problems = append(problems, errors.New(problem))
	}
	return errors.Join(problems...)
}
