//go:build linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
)

// peerCredentials has the kernel say who is at the other end of each connection (SO_PEERCRED, unix(7)): whoever connected, at that moment.
type peerCredentials struct{}

// peerConn is a connection, and whose it is.
type peerConn struct {
	net.Conn
	// pid is 0 for a process of another pid namespace.
	pid    int32
	uid    uint32
	closed atomic.Bool
	// isCounted is the gate's, under its lock.
	isCounted bool
}

func (c *peerConn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

func (c *peerConn) isClosed() bool {
	return c.closed.Load()
}

func (c *peerConn) String() string {
	if c.pid == 0 {
		return "a process of another pid namespace"
	}
	return fmt.Sprintf("process %d", c.pid)
}

// peerInfo is what interceptors find in the context.
type peerInfo struct {
	credentials.CommonAuthInfo
	conn *peerConn
}

func (peerInfo) AuthType() string {
	return "peercred"
}

func (peerCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, ok := raw.(*net.UnixConn)
	if !ok {
		return nil, nil, fmt.Errorf("a connection of type %T has no peer that the kernel knows", raw)
	}
	cred, err := peerCredOf(conn)
	if err != nil {
		return nil, nil, err
	}
	wrapped := &peerConn{Conn: conn, pid: cred.Pid, uid: cred.Uid}
	// Nobody else can read what is on a UNIX socket.
	common := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
	return wrapped, peerInfo{CommonAuthInfo: common, conn: wrapped}, nil
}

func peerCredOf(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	return cred, credErr
}

func (peerCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("for servers only")
}

func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "peercred"}
}

func (p peerCredentials) Clone() credentials.TransportCredentials {
	return p
}

func (peerCredentials) OverrideServerName(string) error {
	return nil
}
