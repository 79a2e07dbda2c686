package outbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/redact"
)

// Secrets returns all secrets of a request: its credentials, an address that is one, and its secret headers.
func Secrets(req *connectors.Request) []connectors.Secret {
	texts := secretTexts(req, nil)
	out := make([]connectors.Secret, len(texts))
	for i, text := range texts {
		out[i] = connectors.NewSecret(text)
	}
	return out
}

// minHeader is the length below which the value of a custom header is not cut: it protects nothing, and cutting it would
// damage every answer that holds a `1`.
const minHeader = 4

// secretTexts appends the secrets of a request in every form in which a peer may repeat them.
func secretTexts(req *connectors.Request, out []string) []string {
	if address := addressOf(req); !address.IsZero() {
		out = addressTexts(address.Expose(), out)
	}
	return credentialTexts(req, out)
}

// credentialTexts is secretTexts without those of an address.
func credentialTexts(req *connectors.Request, out []string) []string {
	switch auth := req.Auth.(type) {
	case connectors.BearerAuth:
		out = append(out, auth.Token.Expose())
	case connectors.BasicAuth:
		out = append(out, auth.Password.Expose(), basic(auth.User, auth.Password))
	case connectors.BasicTokenAuth:
		out = append(out, auth.Token.Expose(), basic(auth.Token.Expose(), connectors.Secret{}))
	case connectors.HeaderAuth:
		out = append(out, auth.Value.Expose())
	case connectors.QueryAuth:
		out = append(out, auth.Value.Expose())
	case connectors.BodyFieldAuth:
		out = append(out, auth.Value.Expose())
	case connectors.OAuth2:
		out = tokenTexts(auth, out)
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
			if _, token, found := strings.Cut(f.Value, " "); found && len(token) >= minPart { // behind `Bearer`
				out = append(out, token)
			}
		}
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// minPart is the length from which a part of a secret address counts as a secret by itself.
const minPart = 8

// addressTexts appends a secret address and its parts, because answers may repeat a path or only its token.
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

// Cut replaces each secret in a text by [secret], in any of the spellings that redact.Cutter knows. The given text is not
// changed; it is returned if there is nothing to cut.
func Cut(text []byte, secrets []connectors.Secret) []byte {
	texts := make([]string, len(secrets))
	for i, s := range secrets {
		texts[i] = s.Expose()
	}
	return redact.New(texts...).Cut(text, false)
}

// cut removes the secrets of the request from its answer. Answers too short to hold one cost nothing.
func (w *wire) cut(res *connectors.Response) {
	w.cutAddress(res)
	var buf [8]string
	texts := w.token.texts(credentialTexts(w.request, buf[:0]))
	shortest := 1 << 30
	for _, text := range texts {
		shortest = min(shortest, len(text))
	}
	var cutter *redact.Cutter // made for the first text that is long enough
	if len(res.Body) >= shortest || (res.Truncated && len(texts) > 0) {
		cutter = redact.New(texts...)
		res.Body = cutter.Cut(res.Body, res.Truncated)
	}
	for _, values := range res.Header {
		for i, v := range values {
			if len(v) < shortest {
				continue
			}
			if cutter == nil {
				cutter = redact.New(texts...)
			}
			values[i] = cutter.Text(v)
		}
	}
}

// Transcript returns the text of a request that may be kept: before its credentials are added, and without any secret.
func Transcript(req *connectors.Request) []byte {
	return Cut(req.Transcript(), Secrets(req))
}

// Fingerprint returns a keyed hash of secrets, which shows whether they changed without keeping them.
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
