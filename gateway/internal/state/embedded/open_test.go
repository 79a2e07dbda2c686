package embedded

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// TestLayout: a folder of another layout is refused and left as it is.
func TestLayout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Set(metaLayout, binary.AppendUvarint(nil, layoutVersion+1), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the lock was released
		if _, err := open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "layout 2") {
			t.Fatalf("got %v", err)
		}
	}
}

// TestFiles: only the owner can read the files, and a damaged key of respondents is refused, not replaced.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s, err := open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "respondents.key")
	for path, want := range map[string]fs.FileMode{dir: 0o700, key: 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
	if err := os.WriteFile(key, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "respondents.key") {
		t.Fatalf("got %v", err)
	}
}

// TestRespondentKeyLost: without its key the index does not find earlier respondents. The store warns of that, also after another
// restart and in pages, and finds later respondents. A new store and an ordinary restart cause no warning.
func TestRespondentKeyLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	var s *store
	reopen := func() {
		t.Helper()
		if s != nil {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if s, err = open(Options{Dir: dir, Clock: now}); err != nil {
			t.Fatal(err)
		}
	}
	warns := func() bool {
		h := s.Health(t.Context())
		if h.Err != nil {
			t.Fatal(h.Err)
		}
		return slices.ContainsFunc(h.Warnings, func(w string) bool {
			return strings.Contains(w, "respondents.key was deleted or replaced: events accepted before 2026-03-01T13:00:00Z")
		})
	}
	since := func() time.Time {
		page, err := s.Events(t.Context(), "acme", state.EventQuery{Respondent: "jo@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		return page.RespondentsSince
	}
	reopen()
	e, err := event.New(event.Header{
		ID: event.ID("acme", "app", "a"), Tenant: "acme", Source: "app", SourceKind: "api", Type: "response.completed", SurveyID: "s1",
		ResponseID: "r1", Time: now.Now(), Received: now.Now(), DedupeKey: "a", Verified: "token",
	}, &event.Data{Survey: event.Survey{ID: "s1"}, Response: event.Response{ID: "r1"}}, event.Raw{ContentType: "application/json", Body: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), []*event.Event{e}); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "respondents.key")
	former, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	now.Advance(time.Hour)
	reopen()
	if warns() || !since().IsZero() {
		t.Error("warned with the key that there always was")
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		reopen()
		if !warns() || !since().Equal(now.Now().Truncate(time.Hour)) {
			t.Errorf("warned: %v, since %v", warns(), since())
		}
		now.Advance(time.Minute)
	}
	if err := os.WriteFile(key, former, 0o600); err != nil {
		t.Fatal(err)
	}
	reopen()
	if since().IsZero() {
		t.Error("events of the time in between are not found, and nothing says so")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUnreadable: an event that cannot be read becomes a dead letter and does not delay others.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	events := benchEvents(t, 0, 3)
	if _, err := s.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	terms := termsOf(events[1])
	for pos, bad := range map[uint64][]byte{1: {99}, 2: appendEvent(nil, &terms, []byte("no envelope"), nil)} {
		if err := s.db.Set(posKey(nil, tabEvent, pos), bad, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = open(Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	claimed, err := s.Claim(t.Context(), 10, 0)
	if err != nil || len(claimed) != 1 || claimed[0].Event.ID != events[2].ID {
		t.Fatalf("%d claimed, %v", len(claimed), err)
	}
	if n := s.Health(t.Context()).Pending; n != 1 {
		t.Fatalf("%d pending", n)
	}
	if done, err := s.Trim(t.Context(), state.Retention{Events: state.Bound{Age: time.Nanosecond}}); err != nil || done.Events+done.Kept != 2 {
		t.Fatalf("trimmed %+v, %v", done, err)
	}
}
