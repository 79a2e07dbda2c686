package document

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

type secretive struct {
	Name    string                            `yaml:"name,omitempty"`
	Secret  connectors.Secret                 `yaml:"secret,omitempty"`
	Headers map[string]connectors.HeaderValue `yaml:"headers,omitempty"`
	URL     connectors.URL                    `yaml:"url,omitempty"`
	After   string                            `yaml:"after,omitempty"`
}

// TestLinesWithoutSecrets: every line of a file shows what is no secret, at its place, however the secret beside it is
// written.
func TestLinesWithoutSecrets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, source, want string }{
		{"plain", "secret: hunter-two # not hunter-two\nafter: x", "secret: ********** # not **********\nafter: x"},
		{"double over lines", "secret: \"hunter\n  two \\\n  three\"\nafter: x", "secret: \"******\n*******\n*******\"\nafter: x"},
		{"double with escapes", `secret: "a\"b\x41" # "` + "\nafter: x", `secret: "********" # "` + "\nafter: x"},
		{"single over lines", "secret: 'it''s\n  two'\nafter: x", "secret: '*****\n*****'\nafter: x"},
		{"plain over lines", "secret: hunter\n  two\nafter: x", "secret: ******\n*****\nafter: x"},
		{"anchored", "secret: &a hunter\nafter: x", "secret: &a ******\nafter: x"},
		{"anchored and quoted", "secret: &a 'hunter'\nafter: x", "secret: &a '******'\nafter: x"},
		{"anchored on the next line", "secret: &a\n  hunter\nafter: x", "secret: &a\n  ******\nafter: x"},
		{"anchored above a comment", "secret: &a # short\n  # too\n  hunter\nafter: x", "secret: &a # short\n  # too\n  ******\nafter: x"},
		{"aliased", "name: &n hunter-two\nsecret: *n\nafter: x", "name: &n **********\nsecret: *n\nafter: x"},
		{"literal", "secret: |\n  one\n\n    two\nafter: x", "secret: |\n  ***\n\n    ***\nafter: x"},
		{"folded", "secret: >-\n  one\n  two\n  three\nafter: x", "secret: >-\n  ***\n  ***\n  *****\nafter: x"},
		{"literal with an indentation", "secret: |2\n    one\n   two\nafter: x", "secret: |2\n    ***\n   ***\nafter: x"},
		{"a variable", "secret: ${NAME} # the-value\nafter: x", "secret: ${NAME} # *********\nafter: x"},
		{"behind a variable", "secret: ${NAME}hunter\nafter: x", "secret: *************\nafter: x"},
		{"headers", "headers: {X-A: hunter, X-B: \"two\"}\nafter: x", "headers: {X-A: ******, X-B: \"***\"}\nafter: x"},
		{"a list in its place", "secret: [hunter, two]\nafter: x", "secret: [******, ***]\nafter: x"},
		{"a comment in its place", "secret: #hunter\nafter: x", "secret:********\nafter: x"},
		{"a misspelt key", "haeders: {X-A: hunter}\nafter: x", "haeders: {X-A: ******}\nafter: x"},
		{"an address", "url: https://hook.example.com/in\nafter: x", "url: https://hook.example.com/in\nafter: x"},
		{"an address that is a secret", "url: https://hooks.zapier.com/a/b\nafter: x", "url: " + strings.Repeat("*", 28) + "\nafter: x"},
		{"an address in a list", "url: [https://hooks.zapier.com/a/b]\nafter: x", "url: [" + strings.Repeat("*", 28) + "]\nafter: x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, faults := Parse("x.yaml", []byte(tt.source))
			if faults != nil {
				t.Fatal(faults)
			}
			root.Expand(Lookup{Env: func(string) (string, bool) { return "the-value", true }})
			Bind(root, &secretive{}, Options{})
			var got []string
			for line := range strings.Count(tt.source, "\n") + 1 {
				got = append(got, root.file.line(line+1))
			}
			if text := strings.Join(got, "\n"); text != tt.want {
				t.Errorf("shows\n%s\nwant\n%s", text, tt.want)
			}
		})
	}
}

// TestDigest: what is written alike has one digest, and of a secret only its name counts.
func TestDigest(t *testing.T) {
	t.Parallel()
	of := func(source string) [sha256.Size]byte {
		root, faults := Parse("x.yaml", []byte(source))
		if faults != nil {
			t.Fatal(faults)
		}
		root.Expand(Lookup{Env: func(name string) (string, bool) { return "of " + name, true }})
		Bind(root, &secretive{}, Options{})
		var b bytes.Buffer
		root.Digest(&b)
		if bytes.Contains(b.Bytes(), []byte("hunter")) || bytes.Contains(b.Bytes(), []byte("of ")) {
			t.Errorf("the digest is made of a secret: %q", b.Bytes())
		}
		return sha256.Sum256(b.Bytes())
	}
	base := of("name: x\nsecret: hunter1\nheaders: {A: hunter2}\n")
	for _, same := range []string{
		"# a comment\nname:   x\nsecret: 'hunter3'\nheaders:\n  A: hunter4\n", "{name: x, secret: &a hunter5, headers: {A: *a}}",
	} {
		if of(same) != base {
			t.Errorf("%q has another digest", same)
		}
	}
	for _, other := range []string{
		"name: y\nsecret: hunter1\nheaders: {A: hunter2}\n", "name: x\nsecret: ${A}\nheaders: {A: hunter2}\n",
		"name: x\nsecret: hunter1\nheaders: {B: hunter2}\n", "name: x\nheaders: {A: hunter2}\nsecret: hunter1\n", "name: \"x\"\nsecret: hunter1\nheaders: {A: hunter2}\n",
	} {
		if of(other) == base {
			t.Errorf("%q has the same digest", other)
		}
	}
}
