package redis

import (
	"fmt"
	"strings"
	"testing"
)

// The user that the README names is enough: it reaches our keys and channels only, and of what is dangerous asks INFO.
func TestConformanceOfAUserWithLittle(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func() (string, []*server){
		"single":  func() (string, []*server) { s := start(t); return s.url(), []*server{s} },
		"cluster": func() (string, []*server) { return startCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, nodes := begin()
			for _, n := range nodes {
				n.do("ACL", "SETUSER", "gate", "on", ">secret", "~t*", "&t*", "+@all", "-@dangerous", "+info")
			}
			t.Run("suite", func(t *testing.T) { conform(t, strings.Replace(url, "redis://", "redis://gate:secret@", 1), 1) })
			for _, n := range nodes {
				if refused := asList(n.do("ACL", "LOG")); len(refused) > 0 {
					t.Errorf("refused was %v", refused)
				}
			}
		})
	}
}

// So is that of a stream which is a source, with scripts and without: then entries are read one at a time.
func TestStreamOfAUserWithLittle(t *testing.T) {
	t.Parallel()
	for name, scripts := range map[string][]any{"scripts": {"+eval", "+evalsha"}, "no scripts": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			srv.do(append([]any{
				"ACL", "SETUSER", "reader", "on", ">secret", "~survey-events",
				"+xgroup", "+xreadgroup", "+xpending", "+xclaim", "+xack", "+xinfo",
			}, scripts...)...)
			for i := range 20 {
				srv.do("XADD", "survey-events", "*", "event", fmt.Sprint(i))
			}
			var h heard
			most := 0
			stop := reading(t, fmt.Sprintf("redis://reader:secret@127.0.0.1:%d/0", srv.port), func(e []Entry) error {
				most = max(most, len(e))
				h.add(e)
				return nil
			})
			until(t, "all were read", func() bool { return h.count() == 20 && pending(srv) == 0 })
			stop()
			if together := most > 1; together != (scripts != nil) {
				t.Errorf("%d were read at once", most)
			}
		})
	}
}
