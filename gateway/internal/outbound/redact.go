package outbound

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// Secrets are all that a request carries: its credentials, an address that is one, and its secret headers.
func Secrets(req *connectors.Request) []connectors.Secret {
	texts := secretTexts(req, nil)
	out := make([]connectors.Secret, len(texts))
	for i, text := range texts {
		out[i] = connectors.NewSecret(text)
	}
	return out
}

// minHeader is the length below which the value of a custom header protects nothing, and cutting it would only
// make holes into every answer that holds a `1`.
const minHeader = 4

// secretTexts are the secrets of a request in the forms in which a peer that repeats them would know them.
func secretTexts(req *connectors.Request, out []string) []string {
	if address := addressOf(req); !address.IsZero() {
		out = addressTexts(address.Expose(), out)
	}
	return credentialTexts(req, out)
}

// credentialTexts are secretTexts without those of an address.
func credentialTexts(req *connectors.Request, out []string) []string {
	switch auth := req.Auth.(type) {
	case connectors.BearerAuth:
		out = append(out, auth.Token.Expose())
	case connectors.BasicAuth:
		out = append(out, auth.Password.Expose(), basic(auth))
	case connectors.HeaderAuth:
		out = append(out, auth.Value.Expose())
	case connectors.QueryAuth:
		out = append(out, auth.Value.Expose())
	case connectors.BodyFieldAuth:
		out = append(out, auth.Value.Expose())
	case connectors.SignedAuth:
		for _, s := range auth.Secrets {
			text := s.Expose()
			out = append(out, text)
			for _, prefix := range []string{"whsec_", "whsk_"} {
				if rest, found := strings.CutPrefix(text, prefix); found {
					out = append(out, rest)
				}
			}
		}
	}
	for i := range req.Header {
		if f := &req.Header[i]; f.Secret && len(f.Value) >= minHeader {
			out = append(out, f.Value)
		}
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// minPart is the length from which a part of a secret address is a secret by itself.
const minPart = 8

// addressTexts are a secret address, and its parts, because answers repeat a path or only its token.
func addressTexts(text string, out []string) []string {
	out = append(out, text)
	u, err := url.Parse(text)
	if err != nil {
		return out
	}
	for _, part := range append(strings.Split(u.EscapedPath(), "/"), u.RequestURI(), u.EscapedPath(), u.RawQuery) {
		if len(part) >= minPart {
			out = append(out, part)
		}
	}
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) >= minPart {
				out = append(out, v)
			}
		}
	}
	return out
}

// forms are the ways in which a text may be written in an answer.
func forms(text string, out []string) []string {
	out = append(out, text)
	add := func(other string) {
		if other != text {
			out = append(out, other)
		}
	}
	query := url.QueryEscape(text)
	add(query)
	add(url.PathEscape(text))
	add(lowerEscapes(query))
	add(html.EscapeString(text))
	quoted, _ := json.Marshal(text) // a string cannot fail
	add(string(quoted[1 : len(quoted)-1]))
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	_ = e.Encode(text)
	add(strings.Trim(strings.TrimSuffix(plain.String(), "\n"), `"`))
	add(strings.ReplaceAll(text, "/", `\/`))
	b := []byte(text)
	add(base64.RawStdEncoding.EncodeToString(b))
	add(base64.RawURLEncoding.EncodeToString(b))
	add(hex.EncodeToString(b))
	return out
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(text string) string {
	b := []byte(text)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
			i += 2
		}
	}
	return string(b)
}

var hidden = []byte(connectors.Hidden)

// Cut puts [secret] where a text holds one of the secrets, as it is or escaped for a URL, JSON or HTML, or as base64
// or hexadecimal. The text given is not changed; it is returned where there is nothing to cut.
func Cut(text []byte, secrets []connectors.Secret) []byte {
	texts := make([]string, 0, len(secrets))
	for _, s := range secrets {
		if !s.IsZero() {
			texts = append(texts, s.Expose())
		}
	}
	return cutForms(text, allForms(texts), false)
}

// allForms are the forms of all texts, longest first: a part must not be cut out of a whole.
func allForms(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = forms(text, all)
	}
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(all)
}

// minEnd is the length from which the beginning of a secret is cut off the end of a text that was cut short.
const minEnd = 4

func cutForms(text []byte, forms []string, truncated bool) []byte {
	for _, form := range forms {
		if len(form) <= len(text) && bytes.Contains(text, []byte(form)) {
			text = bytes.ReplaceAll(text, []byte(form), hidden)
		}
	}
	if !truncated {
		return text
	}
	for _, form := range forms {
		for n := min(len(form)-1, len(text)); n >= minEnd; n-- {
			if bytes.HasSuffix(text, []byte(form[:n])) {
				return append(text[:len(text)-n:len(text)-n], hidden...)
			}
		}
	}
	return text
}

// cut cuts the secrets of the request out of its answer. Answers too short to hold one cost nothing.
func (w *wire) cut(res *connectors.Response) {
	w.cutAddress(res)
	var room [8]string
	texts := credentialTexts(w.request, room[:0])
	shortest := 1 << 30
	for _, text := range texts {
		shortest = min(shortest, len(text))
	}
	var all []string
	if len(res.Body) >= shortest || (res.Truncated && len(texts) > 0) {
		all = allForms(texts)
		res.Body = cutForms(res.Body, all, res.Truncated)
	}
	for _, values := range res.Header {
		for i, v := range values {
			if len(v) < shortest {
				continue
			}
			if all == nil {
				all = allForms(texts)
			}
			values[i] = string(cutForms([]byte(v), all, false))
		}
	}
}

// Transcript is the text of a request that may be kept: before its credentials, and without any secret.
func Transcript(req *connectors.Request) []byte {
	return Cut(req.Transcript(), Secrets(req))
}

// Fingerprint tells whether credentials changed without keeping them: a keyed hash.
func Fingerprint(key []byte, secrets []connectors.Secret) string {
	h := hmac.New(sha256.New, key)
	var length [8]byte
	for _, s := range secrets {
		text := s.Expose()
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		h.Write(length[:])
		h.Write([]byte(text))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
