package connectortest

import (
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// What Build may allocate for one event: with the settings that most people need, and with all there are.
const (
	buildAllocations     = 60
	buildAllocationsFull = 100
)

// CheckAllocations holds Build of every registered connector to its budget of allocations: in its first transcript, and in
// those with all there is. It must not run in parallel: what others allocate would be counted too.
func CheckAllocations(t *testing.T, dir string) {
	for _, name := range connectors.Names() {
		for _, e := range measured(t, dir, name) {
			most := float64(buildAllocations)
			if strings.HasPrefix(e.name, "all-") {
				most = buildAllocationsFull
			}
			c, events := e.ready(t, name)
			if got := testing.AllocsPerRun(20, func() { _, _ = c.Build(events[0]) }); got > most {
				t.Errorf("%s, %s: Build makes %v allocations, at most %v", name, e.name, got, most)
			}
		}
	}
}

// measured are the transcripts that tell what a connector costs.
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

// BenchmarkBuild times Build of every registered connector: its first transcript, and those with all there is.
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
