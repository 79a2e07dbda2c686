package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

const bundledProfile = `
source: forms
title: Forms
docs: ["https://example.com/forms"]
decode: json
verify: [{kind: hmac, hash: sha256, encoding: hex, header: X-Signature}]
type: {path: kind, map: {done: response.completed}, default: unknown}
id: [id]
dedupe: "{id}"
no_time: the test needs none
map: {response.id: id}
`

const bundled = `
key_file: vault.key
sources: {forms: {profile: ../profiles/forms.yaml, secrets: ["${FORMS_SECRET}", "${file:/run/secrets/forms}"]}}
connections:
  alarms: {slack: {token: xoxb-literal, channel: "#nps"}}
webhooks: [{name: hook, url: "${HOOK_URL}", events: [response.completed], headers: {X-Key: literal-header}, tls: {cert: client.pem, key: client.key}, signature: none}]
rules: [{name: low, when: nps_score <= 6, send: [alarms]}]
tokens: [{name: ci, secret: literal-token-0123456789-0123456789, scopes: [read]}]
`

// bundle writes a configuration into a folder beside that of its profile, and returns its path.
func bundle(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"conf/surveygate.yaml": text, "profiles/forms.yaml": bundledProfile} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "conf")
}

// TestBundle: the text of a configuration is its files and profiles, and compiles without them, to the same items.
func TestBundle(t *testing.T) {
	t.Parallel()
	path := bundle(t, bundled) // its key, certificate and secret do not exist
	read, c, err := ReadBundle(path)
	if err != nil {
		t.Fatal(err)
	}
	want := &Bundle{
		Files:    []BundleFile{{"surveygate.yaml", []byte(bundled)}},
		Profiles: []BundleFile{{"../profiles/forms.yaml", []byte(bundledProfile)}},
	}
	if !cmp.Equal(read, want) {
		t.Error(cmp.Diff(want, read))
	}
	again, err := LoadBundle(read)
	if err != nil {
		t.Fatal(err)
	}
	if again.Generation != c.Generation || len(again.Sources) != 1 || len(again.Destinations) != 2 || len(again.Rules) != 2 {
		t.Errorf("%+v", again)
	}
	var all []string
	for i, w := range again.Written {
		if other := c.Written[i]; string(w.Spec) != string(other.Spec) || !maps.Equal(w.Secrets, other.Secrets) || w.Profile != other.Profile {
			t.Errorf("%s %s differs", w.Kind, w.Name)
		}
		line := w.Kind + " " + w.Name
		for _, path := range []string{"secrets.0", "secrets.1", "slack.token", "headers.X-Key", "secret"} {
			if _, secret := w.Secrets[path]; secret {
				line += " " + path
			}
		}
		if strings.Contains(string(w.Spec), "literal") {
			t.Errorf("a secret is in %s", w.Spec)
		}
		all = append(all, line)
	}
	wanted := []string{"source forms secrets.0 secrets.1", "connection alarms slack.token", "webhook hook headers.X-Key", "token ci secret", "rule low", "setting key_file"}
	if !cmp.Equal(all, wanted) {
		t.Error(cmp.Diff(wanted, all))
	}
	if text := fmt.Sprintf("%v %+v %#v", read, read, *read); strings.Contains(text, "literal") {
		t.Errorf("a bundle prints its text: %s", text)
	}
}

// TestLoadKeepsItsText: the text is that which was loaded, whatever becomes of the files.
func TestLoadKeepsItsText(t *testing.T) {
	t.Parallel()
	text := strings.Replace(strings.Replace(bundled, "key_file: vault.key\n", "", 1), "tls: {cert: client.pem, key: client.key}, ", "", 1)
	path := bundle(t, strings.Replace(text, `, "${file:/run/secrets/forms}"`, "", 1))
	c, err := Load(Options{Path: path, Env: func(name string) (string, bool) {
		return map[string]string{"FORMS_SECRET": "value-of-forms", "HOOK_URL": "https://example.com/value-of-hook"}[name], true
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "surveygate.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := LoadBundle(c.Bundle)
	if err != nil || len(again.Rules) != 2 || len(c.Written) != 0 {
		t.Fatalf("%+v, %v", again, err)
	}
	for _, w := range again.Written {
		for path, secret := range w.Secrets {
			if strings.Contains(secret.Expose(), "value-of") {
				t.Errorf("%s %s has the value of its variable at %s", w.Kind, w.Name, path)
			}
		}
	}
}

// TestBundleRefuses: names and sizes that no configuration has, and faults with the places of the files.
func TestBundleRefuses(t *testing.T) {
	t.Parallel()
	one := func(text string) *Bundle { return &Bundle{Files: []BundleFile{{"a.yaml", []byte(text)}}} }
	many := &Bundle{}
	for i := range MaxBundleFiles + 1 {
		many.Files = append(many.Files, BundleFile{Name: fmt.Sprint(i, ".yaml")})
	}
	for _, test := range []struct {
		b    *Bundle
		says string
	}{
		{&Bundle{}, "there is no file"},
		{&Bundle{Files: []BundleFile{{Name: "../a.yaml"}}}, "this is not the name of a file"},
		{&Bundle{Files: []BundleFile{{Name: "a.yaml"}, {Name: "a.yaml"}}}, "the file is there twice"},
		{many, "more than 1000 files"},
		{one("#" + strings.Repeat("x", MaxBundle)), "more than 4 MiB"},
		{one("rules: [{name: r, when: nps_scor < 1, send: [a]}]"), "a.yaml:1:25: `nps_scor`"},
		{one("sources: {a: {profile: /etc/passwd.yaml, secrets: [x]}}"), "cannot read the profile"},
		{one("tokens:\n" + strings.Repeat("  - {name: a, secret: 0123456789-0123456789, scopes: [read]}\n", maxBundleItems+1)), "defines more than 20000"},
		{one("rules:\n  - name: r\n    send: [" + strings.Repeat("a, ", maxBundleItems) + "a]\n"), "defines more than 20000"},
		{one("connections:\n" + numbered("  a%d: {tenant: t%[1]d, slack: {webhook: x}}\n", 400) + "webhooks:\n" + numbered("  - {name: a, tenant: u%d, url: \"https://example.com\"}\n", 400) +
			"rules:\n" + numbered("  - {name: r%d, tenant: \"*\", send: [a]}\n", 400)), "counted once for each tenant"},
	} {
		_, err := LoadBundle(test.b)
		if _, faults := errors.AsType[document.Faults](err); !faults || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%.200v, want %q", err, test.says)
		}
	}
}

// numbered repeats a line with the numbers up to n.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
