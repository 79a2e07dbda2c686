package main

import (
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/browser"
)

// TestConsoleFirstPaint: a page shows something within a second, in a browser that has none of its files yet. The best of some loads
// counts, because the machine has other work.
func TestConsoleFirstPaint(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	p := browser.Start(t).Page(t, browser.Look{})
	p.Open(d.link)
	p.WaitText("h1", "Overview")
	p.NoCache()
	for _, path := range []string{"/", "/deliveries", "/events", "/destinations", "/rules", "/new/rule", "/settings/tokens"} {
		const bound = time.Second
		best := time.Hour
		for n := 0; n < 5 && best >= bound; n++ {
			p.Open("http://" + d.address + "/console/t/default" + path)
			best = min(best, p.FirstPaint())
		}
		if t.Logf("%-16s %v", path, best); best >= bound {
			t.Errorf("%s shows nothing for %v", path, best)
		}
	}
}
