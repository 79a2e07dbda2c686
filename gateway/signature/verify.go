package signature

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// Request is what a Verifier reads. The source decodes forms and JSON.
type Request interface {
	// Header is the first value of a header, whatever the case of its name; empty without one.
	Header(name string) string
	// Query is the first value of a parameter of the URL, decoded.
	Query(name string) string
	// Field is a field of a form body, decoded.
	Field(name string) (string, bool)
	// At is the text at a path into a JSON body.
	At(path string) (string, bool)
	// Segment is the secret last segment of the URL's path.
	Segment() string
	// Body is the exact bytes received.
	Body() []byte
}

// Keys are a source's secrets and variables.
type Keys struct {
	// Secrets are valid side by side while rotating, newest first.
	Secrets []connectors.Secret
	// Vars fill the other placeholders of `key` and `user`.
	Vars map[string]connectors.Secret
	// PathToken is the secret segment for kind path; with several, any is valid.
	PathToken []connectors.Secret
}

// Proof says how a request was authenticated.
type Proof struct {
	// Kind is hmac, token, basic, path or none, as Event.Verified says it.
	Kind string
	// Secret is the index of the secret that matched; -1 if none was needed.
	Secret int
}

// Refused says why a request was not accepted. Its text is the same for every reason, so that an answer cannot tell
// which check failed; Reason is for the operator's eyes only and holds nothing secret.
type Refused struct{ Reason string }

func (*Refused) Error() string { return "not verified" }

func refuse(reason string) (Proof, error) { return Proof{}, &Refused{Reason: reason} }

// Verify proves a request by the source's keys at the time now. The error is a *Refused, also for anything
// malformed.
func (v *Verifier) Verify(r Request, k Keys, now time.Time) (Proof, error) {
	if v.kind == KindNone {
		return Proof{Kind: KindNone, Secret: -1}, nil
	}
	known := k.Secrets
	if v.kind == KindPath {
		known = k.PathToken
	}
	if !anySecret(known) {
		if v.optional {
			return Proof{Kind: KindNone, Secret: -1}, nil
		}
		return refuse("the source has no secret")
	}
	switch v.kind {
	case KindHMAC:
		return v.verifyHMAC(r, k, now)
	case KindToken:
		return v.verifyToken(r, k)
	case KindBasic:
		return v.verifyBasic(r, k)
	case KindPath:
		return matchAny(KindPath, r.Segment(), known, "the path token is missing", "the path token is wrong")
	}
	return refuse("kind of verification not known")
}

func anySecret(secrets []connectors.Secret) bool {
	for _, s := range secrets {
		if !s.IsZero() {
			return true
		}
	}
	return false
}

// matchAny compares a text with every secret, in a time that does not reveal how much of it was right.
func matchAny(kind, text string, secrets []connectors.Secret, missing, wrong string) (Proof, error) {
	if text == "" {
		return refuse(missing)
	}
	matched := -1
	for i, secret := range slices.Backward(secrets) {
		if !secret.IsZero() && sameText(text, secret.Expose()) {
			matched = i
		}
	}
	if matched < 0 {
		return refuse(wrong)
	}
	return Proof{Kind: kind, Secret: matched}, nil
}

// sameText compares in constant time for texts of equal length; the length may be revealed.
func sameText(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

func (v *Verifier) verifyToken(r Request, k Keys) (Proof, error) {
	text, _ := v.value(r)
	text, found := strings.CutPrefix(text, v.prefix)
	if !found {
		return refuse("the token is missing or lacks its prefix")
	}
	return matchAny(KindToken, text, k.Secrets, "the token is missing", "the token is wrong")
}

// value returns what the request has as its signature or token.
func (v *Verifier) value(r Request) (string, bool) {
	switch {
	case v.header != "":
		text := r.Header(v.header)
		return text, text != ""
	case v.field != "":
		return r.Field(v.field)
	case v.query != "":
		text := r.Query(v.query)
		return text, text != ""
	default:
		return r.At(v.path)
	}
}

func (v *Verifier) verifyBasic(r Request, k Keys) (Proof, error) {
	const scheme = "Basic "
	text := r.Header("Authorization")
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return refuse("there are no basic credentials")
	}
	given, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text[len(scheme):]))
	if err != nil {
		return refuse("the basic credentials are not base64")
	}
	if len(v.user) == 0 {
		return matchAny(KindBasic, string(given), k.Secrets, "the basic credentials are empty", "the basic credentials are wrong")
	}
	user, err := fill(v.user, "", k.Vars)
	if err != nil {
		return refuse(err.Error())
	}
	name, password, found := strings.Cut(string(given), ":")
	proof, err := matchAny(KindBasic, password, k.Secrets, "the password is missing", "the password is wrong")
	if same := sameText(name, user); err == nil && (!found || !same) {
		return refuse("the user is wrong")
	}
	return proof, err
}

// Check returns the fault of a source's keys before any request comes: a missing secret, a secret of another form, a missing
// var, a whsec_ key that is too short. It never repeats a secret.
func (v *Verifier) Check(k Keys) error {
	if v.kind == KindNone || v.kind == KindPath {
		return nil // the strength of path tokens is a matter of the source
	}
	if len(k.Secrets) == 0 && v.optional {
		return nil
	}
	if len(k.Secrets) == 0 {
		return fmt.Errorf("%s needs a secret", v.kind)
	}
	for _, secret := range k.Secrets {
		if secret.IsZero() {
			return errEmptySecret
		}
		if v.kind == KindBasic && len(v.user) == 0 && !strings.Contains(secret.Expose(), ":") {
			return errors.New("a secret for basic is written user:password")
		}
		if v.kind == KindBasic {
			if _, err := fill(v.user, "", k.Vars); err != nil {
				return err
			}
		}
		if v.kind != KindHMAC {
			continue
		}
		if _, err := v.keyOf(secret, k.Vars); err != nil {
			return err
		}
		if v.secretPrefix == prefixSymmetric && v.secretKind == keyBase64 {
			if b, err := keyWhsec.bytes(secret.Expose()); err == nil && len(b) < minKey {
				return tooShort(len(b))
			}
		}
	}
	return nil
}
