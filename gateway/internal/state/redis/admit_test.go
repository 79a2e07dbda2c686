package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// An error that waiting cannot fix ends a start at once. A running store keeps trying: when a password is changed in Redis, it
// is soon changed in the configuration too.
func TestRefusedAtOnce(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	srv.do("ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "-@all", "+ping", "+client", "+hello")
	srv.config("requirepass", "right")
	for name, c := range map[string]struct{ user, want string }{
		"no password":      {"", "NOAUTH"},
		"a wrong password": {":wrong@", "WRONGPASS"},
		"no rights":        {"reader:secret@", "NOPERM"},
	} {
		_, err := Open(Options{URL: fmt.Sprintf("redis://%s127.0.0.1:%d/0", c.user, srv.port)})
		if err == nil || errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: said %v", name, err)
		}
	}
	for _, text := range []string{"WRONGPASS invalid username-password pair", "ERR max number of clients reached", "MOVED 1 127.0.0.1:1"} {
		if err := s.fault(errors.New(text)); !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("while it runs: %v", err)
		}
	}
}

// A Cluster that is used as one Redis is refused at the start, as it would refuse most keys.
func TestClusterTakenForOneRedis(t *testing.T) {
	t.Parallel()
	_, nodes := startCluster(t)
	if _, err := Open(Options{URL: nodes[0].url()}); err == nil || errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), "add ?cluster=true") {
		t.Errorf("said %v", err)
	}
}
