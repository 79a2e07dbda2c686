// Package socket is the control socket in a data folder: a gateway listens on it, and commands dial it.
package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Name is the control socket's file in a gateway's data folder.
const Name = "surveygate.sock"

// maxPath is what sun_path holds on Linux and the BSDs, without its final zero.
const maxPath = 103

// Listen makes the control socket in dir, readable by its owner alone. One left behind by a killed gateway is taken
// over. That nobody else runs here is shown by the embedded store's lock already; with Redis, by nobody answering.
func Listen(ctx context.Context, dir string) (net.Listener, error) {
	path := filepath.Join(dir, Name)
	if there, err := Dial(ctx, &net.Dialer{Timeout: time.Second}, dir); err == nil {
		return nil, errors.Join(fmt.Errorf("control socket: another gateway runs in %s: give each a folder of its own (--data)", dir), there.Close())
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	var lc net.ListenConfig
	l, err := throughFolder(path, func(address string) (net.Listener, error) { return lc.Listen(ctx, "unix", address) })
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	// Its address may lead elsewhere by then; the gateway removes the file by its path.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

// Dial connects to the control socket in dir.
func Dial(ctx context.Context, d *net.Dialer, dir string) (net.Conn, error) {
	return throughFolder(filepath.Join(dir, Name), func(address string) (net.Conn, error) { return d.DialContext(ctx, "unix", address) })
}

// throughFolder uses a socket whose path may be longer than the system takes: through its folder, open meanwhile.
func throughFolder[T any](path string, use func(address string) (T, error)) (T, error) {
	if len(path) <= maxPath {
		return use(path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		var none T
		return none, err
	}
	defer func() { _ = dir.Close() }()
	return use(filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), filepath.Base(path)))
}
