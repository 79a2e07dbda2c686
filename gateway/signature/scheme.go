package signature

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Scheme is one entry of a profile's `verify`: how a platform authenticates its requests.
type Scheme struct {
	// Kind is hmac, token, basic, path or none.
	Kind string `yaml:"kind"`

	// Header is the header in which the signature or token stands.
	Header string `yaml:"header,omitempty"`
	// Field is the field of a form in which it stands instead.
	Field string `yaml:"field,omitempty"`
	// Query is the parameter of the URL in which a token stands instead; an hmac stands in a header or a field.
	Query string `yaml:"query,omitempty"`
	// Path leads into a JSON body, where a token stands instead.
	Path string `yaml:"path,omitempty"`
	// Prefix stands before the signature or token, as `sha256=` or `Bearer `.
	Prefix string `yaml:"prefix,omitempty"`

	// Hash is sha1, sha256 (the default) or sha512.
	Hash string `yaml:"hash,omitempty"`
	// Encoding is hex (the default) or base64.
	Encoding string `yaml:"encoding,omitempty"`
	// Separator stands between several signatures, of which one must match.
	Separator string `yaml:"separator,omitempty"`
	// Signed is what is signed: a text with {body}, {timestamp}, {header:NAME}, {field:NAME}; {body} by default. A request
	// whose header or field holds what separates it from the next part is refused.
	Signed string `yaml:"signed,omitempty"`
	// Key is the key: a text with {secret} and the source's vars; {secret} by default.
	Key string `yaml:"key,omitempty"`
	// SecretPrefix is taken off a secret before it is decoded; a secret that is decoded may lack it.
	SecretPrefix string `yaml:"secret_prefix,omitempty"`
	// SecretEncoding is how a secret is decoded: hex or base64; none by default.
	SecretEncoding string `yaml:"secret_encoding,omitempty"`
	// Candidates are the forms of the body that are tried: raw (the default), compact (JSON without white space).
	Candidates []string `yaml:"candidates,omitempty"`
	// Timestamp is the signed time of sending.
	Timestamp *Timestamp `yaml:"timestamp,omitempty"`

	// User is the name for basic: a text with the source's vars. Without it, a secret is `user:password`.
	User string `yaml:"user,omitempty"`

	// Optional accepts unsigned requests as long as the source has no secret.
	Optional bool `yaml:"optional,omitempty"`
}

// Timestamp names a request's signed time.
type Timestamp struct {
	// Header is the header in which it stands.
	Header string `yaml:"header"`
	// Format is unix (seconds, the default), unix_ms or rfc3339.
	Format string `yaml:"format,omitempty"`
	// Tolerance is 5 minutes by default, both ways.
	Tolerance time.Duration `yaml:"tolerance,omitempty"`
}

// Verifier is a compiled Scheme. It is safe for concurrent use.
type Verifier struct {
	kind     string
	header   string
	field    string
	query    string
	path     string
	prefix   string
	optional bool

	algorithm    algorithm
	encoding     encoding
	separator    string
	signed       template
	joints       []joint // of signed
	key          template
	plainKey     bool // the key is the secret itself
	secretPrefix string
	secretKind   keyKind
	raw, compact bool
	stamp        *Timestamp

	user template
}

// Kind is hmac, token, basic, path or none.
func (v *Verifier) Kind() string { return v.kind }

// Parts are what a signature covers. Anybody may change what it does not cover.
type Parts struct {
	// Body says that the whole body is signed; Compact that it may be signed without its white space too.
	Body, Compact bool
	// Fields are those of a form, in the order in which they are signed.
	Fields []string
	// Headers are those that are signed as they are, Timestamp the one of the signed time; empty where there is none.
	Headers   []string
	Timestamp string
}

// Parts returns what an hmac covers; other kinds of proof cover nothing.
func (v *Verifier) Parts() Parts {
	parts := Parts{Compact: v.compact}
	for i := range v.signed {
		switch s := &v.signed[i]; s.name {
		case "body":
			parts.Body = true
		case "field":
			parts.Fields = append(parts.Fields, s.argument)
		case "header":
			parts.Headers = append(parts.Headers, s.argument)
		}
	}
	if v.stamp != nil {
		parts.Timestamp = v.stamp.Header
	}
	return parts
}

// Optional reports whether unsigned requests pass as long as there is no secret.
func (v *Verifier) Optional() bool { return v.optional }

// Compile checks and compiles a scheme. Errors name the setting at fault.
func (s Scheme) Compile() (*Verifier, error) {
	v := &Verifier{
		kind: s.Kind, header: s.Header, field: s.Field, query: s.Query, path: s.Path,
		prefix: s.Prefix, optional: s.Optional,
	}
	places := 0
	for _, at := range []string{s.Header, s.Field, s.Query, s.Path} {
		if at != "" {
			places++
		}
	}
	switch s.Kind {
	case KindHMAC:
		if places != 1 || s.Query != "" || s.Path != "" {
			return nil, errors.New("an hmac stands in one place: header or field")
		}
		return v, v.compileHMAC(s)
	case KindToken:
		if places != 1 {
			return nil, errors.New("a token stands in one place: header, query, field or path")
		}
	case KindBasic:
		if places != 0 {
			return nil, errors.New("basic stands in the Authorization header and takes no place")
		}
	case KindPath, KindNone:
		if places != 0 {
			return nil, fmt.Errorf("%s takes no place", s.Kind)
		}
	default:
		return nil, fmt.Errorf("kind: `%s` is no kind of verification; one of hmac, token, basic, path, none", s.Kind)
	}
	if s.Hash != "" || s.Encoding != "" || s.Separator != "" || s.Signed != "" || s.Key != "" || s.SecretPrefix != "" ||
		s.SecretEncoding != "" || len(s.Candidates) > 0 || s.Timestamp != nil {
		return nil, fmt.Errorf("hash, encoding, separator, signed, key, secret_prefix, secret_encoding, candidates and timestamp belong to hmac, not to %s", s.Kind)
	}
	if s.Prefix != "" && s.Kind != KindToken {
		return nil, errors.New("prefix belongs to hmac and token")
	}
	if s.User != "" && s.Kind != KindBasic {
		return nil, errors.New("user belongs to basic")
	}
	var err error
	v.user, err = parseVars(s.User)
	if err != nil {
		return nil, fmt.Errorf("user: %w", err)
	}
	return v, nil
}

// Kinds of verification.
const (
	KindHMAC  = "hmac"
	KindToken = "token"
	KindBasic = "basic"
	KindPath  = "path"
	KindNone  = "none"
)

func (v *Verifier) compileHMAC(s Scheme) error {
	if s.User != "" {
		return errors.New("user belongs to basic")
	}
	var err error
	if v.algorithm, err = parseAlgorithm(s.Hash); err != nil {
		return fmt.Errorf("hash: %w", err)
	}
	if v.encoding, err = parseEncoding(s.Encoding); err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	v.separator = s.Separator
	if v.signed, err = parseTemplate(orElse(s.Signed, "{body}"), "body", "timestamp", "header:", "field:"); err != nil {
		return fmt.Errorf("signed: %w", err)
	}
	if !v.signed.has("body") && !v.signed.has("field") {
		return errors.New("signed: neither {body} nor {field:NAME} is there, so that nothing would be proved")
	}
	if v.key, err = parseVars(orElse(s.Key, "{secret}")); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if !v.key.has("secret") {
		return errors.New("key: {secret} is missing")
	}
	v.plainKey = len(v.key) == 1
	v.secretPrefix = s.SecretPrefix
	switch s.SecretEncoding {
	case "":
	case "base64":
		v.secretKind = keyBase64
	case "hex":
		v.secretKind = keyHex
	default:
		return fmt.Errorf("secret_encoding: `%s` is no encoding; one of hex, base64", s.SecretEncoding)
	}
	for _, c := range s.Candidates {
		switch c {
		case "raw":
			v.raw = true
		case "compact":
			v.compact = true
		default:
			return fmt.Errorf("candidates: `%s` is no form of a body; one of raw, compact", c)
		}
	}
	if len(s.Candidates) == 0 {
		v.raw = true
	}
	if v.compact && !v.signed.has("body") {
		return errors.New("candidates: compact is a form of {body}, which is not signed")
	}
	if err := v.compileTimestamp(s.Timestamp); err != nil {
		return err
	}
	clock := ""
	if v.stamp != nil {
		clock = v.stamp.Format
	}
	v.joints = v.signed.joints(clock)
	return nil
}

// compileTimestamp requires the time to be signed: else anybody may write it.
func (v *Verifier) compileTimestamp(t *Timestamp) error {
	signed := v.signed.has("timestamp")
	if t == nil {
		if signed {
			return errors.New("signed: {timestamp} needs `timestamp` to say which header it is")
		}
		return nil
	}
	stamp := *t
	if stamp.Header == "" {
		return errors.New("timestamp: the header is missing")
	}
	if !signed {
		return errors.New("timestamp: {timestamp} is not in `signed`, so that anybody could write it")
	}
	switch stamp.Format {
	case "":
		stamp.Format = "unix"
	case "unix", "unix_ms", "rfc3339":
	default:
		return fmt.Errorf("timestamp: `%s` is no format; one of unix, unix_ms, rfc3339", stamp.Format)
	}
	if stamp.Tolerance == 0 {
		stamp.Tolerance = Tolerance
	}
	if stamp.Tolerance < 0 {
		return errors.New("timestamp: the tolerance is negative")
	}
	v.stamp = &stamp
	return nil
}

// parseVars splits a text with {secret} and {vars}, whose names are the source's own.
func parseVars(text string) (template, error) {
	var known []string
	for rest := text; ; {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			break
		}
		name, tail, _ := strings.Cut(after, "}")
		if name == "" || strings.ContainsFunc(name, notInName) {
			break // parseTemplate says what is wrong
		}
		known = append(known, name)
		rest = tail
	}
	return parseTemplate(text, known...)
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
}
