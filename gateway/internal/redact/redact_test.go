package redact_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/redact"
	"github.com/surveygate/surveygate/gateway/internal/redact/redacttest"
)

// TestSpellings: a secret is found however it is written, whatever stands around it, and nothing else goes with it.
func TestSpellings(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{redacttest.Secret, redacttest.Plain, "four", "%2F%25", `a\\b"c`, "a b"} {
		cutter := redact.New("another secret", secret)
		for _, s := range redacttest.Spellings() {
			coded := strings.HasPrefix(s.Name, "base64") || strings.HasPrefix(s.Name, "hex")
			if coded && len(secret) < 4 {
				continue
			}
			for _, around := range [][2]string{{"", ""}, {`{"a": "`, `"}`}, {"a=1&b=", "&c=2"}, {"<p>", "</p>"}, {"https://x.example/", "?"}} {
				text := around[0] + s.Write(secret) + around[1]
				given := []byte(text)
				got := string(cutter.Cut(given, false))
				if string(given) != text {
					t.Fatalf("%s of %q: the text given was changed", s.Name, secret)
				}
				inner, begins := strings.CutPrefix(got, around[0])
				inner, ends := strings.CutSuffix(inner, around[1])
				// In base64 up to four characters on each side are of what stood around the secret there.
				if !begins || !ends || !strings.Contains(inner, connectors.Hidden) || len(inner) > len(connectors.Hidden)+map[bool]int{true: 8}[strings.HasPrefix(s.Name, "base64")] {
					t.Errorf("%s of %q: %q became %q", s.Name, secret, text, got)
				}
				if cutter.Text(text) != got {
					t.Errorf("%s of %q: Text differs from Cut", s.Name, secret)
				}
			}
		}
	}
}

// TestBeginnings: where a text was cut off within a secret, no beginning of it stays, however it is written.
func TestBeginnings(t *testing.T) {
	t.Parallel()
	const before = "<p> "
	for _, secret := range []string{redacttest.Secret, redacttest.Plain, "5ecre7"} {
		cutter := redact.New(secret)
		for _, s := range redacttest.Spellings() {
			written := s.Write(secret)
			if strings.HasPrefix(s.Name, "base64") && !strings.HasSuffix(s.Name, "0 before and 0 behind") {
				continue // what stands before is no part of the secret
			}
			for n := range len(written) {
				got := string(cutter.Cut([]byte(before+written[:n]), true))
				left := strings.TrimPrefix(got, before)
				// Three characters of six tell little, and may be anything; each may be written with ten.
				if most := len(s.Write(secret[:3])); left != connectors.Hidden && len(left) > most+10 {
					t.Errorf("%s of %q cut off at %d: %q stays", s.Name, secret, n, left)
				}
			}
			if whole := string(cutter.Cut([]byte(before+written[:len(written)-1]), false)); s.Name == "as it is" && whole != before+written[:len(written)-1] {
				t.Errorf("a beginning was cut out of a text that is whole: %q", whole)
			}
		}
	}
}

func TestSeveral(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		secrets    []string
		text, want string
	}{
		"nothing":         {[]string{"token"}, "all is well", "all is well"},
		"no secret":       {nil, "all is well", "all is well"},
		"empty":           {[]string{""}, "all is well", "all is well"},
		"twice":           {[]string{"token"}, "token, token", "[secret], [secret]"},
		"longest":         {[]string{"token", "token-long"}, "token-long token", "[secret] [secret]"},
		"overlapping":     {[]string{"abcdef", "defghi"}, "x abcdefghi y", "x [secret] y"},
		"side by side":    {[]string{"abcd"}, "abcdabcd", "[secret][secret]"},
		"short":           {[]string{"b"}, "a b", "a [secret]"},
		"whsec":           {[]string{"whsec_a2V5a2V5"}, "whsec_a2V5a2V5 a2V5a2V5", "[secret] [secret]"},
		"case":            {[]string{"Token"}, "token", "token"},
		"a broken escape": {[]string{"a/b"}, `a%2 a%2Fb a\u002 a\u002fb a&#4 a&#47;b`, `a%2 [secret] a\u002 [secret] a&#4 [secret]`},
		"plus":            {[]string{"a+b", "c d"}, "a+b a%2Bb c+d c%20d a b", "[secret] [secret] [secret] [secret] a b"},
	} {
		if got := redact.New(c.secrets...).Text(c.text); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	var none *redact.Cutter
	if got := none.Text("text"); got != "text" {
		t.Errorf("a nil Cutter made it %q", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	hide := func(name string) bool { return name == "to ken" }
	for name, c := range map[string]struct{ got, text, want string }{
		"form":           {"form", "a=1&to+ken=x&to%20ken=&%74o%20ken=y%26&to+ken&b=to+ken", "a=1&to+ken=#&to%20ken=#&%74o%20ken=#&to+ken&b=to+ken"},
		"nothing":        {"form", "a=1&b", "a=1&b"},
		"address":        {"address", "https://x.example/?a=1&to+ken=x#to+ken=1 https://x.example?to+ken=2", "https://x.example/?a=1&to+ken=#" + "#to+ken=1 https://x.example?to+ken=#"},
		"no query":       {"address", "https://x.example/to+ken=1", "https://x.example/to+ken=1"},
		"JSON":           {"json", `{"to ken": "a\"b", "x": {"t\u006f ken": [1, {"y": "]"}]}, "a": "to ken"}`, `{"to ken": "#", "x": {"t\u006f ken": "#"}, "a": "to ken"}`},
		"scalars":        {"json", `{"key": {"a": "b"}, "y": {"key": 1}, "z": [{"key": null}]}`, `{"key": {"a": "b"}, "y": {"key": "#"}, "z": [{"key": "#"}]}`},
		"cut off":        {"json", `{"to ken": {"a": [1, "x`, `{"to ken": "#"`},
		"cut in a text":  {"json", `{"to ken": "a\`, `{"to ken": "#"`},
		"behind a colon": {"json", `{"to ken":`, `{"to ken":`},
		"multipart": {
			"multipart", "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\ncontent-disposition: form-data; name=\"to ken\"\r\n\r\nx\r\ny\r\n--B--\r\n",
			"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\ncontent-disposition: form-data; name=\"to ken\"\r\n\r\n#\r\n--B--\r\n",
		},
		"multipart cut off": {"multipart", "--B\nContent-Disposition: form-data; name=\"to ken\"\n\nx", "--B\nContent-Disposition: form-data; name=\"to ken\"\n\n#"},
		"no boundary":       {"multipart", "--C\r\n", "--C\r\n"},
	} {
		var got []byte
		switch text := []byte(c.text); c.got {
		case "form":
			got = redact.Form(text, hide, "#")
		case "address":
			got = redact.Address(text, hide, "#")
		case "json":
			got = redact.JSON(text, hide, func(name string) bool { return name == "key" }, "#")
		case "multipart":
			got = redact.Multipart(text, "B", hide, "#")
		}
		if string(got) != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// FuzzCut writes a secret with each of its characters escaped in a way of its own, or not at all.
func FuzzCut(f *testing.F) {
	f.Add("token", `{"a": "`, `"}`, uint64(1))
	f.Add(redacttest.Secret, "a=", "&b", uint64(2))
	f.Add(`%2F\\u0041&amp;+`, `\\`, `%`, uint64(3))
	f.Add("ü😀ş", "%c3", `\ud83d`, uint64(4))
	f.Fuzz(func(t *testing.T, secret, before, behind string, seed uint64) {
		if secret == "" || len(secret) > 64 || !utf8.ValidString(secret) || strings.ContainsFunc(secret, unicode.IsControl) || strings.ContainsAny(before+behind, secret) {
			return
		}
		if 2*strings.Count(secret, `\`)+2*strings.Count(secret, "%")+2*strings.Count(secret, "&") > len(secret) {
			return // made of escapes, it can be read in more ways than are tried
		}
		chance := rand.New(rand.NewPCG(seed, 0))
		ways := redacttest.Spellings()[:14] // that write character by character
		var written strings.Builder
		for _, r := range secret {
			written.WriteString(ways[chance.IntN(len(ways))].Write(string(r)))
		}
		text := []byte(before + written.String() + behind)
		given := bytes.Clone(text)
		got := redact.New(secret).Cut(text, false)
		if !bytes.Equal(text, given) {
			t.Fatal("the text was changed")
		}
		if !bytes.Contains(got, []byte(connectors.Hidden)) {
			t.Fatalf("%q as %q stays: %q", secret, written.String(), got)
		}
		cutter := redact.New(secret)
		for n := range min(len(text), 500) {
			_ = cutter.Cut(text[:n], true)
		}
	})
}

// TestHostileTexts are made to be read more than once: the time that they take grows with their length and no faster. A
// text that is read once for each of its characters would take minutes.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	cutter := redact.New(redacttest.Secret, redacttest.Plain, strings.Repeat(`\`, 8)+"x", strings.Repeat("%25", 8)+"x", strings.Repeat("a", 200)+"b")
	for _, part := range []string{`\`, "%", "%25", "&", "&#", "a", `\u`, `\ud83d`, "+", "?", "--a\nname\n\n"} {
		text := []byte(strings.Repeat(part, 128<<10/len(part)))
		if got := cutter.Cut(text, false); len(got) > len(text) {
			t.Errorf("%q: something was cut", part)
		}
		hide := func(string) bool { return false }
		redact.Address(text, hide, "#")
		redact.Form(text, hide, "#")
		redact.JSON(text, hide, hide, "#")
		redact.Multipart(text, "a", hide, "#")
	}
}

func BenchmarkCut(b *testing.B) {
	answer := bytes.Repeat([]byte(`{"id": "ev_0123456789", "status": "accepted", "path": "\/in\/a%2Fb"}, `), 1000)[:64<<10]
	for name, text := range map[string][]byte{"64KiB": answer, "200B": answer[:200]} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				redact.New(redacttest.Plain, redacttest.Secret).Cut(text, true)
			}
		})
	}
}
