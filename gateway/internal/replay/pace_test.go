package replay

import (
	"slices"
	"testing"
	"time"
)

// A replay begins slowly, reaches its rate while the destinations keep up, and slows down once for each batch that they do not attempt in
// time. To a destination with a rate, it leaves most of it to live deliveries at first.
func TestPace(t *testing.T) {
	t.Parallel()
	limits := map[string]float64{"slow": 100}
	p := newPace(400, func(name string) float64 { return limits[name] })
	sizes := func(destination string, n int) (sizes []int) {
		for range n {
			sizes = append(sizes, p.size(destination))
			p.kept()
		}
		return sizes
	}
	if got := sizes("", 5); !slices.Equal(got, []int{50, 100, 200, 250, 250}) {
		t.Errorf("without a rate of the destination: %v", got)
	}
	for range 3 {
		p.behind("quick") // it is looked at several times until it has attempted the batch
	}
	if got := sizes("", 3); !slices.Equal(got, []int{200, 200, 250}) {
		t.Errorf("after it was behind once: %v", got)
	}
	if got := sizes("slow", 3); !slices.Equal(got, []int{40, 41, 41}) {
		t.Errorf("with a rate: %v", got)
	}
	targets := slices.Repeat([]string{"slow", "quick"}, 83)
	if over := p.overTargets(targets); over != 2*time.Second {
		t.Errorf("83 to each of two take %s", over)
	}
	p.behind("slow")
	p.kept()
	if got := p.size("slow"); got != 30 { // 0.7 of 41.5
		t.Errorf("after it was behind: %d", got)
	}
	for range 200 {
		p.kept()
	}
	if got := p.size("slow"); got != 100 {
		t.Errorf("at last: %d, which is its rate", got)
	}
	limits["slow"] = 10
	if got := p.size("slow"); got != leastAtOnce {
		t.Errorf("with another rate: %d", got)
	}
	for range 100 {
		p.behind("quick")
		p.slowed = false
	}
	if got := p.size(""); got != 4 {
		t.Errorf("at least: %d", got)
	}
}
