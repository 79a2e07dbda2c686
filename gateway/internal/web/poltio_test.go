package web

import (
	"context"
	"os"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/web/intake"
)

// TestPoltioMalformed: the sample on Poltio's page is not JSON. Pasted as it stands it is answered 400, so that nobody
// takes it for received, and kept with its bytes among the rejected; corrected, it is an event. The same session's
// incomplete delivery is another one.
func TestPoltioMalformed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	read := func(name string) string {
		body, err := os.ReadFile("../source/testdata/payloads/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	malformed := read("poltio-malformed.txt")
	post := ask{method: "POST", path: "/in/poltio/" + pathToken, body: malformed}
	if got := r.ask(t, post); got.status != 400 {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	kept, err := intake.RejectedOf(context.Background(), r.store, "default", "poltio")
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d kept, %v", len(kept), err)
	}
	if kept[0].Body != malformed || kept[0].Reason != "not json" || !kept[0].Proved || kept[0].Truncated {
		t.Errorf("kept as %q: %s", kept[0].Reason, kept[0].Body)
	}
	for i, name := range []string{"poltio-incomplete.derived.json", "poltio-complete.json", "poltio-complete.json", "poltio-legacy.json"} {
		post.body = read(name)
		want := `{"id":"ID","status":"` + []string{"accepted", "accepted", "duplicate", "accepted"}[i] + `"}`
		if got := r.ask(t, post); got.status != 200 || plain(got.body) != want {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}
