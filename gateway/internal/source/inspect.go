package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
)

// Check is the result of one check of a request, for the operator. It contains no secret, and no signature except the one that
// the request carries.
type Check struct {
	// Kind is address, path, hmac, token or basic.
	Kind string `json:"kind"`
	// Asks describes what is expected, and where.
	Asks   string `json:"asks"`
	Passed bool   `json:"passed"`
	// Reason is why it did not pass.
	Reason string `json:"reason,omitempty"`
	// Secret is the number of the secret that matched, counted from 1; 0 if none did.
	Secret int `json:"secret,omitempty"`
	// Signed is the text that an hmac signs. Headers are filled in; {body} represents the bytes of the body.
	Signed string `json:"signed,omitempty"`
	// Given is the signature that the request carries.
	Given string `json:"given,omitempty"`
}

// Inspect performs all checks of Verify, and continues after one that failed. It returns only checks that the source requires;
// an unverified source has none.
func (s *Source) Inspect(req *Request) []Check {
	var all []Check
	if len(s.AllowFrom) > 0 {
		c := Check{Kind: "address", Asks: "the sender's address is in allow_from", Passed: s.allowed(req)}
		if !c.Passed {
			c.Reason = "it came from " + addressOf(req)
		}
		all = append(all, c)
	}
	if !s.PathToken.IsZero() || req.Token != "" {
		c := Check{Kind: KindPath, Asks: "the path token ends the URL"}
		token, _ := signature.Scheme{Kind: KindPath}.Compile() // cannot fail: it has no settings
		switch _, err := token.Verify(&facts{req: req, source: s}, signature.Keys{PathToken: []connectors.Secret{s.PathToken}}, req.Received); {
		case s.PathToken.IsZero():
			c.Reason = "the URL ends with a token, but the source has none"
		case err != nil:
			c.Reason = reason(err)
		default:
			c.Passed = true
		}
		all = append(all, c)
	}
	look := &facts{req: req, source: s}
	for i := range s.checks {
		check := &s.checks[i]
		c := Check{Kind: check.scheme.Kind, Asks: proofWords(check.scheme)}
		proof, err := check.verify(look, s.keys(), req.Received)
		if c.Passed = err == nil; c.Passed {
			c.Secret = proof.Secret + 1
		} else {
			c.Reason = reason(err)
			if check.scheme.Field != "" && unexpectedJSON(s.Profile.DecoderOf(req.Body), req.Body) {
				c.Reason += ": " + notAForm(s.Profile)
			}
		}
		if check.scheme.Kind == KindHMAC {
			c.Signed, c.Given = signedText(check.scheme, req), givenText(check.scheme, look)
		}
		all = append(all, c)
	}
	return all
}

// Asks describes how the platform's requests are verified; empty if they cannot be.
func (p *Profile) Asks() []string { return p.Platform().Proof }

// Asks describes in words all that a request needs to be accepted as the platform's; empty if nothing is needed.
func (s *Source) Asks() string {
	var all []string
	for i := range s.checks {
		if kind := s.checks[i].scheme.Kind; kind != KindPath && kind != KindNone {
			all = append(all, proofWords(s.checks[i].scheme))
		}
	}
	if !s.PathToken.IsZero() {
		all = append(all, "the path token at the end of the URL")
	}
	if len(s.AllowFrom) > 0 {
		all = append(all, "a sender's address in allow_from")
	}
	return strings.Join(all, "; and ")
}

func addressOf(req *Request) string {
	if !req.Remote.IsValid() {
		return "no address"
	}
	return req.Remote.Unmap().String()
}

const maxGiven = 512

// signedText fills the request's headers into the template of the signed text.
func signedText(c signature.Scheme, req *Request) string {
	var b strings.Builder
	for rest := orElse(c.Signed, "{body}"); rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		b.WriteString(before)
		if !found {
			break
		}
		hole, tail, _ := strings.Cut(after, "}")
		rest = tail
		name, header := strings.CutPrefix(hole, "header:")
		switch {
		case hole == "timestamp" && c.Timestamp != nil:
			name, header = c.Timestamp.Header, true
		case !header: // part of the body
			b.WriteString("{" + hole + "}")
		}
		if header {
			if value := req.header(name); value != "" {
				b.WriteString(clipped(value))
			} else {
				fmt.Fprintf(&b, "[no %s]", name)
			}
		}
	}
	if slices.Contains(c.Candidates, "compact") {
		b.WriteString(", or the same with the body's white space removed")
	}
	return b.String()
}

func givenText(c signature.Scheme, look *facts) string {
	if c.Header != "" {
		return clipped(look.Header(c.Header))
	}
	text, _ := look.Field(c.Field)
	return clipped(text)
}

func clipped(text string) string {
	if len(text) > maxGiven {
		text = text[:maxGiven] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
