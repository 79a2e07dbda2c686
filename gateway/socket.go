package gateway

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// maxSocketPath is what sun_path holds on Linux and the BSDs, without its final zero.
const maxSocketPath = 103

// listenSocket makes the control socket, readable by its owner alone. One left behind by a killed gateway is taken
// over: the store's lock has already shown that nobody else runs here.
func listenSocket(dir string) (net.Listener, error) {
	path := filepath.Join(dir, SocketName)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := net.Listen("unix", shortSocket(path)) //nolint:noctx // a listener lives as long as the gateway
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

// shortSocket is a way to a socket whose path is longer than the system takes: through an open folder.
func shortSocket(path string) string {
	if len(path) <= maxSocketPath {
		return path
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return path
	}
	// The descriptor stays open: the address is used for as long as the process may dial or listen on it.
	short := filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), filepath.Base(path))
	socketFolders.Store(path, dir)
	return short
}

// socketFolders keeps folders open whose sockets have long paths, by path.
var socketFolders sync.Map
