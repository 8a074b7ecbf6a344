//go:build linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

const (
	mib = 1 << 20
	// V8 reserves so much address space for compiled code at its start, which counts as mapped and of which it touches a few MiB.
	codeRangeBytes = 512 * mib
	// Of the memory limit, how much V8 may use for its heap; the rest is for its code, threads and buffers.
	heapShare = 0.5
	// How long the log of a child that is gone may be held open by somebody who inherited it.
	logDrainTimeout = time.Second
)

// Variables that the child gets. Others could change what it runs (NODE_OPTIONS, NODE_PATH, LD_PRELOAD, LD_LIBRARY_PATH), or are secrets
// of the Collector's configuration.
var inheritedVariables = []string{"PATH", "TZ", "LANG", "LC_ALL", "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"}

// child is a running usm-receiver.
type child struct {
	command *exec.Cmd
	stdin   io.Closer
	log     *childLog
	// exited is closed when it is gone, and everything it has started with it.
	exited chan struct{}

	mu       sync.Mutex
	isReaped bool
}

// checkExecutable refuses what somebody without the Collector's privileges could have put there.
func checkExecutable(path string, uid int) error {
	attempted := "cannot start collector::executable " + path
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s: the path must be absolute", attempted)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("%s: %w; install usm-receiver, or say where it is", attempted, err)
	}
	info, err := os.Stat(target)
	if err != nil {
		return fmt.Errorf("%s: %w", attempted, err)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return fmt.Errorf("%s: %s is a %s and no program", attempted, target, kindOf(mode))
	case mode.Perm()&0o111 == 0:
		return fmt.Errorf("%s: %s is not executable (chmod +x)", attempted, target)
	case mode.Perm()&0o022 != 0:
		return fmt.Errorf("%s: others than its owner can write to %s, and would be run with the Collector's privileges (chmod go-w)", attempted, target)
	case owner != 0 && int(owner) != uid:
		return fmt.Errorf("%s: %s is owned by user %d, and must be by root or by the Collector's user %d (chown)", attempted, target, owner, uid)
	}
	return nil
}

// startChild must be called by the thread that is to outlive the child.
func startChild(config CollectorConfig, args []string, input []byte, logger *zap.Logger) (*child, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	command := exec.Command(config.Executable, args...)
	command.Dir = "/"
	command.Env = childEnvironment(os.Environ(), config.MemoryLimitMiB)
	command.Stderr = writer
	command.SysProcAttr = &syscall.SysProcAttr{
		// A group of its own: it can be killed with all that it has started, and Ctrl+C in a terminal is for the Collector.
		Setpgid: true,
		// Not with executables that have file capabilities; the end of its standard input tells those.
		Pdeathsig: syscall.SIGKILL,
	}
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, reader.Close(), writer.Close())
	}
	err = command.Start()
	_ = writer.Close()
	if err != nil {
		return nil, errors.Join(err, stdin.Close(), reader.Close())
	}
	c := &child{command: command, stdin: stdin, log: newChildLog(logger), exited: make(chan struct{})}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		c.log.copyFrom(reader)
	}()
	// It waits for its configuration, so it has not done anything yet.
	err = limitMemory(c.pid(), config.MemoryLimitMiB)
	go c.wait(logged, reader)
	if err != nil {
		c.kill()
		<-c.exited
		return nil, err
	}
	// It may be larger than a pipe, and the child may not read.
	go func() { _, _ = stdin.Write(input) }()
	return c, nil
}

// limitMemory bounds what the child can have of memory of its own (getrlimit(2), RLIMIT_DATA): beyond it an allocation fails and the child
// ends. A control group would count pages instead of mappings, but making one is up to whoever manages the Collector's.
func limitMemory(pid, limitMiB int) error {
	bytes := uint64(limitMiB)*mib + codeRangeBytes
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: bytes, Max: bytes}, nil); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("cannot limit its memory to %d MiB: %w", limitMiB, err)
	}
	return nil
}

func childEnvironment(own []string, limitMiB int) []string {
	env := []string{fmt.Sprintf("NODE_OPTIONS=--max-old-space-size=%d", int(float64(limitMiB)*heapShare))}
	for _, variable := range own {
		if name, _, _ := strings.Cut(variable, "="); slices.Contains(inheritedVariables, name) {
			env = append(env, variable)
		}
	}
	return env
}

func (c *child) pid() int {
	return c.command.Process.Pid
}

// wait ends what the child has left behind before anybody else can get its process id, and its group's.
func (c *child) wait(logged <-chan struct{}, reader io.Closer) {
	for {
		err := unix.Waitid(unix.P_PID, c.pid(), nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	c.kill()
	c.mu.Lock()
	c.isReaped = true
	c.mu.Unlock()
	_ = c.stdin.Close()
	_ = c.command.Wait()
	select {
	case <-logged:
	case <-time.After(logDrainTimeout):
	}
	_ = reader.Close()
	<-logged
	close(c.exited)
}

// terminate asks it to flush and end.
func (c *child) terminate() {
	c.signal(c.pid(), syscall.SIGTERM)
}

// kill ends it and all that it has started.
func (c *child) kill() {
	c.signal(-c.pid(), syscall.SIGKILL)
}

func (c *child) signal(pid int, signal syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isReaped {
		_ = syscall.Kill(pid, signal)
	}
}

// describeExit may be called when exited is closed.
func (c *child) describeExit() error {
	state := c.command.ProcessState
	how := fmt.Sprintf("ended with exit code %d", state.ExitCode())
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		how = fmt.Sprintf("was ended by %s", unix.SignalName(status.Signal()))
	}
	if last := c.log.lastComplaint(); last != "" {
		return fmt.Errorf("usm-receiver (pid %d) %s: %s", c.pid(), how, last)
	}
	return fmt.Errorf("usm-receiver (pid %d) %s", c.pid(), how)
}
