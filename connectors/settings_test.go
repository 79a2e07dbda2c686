package connectors_test

import (
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

func TestURL(t *testing.T) {
	t.Parallel()
	rows := []struct {
		text      string
		url, base string // empty: refused
	}{
		{"https://hook.example.com/in?key=1", "https://hook.example.com/in?key=1", ""},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"https://api.example.com/v2/", "https://api.example.com/v2/", "https://api.example.com/v2"},
		{"https://[::1]:8080/x", "https://[::1]:8080/x", "https://[::1]:8080/x"},
		{"https://a.example/?", "https://a.example/?", ""},
		{"hook.example.com/in", "", ""},
		{"//hook.example.com/in", "", ""},
		{"ftp://hook.example.com", "", ""},
		{"https://", "", ""},
		{"https://:8080/", "", ""},
		{"https://u:p@hook.example.com/", "", ""},
		{"https://hook.example.com/#part", "", ""},
		{"https://hook.example.com/%zz", "", ""},
		{"", "", ""},
	}
	for _, row := range rows {
		var u connectors.URL
		if err := u.UnmarshalText([]byte(row.text)); !u.IsZero() && u.String() != row.url || (err == nil) != (row.url != "") {
			t.Errorf("URL %q: got %q (%v), want %q", row.text, u, err, row.url)
		}
		var b connectors.BaseURL
		if err := b.UnmarshalText([]byte(row.text)); string(b) != row.base || (err == nil) != (row.base != "") {
			t.Errorf("base %q: got %q (%v), want %q", row.text, b, err, row.base)
		}
	}
}

func TestBaseURLStandsBeforeThePath(t *testing.T) {
	t.Parallel()
	if got := connectors.BaseURL("").At("https://slack.com/api", "/auth.test"); got != "https://slack.com/api/auth.test" {
		t.Error(got)
	}
	if got := connectors.BaseURL("http://127.0.0.1:1/x").At("https://slack.com/api", "/auth.test"); got != "http://127.0.0.1:1/x/auth.test" {
		t.Error(got)
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	for _, name := range connectors.SignatureStyles {
		var s connectors.Signature
		if err := s.UnmarshalText([]byte(name)); err != nil || s.Style != name || s.IsZero() {
			t.Errorf("%s: got %v (%v)", name, s, err)
		}
		if want := name == "none" || name == "chattosurvey"; s.Unsigned() != want {
			t.Errorf("%s: unsigned is %v", name, s.Unsigned())
		}
	}
	var s connectors.Signature
	if err := s.UnmarshalText([]byte("hmac")); err == nil || !s.IsZero() {
		t.Errorf("got %v (%v)", s, err)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	rows := map[connectors.Rate]string{
		{}: "none", {Requests: 1, Per: time.Second}: "1/s", {Requests: 100, Per: time.Minute}: "100/m", {Requests: 190, Per: 10 * time.Second}: "190/10s",
	}
	for rate, want := range rows {
		if got := rate.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
