package settings

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A secret that is kept by its mask goes to no server that the document did not name before.
func TestKeptSecretsGoToTheSameServer(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	for name, spec := range map[string]string{
		"webhook/a":    someHook,
		"webhook/b":    `{"url": "https://b.example.com/?key=abcdef", "signature": "none", "headers": {"X-Key": "abcdef"}}`,
		"connection/c": `{"hubspot": {"token": "pat-abcdef"}}`,
		"connection/d": `{"webhook": {"url": "https://d.example.com/x", "secrets": ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="], "headers": {"X-Key": "abcdef"}}}`,
	} {
		if _, err := b.one(t, Change{Name: name, Spec: []byte(spec)}, byTest); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, c := range []struct {
		name, patch, path string // path: of the secret that is refused; empty: it is changed
	}{
		{"webhook/a", `{"url": "https://evil.example.com/"}`, "headers.X-Key"},
		{"webhook/a", `{"url": "http://a.example.com/"}`, "headers.X-Key"},
		{"webhook/a", `{"url": "https://a.example.com:8443/"}`, "headers.X-Key"},
		{"webhook/a", `{"url": "https://a.example.com.evil.example.com/"}`, "headers.X-Key"},
		{"webhook/a", `{"url": "https://evil.example.com?https://a.example.com/"}`, "headers.X-Key"},
		{"webhook/a", `{"url": "https://evil.example.com/", "headers": {"X-New": "ghijkl"}}`, "headers.X-Key"},
		{"webhook/b", `{"url": "https://evil.example.com/"}`, "headers.X-Key"},
		{"connection/c", `{"hubspot": {"base_url": "https://evil.example.com"}}`, "hubspot.token"},
		{"connection/d", `{"webhook": {"url": "https://evil.example.com/"}}`, "webhook.headers.X-Key"},
		{"webhook/a", `{"url": "https://A.example.com:443/other/{{ survey.id }}"}`, ""},
		{"webhook/a", `{"url": "https://new.example.com/", "headers": {"X-Key": "abcdef"}}`, ""},
		{"webhook/a", `{"url": "https://newer.example.com/", "headers": null}`, ""},
		{"connection/c", `{"hubspot": {"base_url": "https://proxy.example.com", "token": "pat-abcdef"}}`, ""},
		{"connection/c", `{"hubspot": {"base_url": null}}`, ""},
		{"connection/d", `{"webhook": {"url": "https://evil.example.com/", "headers": null}}`, ""},
	} {
		_, err := b.one(t, Change{Name: c.name, Patch: true, Spec: []byte(c.patch)}, byTest)
		var address *AddressError
		if errors.As(err, &address) != (c.path != "") || address != nil && address.Path != c.path || c.path == "" && err != nil {
			t.Errorf("%s %s: %v", c.name, c.patch, err)
		}
	}
}

// A dry run refuses a document that is too large once its secrets are sealed.
func TestDryRunSeals(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	headers := make([]string, 30)
	for i := range headers {
		headers[i] = fmt.Sprintf(`"X-%d": %q`, i, strings.Repeat("v", 1700))
	}
	spec := `{"url": "https://a.example.com/", "signature": "none", "headers": {` + strings.Join(headers, ",") + `}}`
	dry := byTest
	dry.DryRun = true
	for _, how := range []How{dry, byTest} {
		if _, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(spec)}, how); !errors.Is(err, ErrTooLarge) {
			t.Errorf("dry run %v: %v", how.DryRun, err)
		}
	}
}
