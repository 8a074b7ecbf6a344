//go:build linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// What each request of usm-receiver says of it.
const (
	protocolKey = "usm-protocol"
	versionKey  = "usm-version"
	instanceKey = "usm-instance"
	// protocol is raised when either side could misunderstand the other.
	protocol = "1"
)

// A refusal that has not changed is logged again after this time.
const refusalLogInterval = time.Minute

// gate decides who may send: one usm-receiver at a time, of this protocol, run by root or by the Collector's user. Everybody else is told
// UNAVAILABLE, which is retried: what they have to send is not lost while somebody mends it.
type gate struct {
	ownUID    uint32
	silence   time.Duration
	logger    *zap.Logger
	telemetry *telemetry

	mu sync.Mutex
	// onlyPID is the child's in mode supervise, else 0.
	onlyPID  int32
	instance string
	conn     *peerConn
	heard    time.Time
	refusal  string
	loggedAt time.Time
}

// refusal is why a request is refused: in a word for the counter, and for whoever sent it.
type refusal struct {
	reason  string
	message string
}

func refuse(reason, format string, args ...any) *refusal {
	return &refusal{reason: reason, message: fmt.Sprintf(format, args...)}
}

func newGate(ownUID uint32, silence time.Duration, logger *zap.Logger, telemetry *telemetry) *gate {
	return &gate{ownUID: ownUID, silence: silence, logger: logger, telemetry: telemetry}
}

func (g *gate) admit(ctx context.Context) error {
	now := time.Now()
	conn := peerConnOf(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	instance, version, refusal := g.examine(ctx, conn, now)
	if refusal != nil {
		g.telemetry.refused(ctx, refusal.reason)
		if refusal.message != g.refusal || now.Sub(g.loggedAt) >= refusalLogInterval {
			g.logger.Warn("Refused a request", zap.String("reason", refusal.message))
			g.loggedAt = now
		}
		g.refusal = refusal.message
		return status.Error(codes.Unavailable, refusal.message)
	}
	if !conn.isCounted {
		conn.isCounted = true
		g.telemetry.connected(ctx)
	}
	if instance != g.instance {
		g.logger.Info("usm-receiver is connected",
			zap.String("version", version), zap.String("instance", instance), zap.Int32("pid", conn.pid))
	}
	g.instance, g.conn, g.heard, g.refusal = instance, conn, now, ""
	return nil
}

// examine returns why a request is refused, or who sent it.
func (g *gate) examine(ctx context.Context, conn *peerConn, now time.Time) (instance, version string, why *refusal) {
	if conn == nil {
		return "", "", refuse(reasonUnknownPeer, "the process that sends cannot be told")
	}
	if conn.uid != 0 && conn.uid != g.ownUID {
		return "", "", refuse(reasonOtherUser, "%s runs as user %d: only usm-receiver run by root or by the Collector's user %d may send here", conn, conn.uid, g.ownUID)
	}
	md, _ := metadata.FromIncomingContext(ctx)
	version, instance = first(md, versionKey), first(md, instanceKey)
	if g.onlyPID != 0 && conn.pid != g.onlyPID {
		return "", "", refuse(reasonNotTheChild, "%s is not the usm-receiver that this Collector has started (process %d): with mode supervise, stop every other", conn, g.onlyPID)
	}
	switch theirs := first(md, protocolKey); {
	case theirs == "" || instance == "":
		return "", "", refuse(reasonNotUsmReceiver, "%s does not say that it is usm-receiver: this socket is for `usm-receiver attach`; send OTLP of other programs to an otlp receiver", conn)
	case theirs != protocol:
		return "", "", refuse(reasonOtherProtocol, "usm-receiver %s speaks protocol %s and this Collector's receiver usm protocol %s: install versions that belong together", version, theirs, protocol)
	}
	if instance != g.instance && g.isTaken(now) {
		return "", "", refuse(reasonTaken, "the usm-receiver of %s (instance %s) is connected, and two would tell everything twice: stop %s, or give it a receiver of its own with another collector::socket", g.conn, g.instance, conn)
	}
	return instance, version, nil
}

// expect has only this process admitted.
func (g *gate) expect(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.onlyPID = int32(pid)
}

// isTaken: the one that was heard last is still there.
func (g *gate) isTaken(now time.Time) bool {
	return g.conn != nil && !g.conn.isClosed() && now.Sub(g.heard) < g.silence
}

// isConnected: somebody was heard, and is still there.
func (g *gate) isConnected() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isTaken(time.Now())
}

// lastHeard is zero before anybody was.
func (g *gate) lastHeard() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.heard
}

// whySilent says what is known of why nobody is heard.
func (g *gate) whySilent(silence time.Duration, socket string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refusal != "" {
		return errors.New(g.refusal)
	}
	if _, err := os.Lstat(socket); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("somebody has removed %s, and usm-receiver looks for it before it sends: start the Collector again", socket)
	}
	return fmt.Errorf("no usm-receiver was heard on %s for %s: is `usm-receiver attach` running with this file?", socket, silence)
}

func peerConnOf(ctx context.Context) *peerConn {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(peerInfo)
	if !ok {
		return nil
	}
	return info.conn
}

func first(md metadata.MD, key string) string {
	if values := md.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}
