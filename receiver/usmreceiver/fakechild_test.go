//go:build linux

package usmreceiver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"usm-receiver.test/receiver/usmreceiver/internal/metadata"
)

// The test binary is the child too: started as `attach --supervised` it does what `fake` in its configuration says.
func init() {
	if len(os.Args) > 1 && os.Args[1] == "attach" {
		os.Exit(fakeChild())
	}
	if len(os.Args) > 2 && os.Args[1] == "collector-to-be-killed" {
		collectorToBeKilled(os.Args[2])
	}
}

type fakeConfig struct {
	Receivers map[string]struct {
		Fake      string `json:"fake"`
		Collector struct {
			Socket string `json:"socket"`
		} `json:"collector"`
	} `json:"receivers"`
	Service struct {
		Pipelines map[string]any `json:"pipelines"`
	} `json:"service"`
}

func fakeChild() int {
	input := bufio.NewReader(os.Stdin)
	line, err := input.ReadBytes('\n')
	if err != nil {
		return 90
	}
	var config fakeConfig
	if json.Unmarshal(line, &config) != nil || len(config.Receivers) != 1 {
		return 91
	}
	for _, block := range config.Receivers {
		return behave(block.Fake, block.Collector.Socket, string(line), input)
	}
	return 0
}

func behave(fake, socket, line string, input io.Reader) int {
	switch fake {
	case "crash":
		fmt.Fprintln(os.Stderr, "Error: USM_KERNEL: cannot load: no BTF")
		return 3
	case "silent":
		_, _ = io.Copy(io.Discard, input)
		return 0
	case "grandchild":
		command := exec.Command("sleep", "1000")
		command.Stderr = os.Stderr // it keeps the log open
		if command.Start() != nil {
			return 92
		}
		fmt.Fprintf(os.Stderr, `{"level":"info","msg":"grandchild","pid":%d}`+"\n", command.Process.Pid)
		return 1
	case "greedy":
		var hoard [][]byte
		for range 2048 {
			page := make([]byte, mib)
			for at := 0; at < len(page); at += 4096 {
				page[at] = 1
			}
			hoard = append(hoard, page)
		}
		runtime.KeepAlive(hoard)
		return 0
	case "long-line":
		fmt.Fprintln(os.Stderr, strings.Repeat("x", 10*mib))
		fmt.Fprintln(os.Stderr, `{"level":"warn","ts":"2026-01-01T00:00:00Z","msg":"after","count":7}`)
	case "facts":
		status, _ := os.ReadFile("/proc/self/status")
		facts, _ := json.Marshal(map[string]any{
			"level": "info", "msg": "facts", "args": os.Args[1:], "environ": os.Environ(), "status": string(status), "input": line,
		})
		fmt.Fprintln(os.Stderr, string(facts))
	}
	return fakeRun(fake == "deaf", socket, input)
}

// fakeRun says that it is there until it is told to end, and has one span for the end.
func fakeRun(isDeaf bool, socket string, input io.Reader) int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	orphaned := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, input)
		close(orphaned)
	}()
	conn, err := dial(socket)
	if err != nil {
		return 93
	}
	c := &client{conn: conn, identity: usmReceiverOf(fmt.Sprint(os.Getpid()))}
	for {
		if err := c.greet(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		select {
		case <-terminated:
		case <-orphaned:
		case <-time.After(20 * time.Millisecond):
			continue
		}
		if isDeaf {
			time.Sleep(time.Hour)
		}
		if c.sendTraces(oneSpan()) != nil {
			return 94
		}
		return 0
	}
}

// collectorToBeKilled has a child that would not go by itself, and says its process id.
func collectorToBeKilled(socket string) {
	cfg := superviseConfig(socket, "deaf")
	r, err := NewFactory().CreateTraces(context.Background(), receivertest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
	if err != nil {
		panic(err)
	}
	if err := r.Start(context.Background(), &recordingHost{}); err != nil {
		panic(err)
	}
	gate := r.(*usmReceiver).gate
	for gate.lastHeard().IsZero() {
		time.Sleep(time.Millisecond)
	}
	gate.mu.Lock()
	fmt.Println(gate.onlyPID)
	gate.mu.Unlock()
	select {}
}

func superviseConfig(socket, fake string) *Config {
	cfg := createDefaultConfig().(*Config)
	executable, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cfg.Collector.Mode = modeSupervise
	cfg.Collector.Socket = socket
	cfg.Collector.Executable = executable
	cfg.Collector.Restart = RestartConfig{InitialInterval: 20 * time.Millisecond, Multiplier: 2, MaxInterval: 80 * time.Millisecond}
	cfg.Capture = map[string]any{"fake": fake}
	return cfg
}
