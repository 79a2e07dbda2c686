package redis

import (
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
