package signature

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// maxSignatures bounds the signatures of one request that are compared.
const maxSignatures = 16

func (v *Verifier) verifyHMAC(r Request, k Keys, now time.Time) (Proof, error) {
	text, found := v.value(r)
	if !found || text == "" {
		return refuse("the signature is missing")
	}
	var stamp string
	if v.stamp != nil {
		stamp = r.Header(v.stamp.Header)
		if reason := v.stamp.check(stamp, now); reason != "" {
			return refuse(reason)
		}
	}
	given := parsed.Get().(*signatures)
	defer parsed.Put(given)
	if v.parse(text, given); given.n == 0 {
		return refuse("the signature has not the form it should have")
	}
	if reason := v.unsound(r, stamp); reason != "" {
		return refuse(reason)
	}
	if v.raw {
		if matched, err := v.match(r, r.Body(), stamp, given, k); err != nil {
			return refuse(err.Error())
		} else if matched >= 0 {
			return Proof{Kind: KindHMAC, Secret: matched}, nil
		}
	}
	if v.compact {
		var b bytes.Buffer
		if json.Compact(&b, jsonpath.TrimBOM(r.Body())) == nil && (!v.raw || !bytes.Equal(b.Bytes(), r.Body())) {
			if matched, err := v.match(r, b.Bytes(), stamp, given, k); err != nil {
				return refuse(err.Error())
			} else if matched >= 0 {
				return Proof{Kind: KindHMAC, Secret: matched}, nil
			}
		}
	}
	return refuse("the signature does not match")
}

// Sign returns the signature that the platform would put on a request, made with the first of the secrets, for samples
// and tests. The headers and fields that are signed must be there.
func (v *Verifier) Sign(r Request, k Keys) (string, error) {
	if v.kind != KindHMAC {
		return "", fmt.Errorf("%s signs nothing", v.kind)
	}
	if len(k.Secrets) == 0 || k.Secrets[0].IsZero() {
		return "", errEmptySecret
	}
	stamp := ""
	if v.stamp != nil {
		stamp = r.Header(v.stamp.Header)
	}
	if reason := v.unsound(r, stamp); reason != "" {
		return "", errors.New(reason)
	}
	key, err := v.keyOf(k.Secrets[0], k.Vars)
	if err != nil {
		return "", err
	}
	m := key.take()
	defer key.put(m)
	v.write(m, r, r.Body(), stamp)
	return v.prefix + v.encoding.text(m.sum()), nil
}

// signatures are those of one request, decoded. They are pooled: hash functions make their arguments escape.
type signatures struct {
	n    int
	sums [maxSignatures][sha512.Size]byte
}

var parsed = sync.Pool{New: func() any { return new(signatures) }}

// parse decodes the signatures that have the right form.
func (v *Verifier) parse(text string, given *signatures) {
	given.n = 0
	for rest, more := text, true; more && given.n < maxSignatures; {
		one := rest
		more = false
		if v.separator != "" {
			one, rest, more = strings.Cut(rest, v.separator)
		}
		one, found := strings.CutPrefix(one, v.prefix)
		if !found {
			continue
		}
		if _, ok := v.encoding.decode(given.sums[given.n][:0], one, v.algorithm.size()); ok {
			given.n++
		}
	}
}

// unsound returns why the signed parts of a request cannot be relied on: one is missing, or holds a separator and so could
// be read as another; "" if they can.
func (v *Verifier) unsound(r Request, stamp string) string {
	for i := range v.signed {
		switch s := &v.signed[i]; s.name {
		case "header":
			if r.Header(s.argument) == "" {
				return "a signed header is missing"
			}
		case "field":
			if _, ok := r.Field(s.argument); !ok {
				return "a signed field is missing"
			}
		}
	}
	for _, j := range v.joints {
		value := stamp
		switch s := &v.signed[j.at]; s.name {
		case "header":
			value = r.Header(s.argument)
		case "field":
			value, _ = r.Field(s.argument)
		}
		if j.splits(value) {
			return "a signed " + v.signed[j.at].name + " holds what separates the parts that are signed"
		}
	}
	return ""
}

// match returns the index of the secret whose signature over a body is among those given, or -1.
func (v *Verifier) match(r Request, body []byte, stamp string, given *signatures, k Keys) (int, error) {
	var fault error
	for i, secret := range k.Secrets {
		if secret.IsZero() {
			continue
		}
		key, err := v.keyOf(secret, k.Vars)
		if err != nil {
			fault = err
			continue
		}
		m := key.take()
		v.write(m, r, body, stamp)
		sum := m.sum()
		same := false
		for j := range given.n {
			if hmac.Equal(given.sums[j][:len(sum)], sum) {
				same = true
			}
		}
		key.put(m)
		if same {
			return i, nil
		}
	}
	return -1, fault
}

func (v *Verifier) write(m *mac, r Request, body []byte, stamp string) {
	m.around = m.around[:0]
	for i := range v.signed {
		switch s := &v.signed[i]; s.name {
		case "":
			m.around = append(m.around, s.text...)
		case "timestamp":
			m.around = append(m.around, stamp...)
		case "header":
			m.around = append(m.around, r.Header(s.argument)...)
		case "field":
			text, _ := r.Field(s.argument)
			m.around = append(m.around, text...)
		case "body":
			m.flush()
			_, _ = m.h.Write(body) // a hash never fails
		}
	}
	m.flush()
}

// keyOf returns the key made of a secret.
func (v *Verifier) keyOf(secret connectors.Secret, vars map[string]connectors.Secret) (*key, error) {
	text := secret.Expose()
	if v.secretPrefix != "" {
		rest, found := strings.CutPrefix(text, v.secretPrefix)
		if !found && v.secretKind == keyText { // decoding checks the others
			return nil, fmt.Errorf("the secret does not begin with %s", v.secretPrefix)
		}
		text = rest
	}
	if v.plainKey {
		return keys.find(v.algorithm, v.secretKind, text)
	}
	b, err := v.secretKind.bytes(text)
	if err != nil {
		return nil, err
	}
	filled, err := fill(v.key, string(b), vars)
	if err != nil {
		return nil, err
	}
	return keys.find(v.algorithm, keyText, filled)
}

// fill puts the secret and the source's vars into a text.
func fill(t template, secret string, vars map[string]connectors.Secret) (string, error) {
	var b strings.Builder
	for i := range t {
		switch s := &t[i]; s.name {
		case "":
			b.WriteString(s.text)
		case "secret":
			b.WriteString(secret)
		default:
			value, ok := vars[s.name]
			if !ok || value.IsZero() {
				return "", fmt.Errorf("the source has no vars.%s", s.name)
			}
			b.WriteString(value.Expose())
		}
	}
	return b.String(), nil
}

// check returns why a timestamp is refused; "" if it is accepted.
func (t *Timestamp) check(text string, now time.Time) string {
	var at time.Time
	if t.Format == "rfc3339" {
		var err error
		if at, err = time.Parse(time.RFC3339, text); err != nil {
			return "the timestamp is missing or cannot be read"
		}
	} else {
		n, err := strconv.ParseUint(text, 10, 53)
		if err != nil {
			return "the timestamp is missing or cannot be read"
		}
		if at = time.Unix(int64(n), 0); t.Format == "unix_ms" {
			at = time.UnixMilli(int64(n))
		}
	}
	if off := now.Sub(at); off > t.Tolerance || off < -t.Tolerance {
		return "the timestamp is too far from the clock"
	}
	return ""
}
