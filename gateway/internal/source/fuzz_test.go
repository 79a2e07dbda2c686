package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/event"
)

// TestMutations plays a fixed share of what FuzzProfile's seeds lead to, so that every test run has them.
func TestMutations(t *testing.T) {
	t.Parallel()
	seeds := uint64(80)
	if testing.Short() {
		seeds = 1
	}
	for i, p := range pairsOf(t) {
		for seed := range seeds {
			p.play(t, rand.New(rand.NewPCG(seed, uint64(i))))
		}
	}
}

// play mutates a published payload: nothing but events or a named error comes of it, and never a field from another
// respondent, whether that one's request came before, or stands behind one's own values, or in the same batch.
func (p persons) play(t testing.TB, r *rand.Rand) {
	t.Helper()
	form := p.s.Profile.Decode != DecodeJSON
	p.foreign(t, mutate(r, p.one, p.two, form), markTwo)
	p.foreign(t, mutate(r, p.two, p.one, form), markOne)
	p.batch(t, r)
}

// promised fails for what is none of the errors that Normalise promises: it would be answered 500.
func promised(t testing.TB, profile string, err error) {
	t.Helper()
	if field, ok := errors.AsType[*event.FieldError](err); ok && strings.HasPrefix(field.Problem, "is no text") {
		return
	}
	if !errors.Is(err, ErrNotJSON) && !errors.Is(err, ErrTooDeep) && !errors.Is(err, ErrTooManyAnswers) && !errors.Is(err, ErrTooManyEvents) {
		t.Fatalf("%s: normalise: %v", profile, err)
	}
}

// FuzzProfile sends mutated bodies through every profile: events or one of the named errors, never a panic, never
// anything else, and every envelope is JSON of a canonical type. The seed mutates a published payload besides; see play.
func FuzzProfile(f *testing.F) {
	files, err := filepath.Glob("testdata/payloads/*")
	if err != nil {
		f.Fatal(err)
	}
	for i, file := range files {
		if filepath.Base(file) == "vectors.json" || testing.Short() && i%8 > 0 {
			continue
		}
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, "application/json", "sig", uint64(len(body)))
	}
	for _, v := range vectors(f) {
		for _, value := range v.Headers {
			f.Add([]byte(v.Body), v.ContentType, value, uint64(len(v.Body)))
		}
	}
	l := Builtin()
	var sources []*Source
	for _, name := range l.Names() {
		p, _ := l.Profile(name)
		s := Settings{Roles: map[string]Field{"1": field(f, "nps_score"), "q1": field(f, "consent")}}
		sources = append(sources, open(f, p, s))
	}
	people := pairsOf(f)
	f.Fuzz(func(t *testing.T, body []byte, contentType, header string, seed uint64) {
		people[seed%uint64(len(people))].play(t, rand.New(rand.NewPCG(seed, 0)))
		before := bytes.Clone(body)
		for _, s := range sources {
			req := request(body)
			req.ContentType = contentType
			req.Header = func(string) string { return header }
			if _, err := s.Verify(req); err != nil && !errors.Is(err, ErrRefused) {
				t.Fatalf("%s: verify: %v", s.Profile.Name, err)
			}
			events, err := s.Normalise(req, noon)
			if err != nil {
				promised(t, s.Profile.Name, err)
				continue
			}
			if len(events) == 0 {
				t.Fatalf("%s: a body without an event", s.Profile.Name)
			}
			for _, ev := range events {
				if !json.Valid(ev.Envelope()) || !utf8.Valid(ev.Envelope()) {
					t.Fatalf("%s: envelope %q", s.Profile.Name, ev.Envelope())
				}
				if ev.DedupeKey == "" || ev.Data() == nil {
					t.Fatalf("%s: no key or no data", s.Profile.Name)
				}
			}
		}
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
	})
}

// FuzzVerify sends bodies and signatures to sources that have secrets: nothing passes that was not signed.
func FuzzVerify(f *testing.F) {
	for _, v := range vectors(f) {
		for _, value := range v.Headers {
			f.Add([]byte(v.Body), value)
		}
	}
	l := Builtin()
	var sources []*Source
	for _, name := range l.Names() {
		p, _ := l.Profile(name)
		s, problems := New(Settings{Tenant: "acme", Name: name, Profile: p, Secrets: secrets("8f0c1f5e6f5d4c3b2a19"), Unverified: true})
		if len(problems) == 0 && len(s.checks) > 0 {
			sources = append(sources, s)
		}
	}
	if len(sources) < 8 {
		f.Fatalf("%d sources that verify", len(sources))
	}
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		for _, s := range sources {
			req := request(body)
			req.Header = func(string) string { return header }
			_, err := s.Verify(req)
			if err == nil && !bytes.Contains(append(body, header...), []byte("8f0c1f5e6f5d4c3b2a19")) {
				t.Fatalf("%s: %q passed with %q", s.Profile.Name, body, header)
			}
			if err != nil && !errors.Is(err, ErrRefused) {
				t.Fatalf("%s: %v", s.Profile.Name, err)
			}
		}
	})
}

// FuzzProfileYAML reads any text as a profile; one that is accepted must work.
func FuzzProfileYAML(f *testing.F) {
	files, err := filepath.Glob("../../../configs/sources/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	body := payload(f, "pollqr-response.created.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		p, faults := Parse("fuzz.yaml", text)
		if len(faults) > 0 {
			if p != nil || faults.Error() == "" {
				t.Fatal("a profile with faults, or faults without words")
			}
			return
		}
		s, problems := New(Settings{Tenant: "acme", Name: "in", Profile: p, Unverified: true})
		if len(problems) > 0 {
			for _, problem := range problems {
				if problem.Error() == "" {
					t.Fatal("a problem without words")
				}
			}
			return
		}
		events, err := s.Normalise(request(body), noon)
		if err == nil && len(events) == 0 {
			t.Fatal("no event")
		}
		for _, ev := range events {
			if !json.Valid(ev.Envelope()) {
				t.Fatalf("envelope %s", ev.Envelope())
			}
		}
	})
}
