package source

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// errInBody reports that a proof is part of the body or the query, and not of the headers.
var errInBody = errors.New("the proof is part of the body or the query")

// Sign returns the headers with which the platform would prove a body to this source, made with its first secret. They do not
// include the path token. For a proof inside the body, use Prove.
func (s *Source) Sign(body []byte, at time.Time) ([]connectors.Field, error) {
	sample, fields, err := s.Prove(Sample{Body: body, ContentType: contentTypes[s.Profile.DecoderOf(body)]}, at)
	if err == nil && string(sample.Body) != string(body) {
		err = fmt.Errorf("sign as %s: %w", s.Profile.Name, errInBody)
	}
	if err != nil {
		return nil, err
	}
	return fields, nil
}

// Prove returns a body and headers as the platform would send them to this source, proved with its first secret. A token or
// signature that belongs in the body is inserted there.
func (s *Source) Prove(sample Sample, at time.Time) (Sample, []connectors.Field, error) {
	var fields []connectors.Field
	// Proofs inside the body come first, because others may sign the body.
	for _, inBody := range []bool{true, false} {
		for _, check := range s.checks {
			if in := check.scheme.Path != "" || check.scheme.Field != ""; in != inBody {
				continue
			}
			var err error
			if sample.Body, fields, err = s.proveOne(check, sample, fields, at); err != nil {
				return Sample{}, nil, fmt.Errorf("sign as %s: %w", s.Profile.Name, err)
			}
		}
	}
	return sample, fields, nil
}

func (s *Source) proveOne(check proof, sample Sample, fields []connectors.Field, at time.Time) ([]byte, []connectors.Field, error) {
	scheme := check.scheme
	switch scheme.Kind {
	case KindBasic:
		text := s.Secrets[0].Expose()
		if scheme.User != "" {
			if strings.Contains(scheme.User, "{") {
				return nil, nil, errors.New("samples cannot be signed for a user that contains vars")
			}
			text = scheme.User + ":" + text
		}
		value := "Basic " + base64.StdEncoding.EncodeToString([]byte(text))
		return sample.Body, append(fields, connectors.Field{Name: "Authorization", Value: value, Secret: true}), nil
	case KindToken:
		return s.putProof(scheme, sample, fields, scheme.Prefix+s.Secrets[0].Expose())
	case KindHMAC:
		if scheme.Timestamp != nil {
			fields = append(fields, connectors.Field{Name: scheme.Timestamp.Header, Value: stamp(scheme.Timestamp.Format, at)})
		}
		for _, name := range check.verifier.Parts().Headers {
			fields = append(fields, connectors.Field{Name: name, Value: "msg_" + hash(sample.Body)[:32]})
		}
		value, err := check.verifier.Sign(&facts{req: &Request{
			Body: sample.Body, ContentType: sample.ContentType,
			Header: func(name string) string {
				for _, f := range fields {
					if strings.EqualFold(f.Name, name) {
						return f.Value
					}
				}
				return ""
			},
		}, source: s}, s.keys())
		if err != nil {
			return nil, nil, err
		}
		return s.putProof(scheme, sample, fields, value)
	}
	return nil, nil, fmt.Errorf("%s is not a proof", scheme.Kind)
}

// putProof puts a token or a signature into the place that the scheme names.
func (s *Source) putProof(scheme signature.Scheme, sample Sample, fields []connectors.Field, value string) ([]byte, []connectors.Field, error) {
	switch {
	case scheme.Header != "":
		secret := scheme.Kind == KindToken
		return sample.Body, append(fields, connectors.Field{Name: scheme.Header, Value: value, Secret: secret}), nil
	case scheme.Path != "" && jsonpath.IsPlain(scheme.Path) && !strings.Contains(scheme.Path, "."):
		body, err := withMember(sample.Body, scheme.Path, value)
		return body, fields, err
	case scheme.Field != "" && s.Profile.DecoderOf(sample.Body) == DecodeForm:
		return withField(sample.Body, scheme.Field, value), fields, nil
	}
	return nil, nil, errInBody
}

// withMember sets a member of an object.
func withMember(body []byte, name, value string) ([]byte, error) {
	body, err := jsonpath.Cut(body, []string{name})
	if err != nil {
		return nil, err
	}
	object := jsonpath.Parse(body)
	if object.Kind() != jsonpath.Object {
		return nil, errInBody
	}
	out := append(append(append([]byte{'{'}, quote(name)...), ':'), quote(value)...)
	if !empty(object) {
		out = append(out, ',')
	}
	return append(out, object.Raw()[1:]...), nil
}

// withField sets a field of a form.
func withField(body []byte, name, value string) []byte {
	pair := url.QueryEscape(name) + "=" + url.QueryEscape(value)
	pairs := strings.Split(string(body), "&")
	for i, was := range pairs {
		if before, _, _ := strings.Cut(was, "="); before == url.QueryEscape(name) {
			pairs[i] = pair
			return []byte(strings.Join(pairs, "&"))
		}
	}
	return []byte(strings.Join(append(pairs, pair), "&"))
}

// stamp formats a time in the format of a scheme's timestamp.
func stamp(format string, at time.Time) string {
	switch format {
	case "rfc3339":
		return at.UTC().Format(time.RFC3339)
	case "unix_ms":
		return strconv.FormatInt(at.UnixMilli(), 10)
	}
	return strconv.FormatInt(at.Unix(), 10)
}
