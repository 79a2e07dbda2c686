package gateway

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A gateway that hangs is said in words, and is not one that does not run.
func TestClientOfAGatewayThatHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var lc net.ListenConfig
	l, err := throughFolder(filepath.Join(dir, SocketName), func(address string) (net.Listener, error) {
		return lc.Listen(t.Context(), "unix", address)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // it takes no connection: they wait in its queue
	client, err := Dial(ClientOptions{Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.http.Timeout = 50 * time.Millisecond
	_, err = client.Deliveries(t.Context(), nil)
	if err == nil || !strings.HasSuffix(err.Error(), SocketName+": the gateway there gave no answer within 50ms") {
		t.Errorf("got %v", err)
	}
}
