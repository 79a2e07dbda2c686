package signature

import (
	"crypto/ed25519"
	"crypto/hmac"
	"encoding/base64"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// Verify checks a signed request as its receiver does. Header returns the first value
// of a header whatever the case of its name, as http.Header.Get does. For ed25519 a secret is whpk_ or whsk_.
// Styles that sign a time refuse one further than Tolerance from now. Styles without a signature (none,
// chattosurvey) pass whenever their headers are there, which proves nothing.
// The error is a *Refused, also for anything malformed.
func Verify(sig connectors.Signature, secrets []connectors.Secret, header func(string) string, body []byte, now time.Time) error {
	s, err := styleOf(sig)
	if err != nil {
		return &Refused{Reason: err.Error()}
	}
	switch s.name {
	case styleNone:
		return nil
	case styleChatToSurvey:
		if header("X-Webhook-ID") == "" || header("X-Webhook-Event") == "" || header("X-Webhook-Timestamp") == "" {
			return &Refused{Reason: "an X-Webhook- header is missing"}
		}
		return nil
	}
	if !anySecret(secrets) {
		return &Refused{Reason: "the receiver has no secret"}
	}
	value, id, at := header(s.headerName), header(headerID), header(headerTimestamp)
	if value == "" {
		return &Refused{Reason: "the signature is missing"}
	}
	if s.name == styleStripe {
		at, value, _ = strings.Cut(value, ",")
		if at, _ = strings.CutPrefix(at, "t="); value == "" {
			return &Refused{Reason: "the signature has not the form it should have"}
		}
	}
	if s.signed.has("id") && id == "" {
		return &Refused{Reason: "the webhook-id is missing"}
	}
	if s.signed.has("timestamp") {
		stamp := Timestamp{Format: "unix", Tolerance: Tolerance}
		if reason := stamp.check(at, now); reason != "" {
			return &Refused{Reason: reason}
		}
	}
	for _, j := range s.signed.joints("unix") {
		part := map[string]string{"id": id, "timestamp": at}[s.signed[j.at].name]
		if j.splits(part) {
			return &Refused{Reason: "the webhook-id holds what separates the parts that are signed"}
		}
	}
	given := []string{value}
	if s.several {
		given = strings.SplitN(value, s.separator, maxSignatures+1)
		given = given[:min(len(given), maxSignatures)]
	}
	if s.keyed == keyWhsk {
		return s.receiveEd25519(secrets, given, id, at, body)
	}
	return s.receive(secrets, given, id, at, body)
}

func (s *style) receive(secrets []connectors.Secret, given []string, id, at string, body []byte) error {
	before, after := s.around(id, at)
	var fault error
	for _, secret := range secrets {
		k, err := keys.find(s.algorithm, s.keyed, secret.Expose())
		if err != nil {
			fault = err
			continue
		}
		m := k.take()
		m.write(s.signed, id, at, body)
		sum := m.sum()
		same := false
		for _, text := range given {
			text, begins := strings.CutPrefix(text, before)
			text, ends := strings.CutSuffix(text, after)
			if b, ok := s.encoding.decode(nil, text, s.algorithm.size()); begins && ends && ok && hmac.Equal(b, sum) {
				same = true
			}
		}
		k.put(m)
		if same {
			return nil
		}
	}
	if fault != nil {
		return &Refused{Reason: fault.Error()}
	}
	return &Refused{Reason: "the signature does not match"}
}

// around returns the text before and after the signature in one value of the header.
func (s *style) around(id, at string) (before, after string) {
	const mark = "\x00" // in no header
	before, after, _ = strings.Cut(string(s.value.appendHeader(nil, mark, id, at)), mark)
	return before, after
}

func (s *style) receiveEd25519(secrets []connectors.Secret, given []string, id, at string, body []byte) error {
	signed := s.signed.append(nil, id, at, body)
	before, _ := s.around(id, at)
	var fault error
	for _, secret := range secrets {
		key, err := publicKey(secret)
		if err != nil {
			fault = err
			continue
		}
		for _, text := range given {
			text, found := strings.CutPrefix(text, before)
			b, err := base64.StdEncoding.DecodeString(text)
			if found && err == nil && len(b) == ed25519.SignatureSize && ed25519.Verify(key, signed, b) {
				return nil
			}
		}
	}
	if fault != nil {
		return &Refused{Reason: fault.Error()}
	}
	return &Refused{Reason: "the signature does not match"}
}
