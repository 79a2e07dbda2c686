// Package redact removes secrets from texts that are kept: refused requests, receivers' answers, events' bodies.
//
// A Cutter finds the secrets themselves, however they are spelt. JSON, Form, Multipart and Address hide the values of
// names that are known to carry one.
package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math/bits"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// Cutter cuts secrets out of texts. It finds them as they are, with any of their characters escaped for a URL (%2F, +),
// JSON (\/, \u002F, also within JSON in a string) or HTML (&amp;, &#47;), in base64 of either alphabet, alone or as part
// of something longer, and in hexadecimal of either case; base64 and hexadecimal may be escaped in turn.
// A secret that is made mostly of escape characters (\, %, &) and escaped once more may be missed; such secrets are not in use.
// It is safe for concurrent use. A nil Cutter cuts nothing.
type Cutter struct {
	patterns []pattern
	// starts holds for each byte the patterns that may begin with it, one bit for each; the last bit is for all further
	// ones. Most bytes of a text begin none and are skipped at once.
	starts [256]uint64
}

const lastBit = 63

// minCoded is the shortest secret that is looked for in base64 and hexadecimal: a shorter one would be found in ordinary
// text.
const minCoded = 4

// New returns a Cutter of secrets; empty ones are left out. A secret of Standard Webhooks is found without its prefix too.
func New(secrets ...string) *Cutter {
	c := &Cutter{patterns: make([]pattern, 0, 5*len(secrets))}
	for _, secret := range secrets {
		c.add(secret)
		for _, prefix := range []string{"whsec_", "whsk_"} {
			if key, found := strings.CutPrefix(secret, prefix); found {
				c.add(key)
			}
		}
	}
	for i := range c.patterns {
		c.patterns[i].mark(&c.starts, 1<<min(i, lastBit))
	}
	return c
}

func (c *Cutter) add(secret string) {
	if secret == "" || slices.ContainsFunc(c.patterns, func(p pattern) bool { return p.as == asIs && p.text == secret }) {
		return
	}
	c.patterns = append(c.patterns, pattern{text: secret, as: asIs})
	if len(secret) < minCoded {
		return
	}
	c.patterns = append(c.patterns, pattern{text: hex.EncodeToString([]byte(secret)), as: asHex})
	// In the base64 of something longer, three alignments are possible. Characters that hold bits of what stands before
	// or behind as well are not part of the pattern; they are cut with it.
	padded := "\x00\x00" + secret
	for shift, from := range [...]int{0, 2, 3} {
		text := base64.RawStdEncoding.EncodeToString([]byte(padded[2-shift:]))
		determined := (shift + len(secret)) * 8
		c.patterns = append(c.patterns, pattern{text: text[from : determined/6], as: asBase64, lead: shift > 0, tail: determined%6 > 0})
	}
}

var hidden = []byte(connectors.Hidden)

// Cut replaces each secret in a text by [secret]. The given text is not changed; it is returned if there is nothing to cut.
// If the text is truncated, the beginning of a secret at its end is replaced too.
func (c *Cutter) Cut(text []byte, truncated bool) []byte {
	if c == nil || len(c.patterns) == 0 {
		return text
	}
	var out []byte // nil while nothing was cut
	from := 0      // what is in out already
	for i := 0; i < len(text); {
		if c.starts[text[i]] == 0 {
			i++
			continue
		}
		begin, end := c.find(text, i, truncated)
		if end == 0 {
			i++
			continue
		}
		for k := i + 1; k < end; k++ { // another may begin within this one and end behind it
			if c.starts[text[k]] != 0 {
				if _, further := c.find(text, k, truncated); further > end {
					end = further
				}
			}
		}
		out = append(append(out, text[from:max(begin, from)]...), hidden...)
		i, from = end, end
	}
	if out == nil {
		return text
	}
	return append(out, text[from:]...)
}

// Text is Cut for a string that is not truncated.
func (c *Cutter) Text(text string) string {
	if c == nil || len(c.patterns) == 0 {
		return text
	}
	b := []byte(text)
	if cut := c.Cut(b, false); !bytes.Equal(cut, b) {
		return string(cut)
	}
	return text
}

// find returns the end of the longest secret that begins at a position of the text; 0 if there is none. Begin is one less
// than the position if the character before it holds bits of the secret.
func (c *Cutter) find(text []byte, at int, truncated bool) (begin, end int) {
	begin = at
	for mask := c.starts[text[at]]; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		if i == lastBit {
			for i++; i < len(c.patterns); i++ {
				begin, end = c.patterns[i].try(text, at, truncated, begin, end)
			}
			i = lastBit
		}
		begin, end = c.patterns[i].try(text, at, truncated, begin, end)
	}
	return begin, end
}

// try is find for one pattern, given the begin and end that others found.
func (p *pattern) try(text []byte, at int, truncated bool, begin, end int) (int, int) {
	fuel := 16 + 4*len(p.text)
	stop, matched := p.follow(text, at, 0, &fuel)
	switch {
	case matched == len(p.text):
		stop = p.extend(text, stop)
	case truncated && matched >= p.minPrefix():
		stop = len(text)
	default:
		return begin, end
	}
	if p.lead && at > 0 && inBase64(text[at-1]) {
		begin = at - 1
	}
	return begin, max(end, stop)
}
