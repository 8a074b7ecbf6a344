//go:build linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	folderMode = 0o755
	socketMode = 0o660
	// How long another process may take to decide about the same folder.
	folderLockTimeout = time.Second
	probeTimeout      = time.Second
)

// listen opens the socket. What a Collector that was killed has left is removed; what somebody serves, and what is no socket, is not.
func listen(path string) (net.Listener, error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return nil, fmt.Errorf("cannot make the folder of collector::socket: %w; make it, writable for the Collector (systemd: RuntimeDirectory=), or choose another", err)
	}
	// Two Collectors that start at once must not both find the same leftover, and the later remove the socket of the earlier.
	unlock, err := lockFolder(folder)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on collector::socket %s: %w", path, err)
	}
	// By default Close removes whatever is at the path by then.
	listener.SetUnlinkOnClose(false)
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot set the mode of collector::socket: %w", err), listener.Close())
	}
	own, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &socketListener{Listener: listener, path: path, own: own}, nil
}

func lockFolder(folder string) (unlock func(), err error) {
	file, err := os.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("cannot read the folder of collector::socket: %w", err)
	}
	deadline := time.Now().Add(folderLockTimeout)
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if time.Now().After(deadline) {
			_ = file.Close()
			return nil, fmt.Errorf("cannot lock the folder %s of collector::socket: %w; another process holds it", folder, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// removeStale removes a socket that nobody serves. An error tells what else is there.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look at collector::socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("collector::socket %s is a %s and no socket: it is left alone; remove it, or choose another path", path, kindOf(info.Mode()))
	}
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	switch {
	case err == nil:
		defer func() { _ = conn.Close() }()
		return fmt.Errorf("collector::socket %s is served by %s: stop it, or choose another path", path, ownerOf(conn))
	case errors.Is(err, syscall.ECONNREFUSED):
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("cannot remove collector::socket %s, which nobody serves: %w; remove it as its owner", path, err)
		}
		return nil
	default:
		return fmt.Errorf("collector::socket %s is somebody else's: %w; remove it, or choose another path", path, err)
	}
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "folder"
	case mode.IsRegular():
		return "file"
	case mode.Type() == fs.ModeSymlink:
		return "symbolic link"
	default:
		return "special file"
	}
}

func ownerOf(conn net.Conn) string {
	cred, err := peerCredOf(conn.(*net.UnixConn))
	if err != nil || cred.Pid == 0 {
		return "another process"
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cred.Pid))
	if err != nil {
		return fmt.Sprintf("process %d", cred.Pid)
	}
	return fmt.Sprintf("process %d (%s)", cred.Pid, strings.TrimSpace(string(name)))
}

// socketListener removes its socket when it is closed, and nobody else's.
type socketListener struct {
	net.Listener
	path string
	own  fs.FileInfo
}

func (l *socketListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.own) {
		_ = os.Remove(l.path)
	}
	return l.Listener.Close()
}
