package embedded

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// After CompactErased no file of the data folder has a byte of what was erased, also where Pebble reuses its logs.
func TestErasedBytesLeaveTheDisk(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, err := open(Options{Dir: dir, Clock: clock.NewManual(now), Memory: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	word := []byte("Kq9vXw2ZpRt@mail.tld")
	var ids []string
	accept := func(key, email string) {
		t.Helper()
		h := event.Header{
			Tenant: "acme", Source: "app", SourceKind: "api", Type: event.TypeResponseCompleted, SurveyID: "s1", ResponseID: "r-" + key,
			Time: now, Received: now, DedupeKey: key, Verified: "token",
		}
		ev, err := event.New(h, &event.Data{Respondent: event.Respondent{Email: email}}, event.Raw{Body: fmt.Appendf(nil, `{"email":%q}`, email)})
		ok(err)
		_, err = s.Append(ctx, []*event.Event{ev})
		ok(err)
		claimed, err := s.Claim(ctx, 1, 0)
		ok(err)
		d := state.Delivery{
			ID: state.JoinDeliveryID(ev.ID, "crmaaaaaaaaaa"), Tenant: "acme", EventID: ev.ID, Origin: state.Origin{Kind: state.Rule, Name: "r"},
			Step: "crm", Destination: "crm", Connector: "webhook", State: state.Dead, Reason: "no: " + email, Attempts: 1,
			Log: []state.Attempt{{N: 1, At: now, Verdict: "rejected", Status: 422, Request: []byte(email), Response: []byte(email)}},
		}
		_, err = s.Commit(ctx, &state.Commit{Events: []state.Outcome{{Position: claimed[0].Position, Tenant: "acme", EventID: ev.ID, Deliveries: []state.Delivery{d}}}})
		ok(err)
		if email == string(word) {
			ids = append(ids, ev.ID)
		}
	}
	for i := range 40 {
		email := "other@example.com"
		if i%7 == 0 {
			email = string(word)
		}
		accept(fmt.Sprint(i), email)
		if i%10 == 0 { // logs are reused, and tables lie over each other
			ok(s.db.Flush())
		}
	}
	ok(s.Keep(ctx, "acme", "rejected/app", append([]byte("body "), word...), 10, time.Hour))
	_, err = s.Put(ctx, "acme", "job", "j1", []byte("x"), 0)
	ok(err)
	if fileWith(t, dir, word) == "" {
		t.Fatal("it was never on disk")
	}
	results, err := s.Erase(ctx, "acme", ids)
	ok(err)
	for _, r := range results {
		if !r.Found || r.Busy != "" {
			t.Fatalf("%+v", r)
		}
	}
	n, err := s.Weed(ctx, "acme", "rejected/app", func(item []byte) bool { return bytes.Contains(item, word) })
	ok(err)
	if n != 1 {
		t.Fatalf("weeded %d", n)
	}
	ok(s.CompactErased(ctx, "acme", ids, []string{"rejected/app"}))
	if path := fileWith(t, dir, word); path != "" {
		t.Errorf("%s holds it", path)
	}
	for i := range 100 { // the emptied logs are used again
		accept(fmt.Sprint("later ", i), "other@example.com")
		if i%20 == 0 {
			ok(s.db.Flush())
		}
	}
	ok(s.Close())
	if path := fileWith(t, dir, word); path != "" {
		t.Errorf("%s holds it after the end", path)
	}
	if s, err = open(Options{Dir: dir, Clock: clock.NewManual(now)}); err != nil {
		t.Fatal(err)
	}
	page, err := s.Events(ctx, "acme", state.EventQuery{Respondent: "other@example.com", Limit: 200})
	ok(err)
	if len(page.Items) != 134 {
		t.Errorf("%d events of others are left", len(page.Items))
	}
	ok(s.Close())
}

// fileWith returns a file below a folder that has a text; empty: none has.
func fileWith(t *testing.T, dir string, text []byte) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, text) {
			found = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
