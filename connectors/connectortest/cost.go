package connectortest

import (
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// The number of allocations that Build may make for one event: with common settings, and with all settings.
const (
	buildAllocations     = 60
	buildAllocationsFull = 100
)

// CheckAllocations checks that Build of every registered connector stays within its budget of allocations, with the events of its
// transcripts `1-….txtar` and `all-….txtar`. dir is the connectors folder. It must not run in parallel with other tests, whose
// allocations would be counted too.
func CheckAllocations(t *testing.T, dir string) {
	for _, name := range connectors.Names() {
		for _, e := range measured(t, dir, name) {
			limit := float64(buildAllocations)
			if strings.HasPrefix(e.name, "all-") {
				limit = buildAllocationsFull
			}
			c, events := e.ready(t, name)
			if got := testing.AllocsPerRun(20, func() { _, _ = c.Build(events[0]) }); got > limit {
				t.Errorf("%s, %s: Build makes %v allocations, at most %v", name, e.name, got, limit)
			}
		}
	}
}

// measured returns the transcripts that are measured: the first one, and those with all settings.
func measured(t testing.TB, dir, name string) []example {
	t.Helper()
	all := slices.DeleteFunc(examples(t, dir, name), func(e example) bool {
		return !strings.HasPrefix(e.name, "1-") && !strings.HasPrefix(e.name, "all-")
	})
	if len(all) == 0 {
		t.Fatalf("%s has no transcript 1-….txtar", name)
	}
	return all
}

// BenchmarkBuild measures Build of every registered connector, with the same transcripts as CheckAllocations.
func BenchmarkBuild(b *testing.B, dir string) {
	for _, name := range connectors.Names() {
		for _, e := range measured(b, dir, name) {
			b.Run(name+"/"+strings.TrimSuffix(e.name, ".txtar"), func(b *testing.B) {
				c, events := e.ready(b, name)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Build(events[0]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
