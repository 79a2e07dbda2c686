package connectors

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

func published(t testing.TB, body string) *event.Event {
	t.Helper()
	ev, err := event.ParseOne([]byte(body), event.Defaults{Received: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC), Verified: "token"})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

var hostile = `{"type":"response.completed","response":{"id":"r 1/ü?&=#%"},"survey":{"id":"s1"},"email":"a+b@example.com",
	"params":{"up":"..","deep":"a/../b","back":"x\\..\\y","dot":".","dots":"...","host":"evil.example/","line":"a\r\nX-Evil: 1\u0000\u007f","space":" ","big":9007199254740993,"long":"` + strings.Repeat("x", 9000) + `"}}`

// The value of a hole stays within its path segment or parameter, for any text of a respondent.
func TestFilledURL(t *testing.T) {
	t.Parallel()
	ev := published(t, hostile)
	for written, want := range map[string]string{
		"https://h.example/{{ response.id }}":                                   "https://h.example/r%201%2F%C3%BC%3F%26%3D%23%25",
		"https://h.example/a/{{ response.id }}/b?e={{ email }}":                 "https://h.example/a/r%201%2F%C3%BC%3F%26%3D%23%25/b?e=a%2Bb%40example.com",
		"https://h.example/{{ survey.id }}-{{ params.big }}":                    "https://h.example/s1-9007199254740993",
		"https://h.example/?id={{ response.id }}&x=1":                           "https://h.example/?id=r%201%2F%C3%BC%3F%26%3D%23%25&x=1",
		"https://h.example?u={{ params.host }}":                                 "https://h.example?u=evil.example%2F",
		"https://h.example/{{ params.host }}":                                   "https://h.example/evil.example%2F",
		"https://h.example/x?a={{ phone }}&b={{ survey.id }}":                   "https://h.example/x?b=s1",
		"https://h.example/x?a={{ phone }}":                                     "https://h.example/x",
		"https://h.example/x?a=id-{{ phone }}&b=&c":                             "https://h.example/x?a=id-&b=&c",
		"https://h.example/{{ phone ?? 'none' }}":                               "https://h.example/none",
		"https://h.example/{{ params.dots }}":                                   "https://h.example/...",
		`https://h.example/{{ survey.id == "s?1#/" ? "a" : "b" }}/?q={{ "#" }}`: "https://h.example/b/?q=%23",
		"https://h.example/x?q={{ params.up }}":                                 "https://h.example/x?q=..",
		"https://h.example/{{ survey.id }}?q={{ params.deep }}":                 "https://h.example/s1?q=a%2F..%2Fb",
		"https://h.example/x?{{ survey.id }}":                                   "refused",
		"https://h.example/{{ params.up }}/x":                                   "error",
		"https://h.example/{{ params.dot }}":                                    "error",
		"https://h.example/.{{ params.dot }}/x":                                 "error",
		"https://h.example/{{ params.deep }}":                                   "error",
		"https://h.example/{{ params.back }}":                                   "error",
		"https://h.example/{{ phone }}":                                         "skip",
		"https://h.example/a-{{ phone }}/b":                                     "skip",
		"https://h.example/{{ params.long }}":                                   "error",
		"https://{{ params.host }}/x":                                           "refused",
		"https://h.example{{ params.host }}":                                    "refused",
		"https://h.example{{ params.host }}/x":                                  "refused",
		"{{ params.host }}":                                                     "refused",
		"{{ params.host }}://h.example/x":                                       "refused",
		"https://u:{{ params.host }}@h.example/":                                "refused",
		"https://h.example:{{ params.big }}/":                                   "refused",
		"https://h.example/x#{{ survey.id }}":                                   "refused",
		"https://h.example/x?a=1&{{ survey.id }}=2":                             "refused",
		"https://h.example/../{{ survey.id }}":                                  "refused",
		"https://h.example/%2E%2e/{{ survey.id }}":                              "refused",
		"https://h.example/%2e{{ params.dot }}/x":                               "error",
		"https://h.example/{{ nosuch }}":                                        "refused",
		"https://h.example/{{ survey.id":                                        "refused",
		"https://u:p@h.example/{{ survey.id }}":                                 "refused",
	} {
		u, err := NewURL(written)
		if (err != nil) != (want == "refused") {
			t.Errorf("%s: %v", written, err)
		}
		if err != nil {
			continue
		}
		if !u.HasHoles() || u.String() != written {
			t.Errorf("%s prints as %s", written, u)
		}
		got, err := u.Fill(ev)
		skipped, isSkip := errors.AsType[*Skipped](err)
		switch {
		case want == "skip":
			if !isSkip || !strings.Contains(skipped.Reason, "phone") {
				t.Errorf("%s: %v, %v", written, got, err)
			}
		case want == "error":
			if err == nil || isSkip {
				t.Errorf("%s: %v, %v", written, got, err)
			}
		case err != nil || got.String() != want:
			t.Errorf("%s is %s, %v; want %s", written, got, err, want)
		default:
			if parsed, err := url.Parse(want); err != nil || parsed.Host != "h.example" || parsed.Fragment != "" {
				t.Errorf("%s leads to %s, %v", written, parsed.Host, err)
			}
		}
	}
}

// A secret address is still a secret after its holes are filled.
func TestFilledSecretURL(t *testing.T) {
	t.Parallel()
	for written, secret := range map[string]bool{
		"https://hooks.zapier.com/{{ survey.id }}":                    true,
		"https://h.example/a1b2c3d4e5f6a7b8c9d0/{{ survey.id }}":      true,
		"https://h.example/{{ survey.id }}?token=12345678":            true,
		"https://h.example/{{ params.aVeryLongNameOfAParameter123 }}": false,
	} {
		u, err := NewURL(written)
		if err != nil || u.IsSecret() != secret {
			t.Errorf("%s: a secret %v, %v", written, u.IsSecret(), err)
		}
	}
	u, err := NewURL("https://h.example/{{ survey.id }}")
	if err != nil {
		t.Fatal(err)
	}
	u.Referenced("")
	filled, err := u.Fill(published(t, hostile))
	if err != nil || !filled.IsSecret() || filled.String() != Hidden || filled.Secret().Expose() != "https://h.example/s1" {
		t.Errorf("%v, %v", filled, err)
	}
}

func TestFilledHeader(t *testing.T) {
	t.Parallel()
	ev := published(t, hostile)
	for written, want := range map[string]string{
		"{{ response.id }}":                     "r 1/ü?&=#%",
		"id {{ survey.id }}, {{ params.line }}": "id s1, a  X-Evil: 1",
		"{{ phone }}":                           "",
		" {{ params.space }} ":                  "",
		"plain":                                 "plain",
		"{{ params.long }}":                     "error",
	} {
		var h HeaderValue
		if err := h.UnmarshalText([]byte(written)); err != nil {
			t.Fatal(err)
		}
		got, present, err := h.Fill(ev)
		if (err != nil) != (want == "error") {
			t.Errorf("%q: %v", written, err)
		}
		if err == nil && (got.Expose() != want || present != (want != "")) {
			t.Errorf("%q is %q, %v; want %q", written, got.Expose(), present, want)
		}
	}
	var h HeaderValue
	if err := h.UnmarshalReference("${TOKEN}", "{{ survey.id }}"); err != nil || h.HasHoles() {
		t.Errorf("a secret has holes: %v", err)
	}
	if got, _, err := h.Fill(ev); err != nil || got.Expose() != "{{ survey.id }}" {
		t.Errorf("a secret is sent as %q, %v", got.Expose(), err)
	}
	if err := h.UnmarshalReference("${TOKEN} {{ survey.id }}", "x {{ survey.id }}"); err == nil {
		t.Error("a secret and holes in one value")
	}
	for _, written := range []string{"{{ nosuch }}", "a\r\nb {{ survey.id }}", "{{ survey.id }}\x00", "{{ survey.id }}\nX-Evil: 1\n"} {
		if err := h.UnmarshalText([]byte(written)); err == nil {
			t.Errorf("%q is taken", written)
		}
	}
}
