package deliver

import (
	"strconv"
	"testing"
	"time"
)

// What is remembered of warnings is bounded by the destinations that were warned of within a minute, not by all that ever were.
func TestWarningsAreForgotten(t *testing.T) {
	t.Parallel()
	var m missing
	m.init()
	now := time.Unix(0, 0)
	for i := range 20 * minDropAt {
		now = now.Add(time.Second)
		if !m.shouldWarn(laneKey{"t" + strconv.Itoa(i), "hook"}, now) {
			t.Fatal("the first warning of a destination is not logged")
		}
		if m.shouldWarn(laneKey{"t" + strconv.Itoa(i), "hook"}, now) {
			t.Fatal("the second one is logged at once")
		}
	}
	if n := len(m.warned); n > minDropAt {
		t.Errorf("%d destinations are remembered", n)
	}
}
