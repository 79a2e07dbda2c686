package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
)

// Check is one proof that a source asks for, and how a request stood to it, for its operator. It holds no secret, and
// no signature but the one that came.
type Check struct {
	// Kind is address, path, hmac, token or basic.
	Kind string `json:"kind"`
	// Asks says where what is looked for.
	Asks   string `json:"asks"`
	Passed bool   `json:"passed"`
	// Reason is why it did not pass.
	Reason string `json:"reason,omitempty"`
	// Secret is which of the secrets matched, from 1; 0 where there was none to match.
	Secret int `json:"secret,omitempty"`
	// Signed is what an hmac is made of: what came in headers is filled in, {body} stands for the bytes of the body.
	Signed string `json:"signed,omitempty"`
	// Given is the signature that came.
	Given string `json:"given,omitempty"`
}

// Inspect makes every check that Verify makes, also behind one that failed. What a source does not ask for is not
// among them; of a source that nothing proves there is none.
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
		token, _ := signature.Scheme{Kind: KindPath}.Compile() // it takes nothing that could be wrong
		switch _, err := token.Verify(&facts{req: req, source: s}, signature.Keys{PathToken: []connectors.Secret{s.PathToken}}, req.Received); {
		case s.PathToken.IsZero():
			c.Reason = "the URL ends in a token, and the source has none"
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

// Asks says, in words, what proves the platform's requests; empty where nothing does.
func (p *Profile) Asks() []string { return p.Platform().Proof }

func addressOf(req *Request) string {
	if !req.Remote.IsValid() {
		return "no address"
	}
	return req.Remote.Unmap().String()
}

const maxGiven = 512

// signedText fills what stands beside the body into the template of what is signed.
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
		case !header: // it stands in the body
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
		b.WriteString(", or that with the body's white space taken out")
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
