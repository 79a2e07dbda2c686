package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// What the page of the rule language says of platforms is true of every body that is known: an event has no field that
// its profile is said not to fill.
func TestFillsHoldsEveryFieldOfEveryPayload(t *testing.T) {
	t.Parallel()
	bodies := map[string][]string{}
	files, err := filepath.Glob("testdata/payloads/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		platform, _, _ := strings.Cut(filepath.Base(file), "-")
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bodies[platform] = append(bodies[platform], string(body))
	}
	for _, platform := range Samples() {
		sample, err := NewSample(platform, Variation{Seed: "s", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		bodies[platform] = append(bodies[platform], string(sample.Body))
	}
	l, looked := Builtin(), 0
	for _, name := range l.Names() {
		p, _ := l.Profile(name)
		s := open(t, p, Settings{})
		filled := s.Fills()
		for _, body := range bodies[name] {
			events, err := s.Normalise(&Request{Method: "POST", Body: []byte(body), Received: time.Now(), Verified: Verified{Kind: KindNone}}, time.Now())
			if err != nil {
				continue // one of the bad bodies, or a form as people read it
			}
			for _, ev := range events {
				for _, n := range event.Glossary() {
					path := n.Path
					if path == "" {
						path = n.Name
					}
					if _, data := event.Resolve(path); data && jsonpath.Read(ev.DataJSON(), path).Exists() {
						looked++
						if !slices.Contains(filled, path) {
							t.Errorf("%s fills %s, which is not said", name, path)
						}
					}
				}
			}
		}
	}
	if looked < 300 {
		t.Errorf("looked at %d values", looked)
	}
}

// A role of a source or of one survey fills its field too, and who writes events himself may fill every one.
func TestFillsOfASource(t *testing.T) {
	t.Parallel()
	role := func(name string) (f Field) {
		if err := f.UnmarshalText([]byte(name)); err != nil {
			t.Fatal(err)
		}
		return f
	}
	p, _ := Builtin().Profile("pollqr")
	filled := func(settings Settings) []string { return open(t, p, settings).Fills() }
	for path, want := range map[string][3]bool{ // by the profile, by a role, by a role of one survey
		"respondent.email": {true, true, true}, "respondent.consent": {false, true, false}, "response.score.ces": {false, false, true},
		"respondent.name": {false, false, true}, "survey.title": {true, true, true}, "context.country": {},
	} {
		for i, settings := range []Settings{
			{},
			{Roles: map[string]Field{"7": role("consent")}},
			{Surveys: map[string]Survey{"s": {Roles: map[string]Field{"2": role("ces_score"), "3": role("first_name")}}}},
		} {
			if got := slices.Contains(filled(settings), path); got != want[i] {
				t.Errorf("%s with %+v: %v", path, settings, got)
			}
		}
	}
	if !open(t, Own(), Settings{}).Free() || open(t, p, Settings{}).Free() {
		t.Error("an event in our own spelling, and no other, may hold every field")
	}
}

// A role fills every field of the data that holds one value, as the page of the rule language says.
func TestRolesFillEveryFieldOfOneValue(t *testing.T) {
	t.Parallel()
	for _, n := range event.Glossary() {
		_, data := event.Resolve(n.Name)
		one := data && n.Kind != event.Object && n.Kind != event.Array && !strings.HasPrefix(n.Name, "notice.") && !event.IsOfWhole(n.Name) // the gateway fills those itself
		var f Field
		if err := f.UnmarshalText([]byte(n.Name)); (err == nil) != one {
			t.Errorf("%s as a role: %v", n.Name, err)
		}
	}
}
