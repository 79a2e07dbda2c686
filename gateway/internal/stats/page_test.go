package stats

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

var update = flag.Bool("update", false, "write the table of metrics and the definitions into gateway/API.md")

// The page's table of metrics and its definitions are those of the program.
func TestMetricsPage(t *testing.T) {
	t.Parallel()
	st := &store{health: state.Health{Counted: true}, held: []state.DestinationOnHold{{Tenant: "acme", Destination: "crm", Hold: state.Hold{Kind: state.HoldPaused}}}}
	s, _ := newStats(st)
	pollqr := s.Source("default", "pollqr")
	pollqr.Accepted(1, start)
	pollqr.Refused(state.RefusedSignature, start)
	s.Accept(time.Millisecond)
	s.Attempt(to("default", "crm"), connectors.Delivered, state.Answered, time.Millisecond, start)
	s.TokenFetched("default", "crm", "ok")
	s.Batch("append", 1)
	text, err := s.Scrape(true)
	if err != nil {
		t.Fatal(err)
	}
	help, kind, labels := map[string]string{}, map[string]string{}, map[string]map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "# HELP surveygate_"):
			name, words, _ := strings.Cut(strings.TrimPrefix(line, "# HELP "), " ")
			help[name], labels[name] = words, map[string]bool{}
		case strings.HasPrefix(line, "# TYPE surveygate_"):
			name, words, _ := strings.Cut(strings.TrimPrefix(line, "# TYPE "), " ")
			kind[name] = words
		case strings.HasPrefix(line, "surveygate_"):
			name, rest, ok := strings.Cut(line, "{")
			if !ok {
				continue
			}
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if short := strings.TrimSuffix(name, suffix); labels[short] != nil {
					name = short
				}
			}
			rest, _, _ = strings.Cut(rest, "}")
			for pair := range strings.SplitSeq(rest, ",") {
				if label, _, _ := strings.Cut(pair, "="); label != "le" {
					labels[name]["`"+label+"`"] = true
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("\n| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(help)) {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, kind[name], strings.Join(slices.Sorted(maps.Keys(labels[name])), " "), help[name])
	}
	b.WriteString("\n")
	const path = "../../API.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d strings.Builder
	d.WriteString("\n")
	for _, each := range Definitions {
		fmt.Fprintf(&d, "- **%s**: %s.\n", each.Figure, each.Meaning)
	}
	d.WriteString("\n")
	written := page
	for _, part := range []struct{ name, text string }{{"metrics", b.String()}, {"definitions", d.String()}} {
		opening, closing := "<!-- "+part.name+" -->\n", "<!-- /"+part.name+" -->"
		before, rest, found := strings.Cut(string(written), opening)
		_, after, ended := strings.Cut(rest, closing)
		if !found || !ended {
			t.Fatalf("the page has no part %q", part.name)
		}
		written = []byte(before + opening + part.text + closing + after)
	}
	switch {
	case bytes.Equal(written, page):
	case *update:
		if err := os.WriteFile(path, written, 0o600); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table of metrics or the definitions are stale: go test ./gateway/internal/stats -run TestMetricsPage -update")
	}
}
