package source

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// proof is one compiled check of a source.
type proof struct {
	scheme   signature.Scheme
	verifier *signature.Verifier
	parts    signature.Parts // the parts of a request that it signs
}

// schemeProblem returns the fault of an entry of `verify` for bodies of this format, and the setting that has it.
func schemeProblem(scheme signature.Scheme, decoder Decoder) (setting, message string) {
	switch {
	case scheme.Field != "" && decoder == DecodeJSON:
		return "field", "a JSON body has no form fields"
	case scheme.Path != "" && decoder != DecodeJSON:
		return "path", "a form has fields, not paths"
	case decoder == DecodeJSON && strings.Contains(scheme.Signed, "{field:"):
		return "signed", "a JSON body has no form fields"
	}
	if scheme.Path != "" {
		if err := jsonpath.CheckPath(scheme.Path); err != nil {
			return "path", fmt.Sprintf("path `%s`: %v", scheme.Path, err)
		}
	}
	if _, err := scheme.Compile(); err != nil {
		setting, message, ok := strings.Cut(err.Error(), ": ")
		if !ok || strings.ContainsAny(setting, " `") {
			return "", err.Error()
		}
		return setting, message
	}
	return "", ""
}

func (s *Source) schemes() []signature.Scheme {
	if s.Settings.Verify != nil {
		return s.Settings.Verify
	}
	return s.Profile.Verify
}

// compileChecks compiles the checks of the source. If the source has no secrets, checks that need one are omitted; then only
// the path token verifies requests, or the operator has set `unverified`.
func (s *Source) compileChecks() []Problem {
	var problems []Problem
	keys := s.keys()
	unkeyed := ""
	for i, scheme := range s.schemes() {
		at := fmt.Sprintf("verify.%d", i)
		if setting, message := schemeProblem(scheme, s.Profile.Decode); message != "" {
			problems = append(problems, Problem{strings.TrimSuffix(at+"."+setting, "."), message, ""})
			continue
		}
		verifier, err := scheme.Compile()
		if err != nil {
			problems = append(problems, Problem{at, err.Error(), ""})
			continue
		}
		switch {
		case scheme.Kind == KindNone:
		case scheme.Kind == KindPath:
			if s.PathToken.IsZero() {
				problems = append(problems, Problem{"path_token", "requests of this source are verified by the path token, which is missing", "set path_token; `surveygate secret` prints one"})
			}
		case len(s.Secrets) == 0:
			unkeyed = scheme.Kind
		case s.lacks(scheme) != "":
			name := s.lacks(scheme)
			problems = append(problems, Problem{
				"vars", fmt.Sprintf("`%s` is missing: requests of %s are verified by %s", name, s.Profile.Name, proofWords(scheme)),
				fmt.Sprintf("set vars: {%s: …}", name),
			})
		default:
			if err := verifier.Check(keys); err != nil {
				problems = append(problems, Problem{"secrets", err.Error(), ""})
			}
			s.checks = append(s.checks, proof{scheme, verifier, verifier.Parts()})
		}
	}
	verifiers := make([]*signature.Verifier, len(s.checks))
	for i := range s.checks {
		verifiers[i] = s.checks[i].verifier
	}
	s.cover = coverOf(verifiers)
	if s.Settings.Verify != nil && len(problems) == 0 { // the profile's own schemes were checked when it was compiled
		if all := s.Profile.unproved(nil, s.cover, true); len(all) > 0 {
			message, remedy := all[0].words(s.cover)
			if more := len(all) - 1; more > 0 {
				message += fmt.Sprintf(" (and %d more that the profile reads)", more)
			}
			problems = append(problems, Problem{"verify", fmt.Sprintf("the profile %s does not fit these schemes: %s", s.Profile.Name, message), remedy + ", in your own profile"})
		}
	}
	if !s.Proves() && !s.Unverified && len(problems) == 0 {
		remedy := "set path_token, or unverified: true if anybody may send"
		if unkeyed != "" {
			remedy = fmt.Sprintf("set secrets (requests of %s are verified by %s), path_token, or unverified: true if anybody may send", s.Profile.Name, unkeyed)
		}
		problems = append(problems, Problem{"secrets", "requests of this source cannot be verified", remedy})
	}
	return problems
}

// lacks returns the first placeholder of a scheme that the source does not fill.
func (s *Source) lacks(scheme signature.Scheme) string {
	for _, name := range varsOf(scheme) {
		if s.Vars[name].IsZero() {
			return name
		}
	}
	return ""
}

// Proves reports whether the source verifies its requests, by a check or by its path token.
func (s *Source) Proves() bool { return len(s.checks) > 0 || !s.PathToken.IsZero() }

// Warnings returns settings that are valid but may surprise.
func (s *Source) Warnings() []Problem {
	var list []Problem
	proves := ""
	for _, scheme := range s.schemes() {
		if scheme.Kind != KindNone && scheme.Kind != KindPath {
			proves = scheme.Kind
		}
	}
	switch {
	case len(s.Secrets) == 0 && proves != "":
		list = append(list, Problem{"secrets", fmt.Sprintf("requests of %s can be verified by %s, but without secrets they are not", s.Profile.Name, proves), "set secrets"})
	case len(s.Secrets) > 0 && proves == "":
		list = append(list, Problem{"secrets", "these secrets are not used: requests of this profile carry no proof", "remove them, or describe in verify where the platform sends its token"})
	}
	if s.AcceptTest > 0 {
		list = append(list, Problem{"accept_test", fmt.Sprintf("for %s after loading, requests without a proof are accepted as tests", s.AcceptTest), "remove it when the platform's test has passed"})
	}
	if types := s.Profile.unsurveyed(); len(types) > 0 {
		list = append(list, Problem{
			"profile",
			fmt.Sprintf("%s maps a response id but no survey id in %s: these count as events of other responses, because a response is identified by both", s.Profile.Name, strings.Join(types, ", ")),
			"map survey.id for every type that has response.id, or for none",
		})
	}
	return list
}

func (s *Source) keys() signature.Keys {
	return signature.Keys{Secrets: s.Secrets, Vars: s.Vars, PathToken: []connectors.Secret{s.PathToken}}
}

// Verify verifies the raw bytes of a request, before they are parsed. All checks of the source must pass. It sets
// req.Verified. The error wraps ErrRefused and may be shown to the operator; the answer to the sender must not repeat it.
func (s *Source) Verify(req *Request) (Verified, error) {
	verified, err := s.verify(req)
	req.Verified = verified
	return verified, err
}

func (s *Source) verify(req *Request) (Verified, error) {
	if req.Received.IsZero() {
		return Verified{}, errors.New("verify: the request has no time of receipt")
	}
	if !s.allowed(req) {
		return Verified{}, refused("the address is not in allow_from")
	}
	result := Verified{Kind: KindNone}
	token := s.PathToken.Expose()
	if subtle.ConstantTimeCompare([]byte(req.Token), []byte(token)) != 1 {
		return Verified{}, refused("the path token is missing or wrong")
	}
	if token != "" {
		result.Kind = KindPath
	}
	if len(s.checks) == 0 {
		return result, nil
	}
	look := &facts{req: req, source: s}
	keys := s.keys()
	for i := range s.checks {
		got, err := s.checks[i].verify(look, keys, req.Received)
		if err != nil {
			if s.testing(req.Received) && !s.carriesProof(look) {
				result.Test = true
				return result, nil
			}
			why := reason(err)
			if s.checks[i].scheme.Field != "" && unexpectedJSON(s.Profile.DecoderOf(req.Body), req.Body) {
				why += ": " + notAForm(s.Profile)
			}
			return Verified{}, refused(why)
		}
		if strength[got.Kind] > strength[result.Kind] {
			result.Kind, result.Secret = got.Kind, got.Secret+1
		}
	}
	return result, nil
}

// verify performs the check. It refuses a request in which a place that the check reads occurs twice: verification, later
// reads and proxies might each use another one.
func (p *proof) verify(look *facts, keys signature.Keys, now time.Time) (signature.Proof, error) {
	if place := look.twice(p); place != "" {
		return signature.Proof{}, &signature.Refused{Reason: place + " occurs twice"}
	}
	return p.verifier.Verify(look, keys, now)
}

// strength orders the kinds: if several checks passed, the event records the strongest.
var strength = map[string]int{
	KindNone: 0, KindPath: 1, KindBasic: 2, KindToken: 3, KindHMAC: 4,
}

func refused(reason string) error { return fmt.Errorf("%w: %s", ErrRefused, reason) }

func reason(err error) string {
	if r, ok := errors.AsType[*signature.Refused](err); ok {
		return r.Reason
	}
	return err.Error()
}

func (s *Source) allowed(req *Request) bool {
	if len(s.AllowFrom) == 0 {
		return true
	}
	from := req.Remote.Unmap()
	for _, prefix := range s.AllowFrom {
		if prefix.Contains(from) {
			return true
		}
	}
	return false
}

func (s *Source) testing(now time.Time) bool {
	return s.AcceptTest > 0 && !now.Before(s.Loaded) && now.Before(s.Loaded.Add(s.AcceptTest))
}

// carriesProof reports whether the request carries a proof, valid or not. Test buttons of platforms send none. A request with
// an invalid proof is never accepted as a test: it may be a real event, and the secret mistyped.
func (s *Source) carriesProof(look *facts) bool {
	for i := range s.checks {
		if look.twice(&s.checks[i]) != "" {
			return true
		}
		switch c := s.checks[i].scheme; {
		case c.Kind == KindBasic:
			if look.Header("Authorization") != "" {
				return true
			}
		case c.Header != "":
			if look.Header(c.Header) != "" {
				return true
			}
		case c.Query != "":
			if look.Query(c.Query) != "" {
				return true
			}
		case c.Field != "":
			if text, _ := look.Field(c.Field); text != "" {
				return true
			}
		case c.Path != "":
			if text, _ := look.At(c.Path); text != "" {
				return true
			}
		}
	}
	return false
}

// facts gives a verifier access to a request. Forms and JSON are decoded only if a check needs them.
type facts struct {
	req     *Request
	source  *Source
	form    []formField
	decoded bool
	json    int8 // 0 unknown, 1 valid, -1 invalid
}

func (f *facts) Header(name string) string { return f.req.header(name) }
func (f *facts) Query(name string) string  { return f.req.query(name) }
func (f *facts) Segment() string           { return f.req.Token }
func (f *facts) Body() []byte              { return f.req.Body }

func (f *facts) Field(name string) (string, bool) {
	if all := f.fields(name); len(all) > 0 {
		return all[0].value, true
	}
	return "", false
}

// fields returns the fields of a form with this name.
func (f *facts) fields(name string) []formField {
	if !f.decoded {
		f.decoded = true
		if form, err := f.source.readForm(f.req); err == nil {
			f.form = form
		}
	}
	return fieldsNamed(f.form, name)
}

// isJSON reports whether the body is JSON.
func (f *facts) isJSON() bool {
	if f.json == 0 {
		if f.json = -1; jsonpath.Valid(f.req.Body) {
			f.json = 1
		}
	}
	return f.json > 0
}

// twice returns a place that the check reads and that occurs twice in the request; empty if there is none.
func (f *facts) twice(p *proof) string {
	scheme, parts := &p.scheme, &p.parts
	header := func(name string) bool { return name != "" && f.req.headerTwice(name) }
	field := func(name string) bool { return name != "" && len(f.fields(name)) > 1 }
	words := func(what, name string) string { return "the " + what + " `" + name + "`" }
	switch {
	case scheme.Kind == KindBasic && header("Authorization"):
		return words("header", "Authorization")
	case header(scheme.Header):
		return words("header", scheme.Header)
	case header(parts.Timestamp):
		return words("header", parts.Timestamp)
	case field(scheme.Field):
		return words("form field", scheme.Field)
	case scheme.Query != "" && f.req.queryTwice(scheme.Query):
		return words("query parameter", scheme.Query)
	case scheme.Path != "" && f.isJSON() && jsonpath.HasDuplicateKey(f.req.Body, scheme.Path):
		return words("place", scheme.Path) + " of the body"
	}
	for _, name := range parts.Headers {
		if header(name) {
			return words("header", name)
		}
	}
	for _, name := range parts.Fields {
		if field(name) {
			return words("form field", name)
		}
	}
	return ""
}

func (f *facts) At(path string) (string, bool) {
	if !f.isJSON() {
		return "", false
	}
	value := jsonpath.Read(f.req.Body, path)
	if value.Kind() != jsonpath.String && value.Kind() != jsonpath.Number {
		return "", false
	}
	return value.Text(), true
}
