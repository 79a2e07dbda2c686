package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/event"
)

// TestAgain reads each event of a split body from the element that it keeps, in an array and below one, and as a form; and
// from the key of another profile.
func TestAgain(t *testing.T) {
	t.Parallel()
	const head = `
source: split
decode: %s
verify: [{kind: none}]
reply: 200
type: {const: done, default: response.completed}
dedupe: "%s"
%s
map: {response.id: id, context.language: lang}
answers: [{from: data, shape: object}]
`
	cases := []struct {
		name, decode, split, body string
		events                    int
	}{
		{"an array", "json", `split: "@this"`, `[{"id":"a","data":{"q":"one"}},{"id":"b","data":{"q":"two"}}]`, 2},
		{"an array of one", "json", `split: "@this"`, `[{"id":"a","data":{"q":"one"}}]`, 1},
		{"an array below", "json", `split: items`, `{"items":[{"id":"a","data":{"q":"one"}},{"id":"b","data":{"q":"two"}}]}`, 2},
		{"an array of one below", "json", `split: items`, `{"items":[{"id":"a","data":{"q":"one"}}]}`, 1},
		{"no split", "json", "", `{"id":"a","data":{"q":"one"}}`, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text := fmt.Sprintf(head, c.decode, "{id}", c.split)
			before := inline(t, text)
			events, err := before.Normalise(request([]byte(c.body)), noon)
			if err != nil || len(events) != c.events {
				t.Fatalf("%d events, %v", len(events), err)
			}
			after := inline(t, fmt.Sprintf(head, c.decode, "{id}:{lang}:{hash}", c.split))
			var role Field
			if err := role.UnmarshalText([]byte("feedback")); err != nil {
				t.Fatal(err)
			}
			after.Roles = map[string]Field{"q": role}
			for i, ev := range events {
				same, err := before.Renormalise(ev)
				if err != nil {
					t.Fatal(err)
				}
				if names := event.Differences(ev, same); names != nil {
					t.Errorf("as it was, it differs by %v", names)
				}
				next, err := after.Renormalise(ev)
				if err != nil {
					t.Fatal(err)
				}
				want := []string{"one", "two"}[i]
				if next.ID != ev.ID || next.DedupeKey != ev.DedupeKey || next.Revision != 1 || next.Data().Response.Feedback != want {
					t.Errorf("read as %+v, feedback %q", next.Header, next.Data().Response.Feedback)
				}
				if diff := cmp.Diff(string(ev.Raw.Body), string(next.Raw.Body)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestAgainOfPayloads: whatever platforms send reads as it was read, so that nothing is put right that is not wrong.
func TestAgainOfPayloads(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(filepath.Join("testdata", "payloads"))
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, file := range files {
		platform, _, _ := strings.Cut(strings.TrimSuffix(file.Name(), filepath.Ext(file.Name())), "-")
		p, ok := Builtin().Profile(platform)
		if !ok {
			continue
		}
		s := open(t, p, Settings{})
		req := request(payload(t, file.Name()))
		if p.Decode != DecodeJSON {
			req.ContentType = contentTypes[p.Decode]
		}
		req.Verified = Verified{Kind: KindNone}
		events, err := s.Normalise(req, noon.Add(123456*time.Nanosecond))
		if err != nil {
			continue // a body that is refused is kept nowhere
		}
		for _, ev := range events {
			looked++
			next, err := s.Renormalise(ev)
			if err != nil {
				t.Errorf("%s: %v", file.Name(), err)
				continue
			}
			if names := event.Differences(ev, next); names != nil {
				t.Errorf("%s: nothing changed, and it differs by %v", file.Name(), names)
			}
		}
	}
	if looked < 10 {
		t.Errorf("%d events were read again", looked)
	}
}

// TestAgainKeepsTests: what accept_test took without a proof stays a test.
func TestAgainKeepsTests(t *testing.T) {
	t.Parallel()
	s := inline(t, `{source: x, decode: json, verify: [{kind: none}], reply: 200, type: {const: a, default: response.completed}, dedupe: "{id}", map: {response.id: id}}`)
	req := request([]byte(`{"id":"r"}`))
	req.Verified = Verified{Kind: KindNone, Test: true}
	events, err := s.Normalise(req, noon)
	if err != nil || events[0].Type != event.TypeTest {
		t.Fatal(events, err)
	}
	next, err := s.Renormalise(events[0])
	if err != nil || next.Type != event.TypeTest {
		t.Errorf("it became %v, %v", next, err)
	}
	bare, err := event.Decode(events[0].Envelope(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Renormalise(bare); !errors.Is(err, ErrNotKept) {
		t.Errorf("without its body: %v", err)
	}
}
