//go:build linux

package usmreceiver

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	usm "usm-receiver.test/receiver/usmreceiver/internal/metadata"
)

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// incoming is the context of a request.
func incoming(conn *peerConn, id identity) context.Context {
	ctx := peer.NewContext(context.Background(), &peer.Peer{AuthInfo: peerInfo{conn: conn}})
	return metadata.NewIncomingContext(ctx, metadata.Pairs(protocolKey, id.protocol, versionKey, id.version, instanceKey, id.instance))
}

func TestTheSocketIsForItsOwnerAndGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "collector.sock")
	listener, err := listen(path)
	require.NoError(t, err)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.ModeSocket|socketMode, info.Mode())
	require.NoError(t, listener.Close())
	assert.False(t, exists(path))
}

func TestAStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "collector.sock")
	killed, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	killed.SetUnlinkOnClose(false)
	require.NoError(t, killed.Close())
	require.True(t, exists(path))
	listener, err := listen(path)
	require.NoError(t, err)
	require.NoError(t, listener.Close())
}

func TestASocketThatIsServedIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "collector.sock")
	first, err := listen(path)
	require.NoError(t, err)
	defer func() { _ = first.Close() }()
	_, err = listen(path)
	require.ErrorContains(t, err, fmt.Sprintf("is served by process %d (", os.Getpid()))
	assert.True(t, exists(path))
}

func TestWhatIsNoSocketIsLeftAlone(t *testing.T) {
	for kind, make := range map[string]func(path string) error{
		"file":          func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"folder":        func(path string) error { return os.Mkdir(path, 0o700) },
		"symbolic link": func(path string) error { return os.Symlink("/nowhere", path) },
	} {
		t.Run(kind, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "collector.sock")
			require.NoError(t, make(path))
			_, err := listen(path)
			require.ErrorContains(t, err, "is a "+kind+" and no socket")
			assert.True(t, exists(path))
		})
	}
}

func TestASocketOfAnotherKindIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "collector.sock")
	datagrams, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer func() { _ = datagrams.Close() }()
	_, err = listen(path)
	require.ErrorContains(t, err, "is somebody else's")
	assert.True(t, exists(path))
}

func TestASocketThatTookOurPlaceIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "collector.sock")
	ours, err := listen(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	theirs, err := listen(path)
	require.NoError(t, err)
	defer func() { _ = theirs.Close() }()
	require.NoError(t, ours.Close())
	assert.True(t, exists(path))
}

func TestAFolderThatCannotBeMadeIsToldWithAWayOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := listen(filepath.Join(file, "collector.sock"))
	require.ErrorContains(t, err, "RuntimeDirectory=")
}

func TestOfCollectorsThatStartAtOnceOneServes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "collector.sock")
	for range 20 {
		killed, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		require.NoError(t, err)
		killed.SetUnlinkOnClose(false)
		require.NoError(t, killed.Close())
		const collectors = 4
		served := make(chan net.Listener, collectors)
		for range collectors {
			go func() {
				listener, _ := listen(path)
				served <- listener
			}()
		}
		var listeners []net.Listener
		for range collectors {
			if listener := <-served; listener != nil {
				listeners = append(listeners, listener)
			}
		}
		require.Len(t, listeners, 1)
		require.NoError(t, listeners[0].Close())
	}
}

func TestStartSaysWhatIsInTheWay(t *testing.T) {
	cfg := attachConfig(t)
	require.NoError(t, os.MkdirAll(cfg.Collector.Socket, 0o700))
	r, err := NewFactory().CreateTraces(context.Background(), receivertest.NewNopSettings(usm.Type), cfg, consumertest.NewNop())
	require.NoError(t, err)
	require.ErrorContains(t, r.Start(context.Background(), componenttest.NewNopHost()), cfg.Collector.Socket)
	require.NoError(t, r.Shutdown(context.Background()))
}
