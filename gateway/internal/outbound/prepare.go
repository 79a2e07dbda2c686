package outbound

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/redact"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
)

// wire is a request with its credentials, as both transports write it.
type wire struct {
	method string
	url    *url.URL
	tls    bool
	// addr is host:port to dial.
	addr   string
	target string
	fields []connectors.Field
	body   []byte
	// key selects the connections that the request may use.
	key poolKey
	// identity is set if the destination has its own TLS.
	identity *identity
	// request is the one given. Its secrets are cut out of the answer; address cuts its URL if that is a secret, else it is
	// nil.
	request *connectors.Request
	address *redact.Cutter
	// keep is how many bytes of the answer's body are kept.
	keep int
	// token is the one that was fetched for the request, and tokenWait how long that took.
	token     Token
	tokenWait time.Duration
}

func invalid(format string, args ...any) error {
	return &Error{Kind: Invalid, Reason: fmt.Sprintf(format, args...)}
}

// unusable returns an error about the credentials of a request.
func unusable(format string, args ...any) error {
	return &Error{Kind: Credentials, Reason: fmt.Sprintf(format, args...)}
}

// checkCredential refuses a secret that would not reach the peer as it is meant: an empty one, one that no header can
// carry, or one with white space at an end, which a URL would carry as %0A and the product take for part of it. What and
// name say what the secret is.
func checkCredential(what, name string, s connectors.Secret) error {
	if err := connectors.CheckSecret(s); err != nil {
		return unusable("%s%s %s", what, name, err)
	}
	return nil
}

// prepare checks a request and adds its credentials. Errors hold neither URL nor secret. If no token could be fetched, the wire
// says how long that took.
func (s *Sender) prepare(ctx context.Context, req *connectors.Request, a Attempt, p Policy) (*wire, error) {
	w := &wire{method: req.Method, body: req.Body, request: req, keep: BodyCap}
	if a.Keep > 0 {
		w.keep = a.Keep
	}
	if n := req.Size(); n > event.MaxRequestBytes {
		return nil, invalid("the request has %d bytes, and the gateway sends %d at most; send less of the event", n, event.MaxRequestBytes)
	}
	if !isToken(req.Method) {
		return nil, invalid("the method is not a valid HTTP token")
	}
	auth, fetches := req.Auth.(connectors.OAuth2)
	if fetches && isRelative(req) {
		if err := s.fetchToken(ctx, w, auth, &a); err != nil {
			return w, err
		}
		absolute := *req
		var err error
		if absolute.URL, err = w.token.resolve(req.URL); err != nil {
			return w, err
		}
		req = &absolute
	}
	u, err := address(req)
	if err != nil {
		return nil, err
	}
	if err := p.checkReach(u, a.Trusted); err != nil {
		return nil, &Error{Kind: Refused, Reason: err.Error()}
	}
	w.fields = make([]connectors.Field, 0, len(req.Header)+6)
	for i := range req.Header {
		f := &req.Header[i]
		if reason := fieldFault(f); reason != "" {
			if f.Secret { // from the configuration, the same in every request
				return nil, unusable("%s", reason)
			}
			return nil, invalid("%s", reason)
		}
		w.fields = append(w.fields, connectors.Field{Name: f.Name, Value: strings.Trim(f.Value, " \t")})
	}
	if err := s.authorise(ctx, w, u, req.Auth, a); err != nil {
		return w, err
	}
	w.set("User-Agent", s.agent, false)
	u.RawQuery = escapeQuery(u.RawQuery)
	w.url, w.tls, w.target = u, u.Scheme == "https", u.RequestURI()
	w.addr = dialAddress(u)
	w.key = poolKey{addr: w.addr, tls: w.tls, trusted: a.Trusted, destination: a.owner(), max: a.MaxConns, identity: a.TLS.Fingerprint()}
	return w, nil
}

// address returns the URL that a request goes to: its own, or the one that is its secret.
func address(req *connectors.Request) (*url.URL, error) {
	if secret := addressOf(req); !secret.IsZero() || isAddressAuth(req.Auth) {
		if req.URL != "" {
			return nil, invalid("the request has a URL beside the one that is its secret")
		}
		if err := checkCredential("the URL that is a secret", "", secret); err != nil {
			return nil, err
		}
		u, err := url.Parse(secret.Expose())
		if err != nil {
			return nil, unusable("the URL that is a secret cannot be read")
		}
		if err := checkForm(u); err != nil {
			return nil, &Error{Kind: Credentials, Reason: err.Error()}
		}
		return u, nil
	}
	u, err := url.Parse(req.URL)
	if err != nil {
		return nil, invalid("the URL cannot be read")
	}
	if err := checkForm(u); err != nil {
		return nil, &Error{Kind: Refused, Reason: err.Error()}
	}
	return u, nil
}

func isAddressAuth(auth connectors.Auth) bool {
	_, ok := auth.(connectors.AddressAuth)
	return ok
}

// authorise adds the credentials and replaces whatever is in their place.
func (s *Sender) authorise(ctx context.Context, w *wire, u *url.URL, auth connectors.Auth, a Attempt) error {
	switch auth := auth.(type) {
	case nil, connectors.AddressAuth:
		return nil
	case connectors.BearerAuth:
		return w.secretHeader("Authorization", "Bearer ", auth.Token)
	case connectors.BasicAuth:
		return w.basic(auth)
	case connectors.BasicTokenAuth:
		return w.basicToken(auth)
	case connectors.HeaderAuth:
		prefix := ""
		if auth.Scheme != "" {
			prefix = auth.Scheme + " "
		}
		return w.secretHeader(auth.Name, prefix, auth.Value)
	case connectors.QueryAuth:
		if err := checkCredential("the parameter ", auth.Name, auth.Value); err != nil {
			return err
		}
		pair := url.QueryEscape(auth.Name) + "=" + url.QueryEscape(auth.Value.Expose())
		if u.RawQuery != "" {
			pair = u.RawQuery + "&" + pair
		}
		u.RawQuery = pair
		return nil
	case connectors.BodyFieldAuth:
		if err := checkCredential("the field ", auth.Name, auth.Value); err != nil {
			return err
		}
		body, err := addField(w.body, auth.Name, auth.Value.Expose())
		w.body = body
		return err
	case connectors.SignedAuth:
		return s.sign(w, auth, a)
	case connectors.OAuth2:
		if w.token.Access.IsZero() {
			if err := s.fetchToken(ctx, w, auth, &a); err != nil {
				return err
			}
		}
		return w.secretHeader("Authorization", "Bearer ", w.token.Access)
	}
	return unusable("the gateway does not know this way to authorise")
}

func (s *Sender) sign(w *wire, auth connectors.SignedAuth, a Attempt) error {
	for _, secret := range auth.Secrets {
		if err := checkCredential("the secret to sign with", "", secret); err != nil {
			return err
		}
	}
	fields, err := signature.Sign(auth.Signature, auth.Secrets, signature.Message{
		ID: a.DeliveryID, At: s.clock.Now(), Body: w.body, EventName: auth.Event, EventID: auth.EventID,
	})
	if errors.Is(err, signature.ErrID) {
		return invalid("%s", err)
	}
	if err != nil {
		return unusable("%s", err)
	}
	for i := range fields {
		if reason := fieldFault(&fields[i]); reason != "" { // the event's name or id
			return invalid("%s", reason)
		}
		w.set(fields[i].Name, fields[i].Value, true)
	}
	return nil
}

func (w *wire) basic(auth connectors.BasicAuth) error {
	switch {
	case strings.Contains(auth.User, ":"):
		return unusable("a user's name has no colon")
	case !utf8.ValidString(auth.User) || strings.ContainsFunc(auth.User, unicode.IsControl):
		return unusable("the user's name holds a control character")
	case auth.Password.IsZero() && auth.User != "": // some products take a key for the user, and no password
	default:
		if err := checkCredential("the password", "", auth.Password); err != nil {
			return err
		}
	}
	w.set("Authorization", "Basic "+basic(auth.User, auth.Password), true)
	return nil
}

func (w *wire) basicToken(auth connectors.BasicTokenAuth) error {
	if err := checkCredential("the token", "", auth.Token); err != nil {
		return err
	}
	if strings.Contains(auth.Token.Expose(), ":") {
		return unusable("a token that is sent as a user's name has no colon")
	}
	w.set("Authorization", "Basic "+basic(auth.Token.Expose(), connectors.Secret{}), true)
	return nil
}

func (w *wire) secretHeader(name, before string, secret connectors.Secret) error {
	if err := checkCredential("the value of header ", name, secret); err != nil {
		return err
	}
	f := connectors.Field{Name: name, Value: before + secret.Expose()}
	if reason := fieldFault(&f); reason != "" {
		return unusable("%s", reason)
	}
	w.set(name, f.Value, true)
	return nil
}

// set adds a header; it replaces those of the same name if replace is set, else it leaves them.
func (w *wire) set(name, value string, replace bool) {
	for i := range w.fields {
		if !strings.EqualFold(w.fields[i].Name, name) {
			continue
		}
		if !replace {
			return
		}
		w.fields[i].Name, w.fields[i].Value = name, value
		rest := w.fields[i+1:]
		kept := w.fields[:i+1]
		for _, f := range rest {
			if !strings.EqualFold(f.Name, name) {
				kept = append(kept, f)
			}
		}
		w.fields = kept
		return
	}
	w.fields = append(w.fields, connectors.Field{Name: name, Value: value})
}

func basic(user string, password connectors.Secret) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password.Expose()))
}

// addField appends a field to a JSON object. It is the last, so that for readers that take the last of two equal names no
// field of the event wins.
func addField(body []byte, name, value string) ([]byte, error) {
	const space = " \t\r\n"
	object := strings.Trim(string(body), space)
	if len(object) < 2 || object[0] != '{' || object[len(object)-1] != '}' {
		return nil, invalid("the credentials belong into the body, which is no JSON object")
	}
	field, err := event.Marshal(map[string]string{name: value})
	if err != nil {
		return nil, invalid("the credentials cannot be written as JSON")
	}
	fields := strings.TrimRight(object[1:len(object)-1], space)
	out := make([]byte, 0, len(object)+len(field))
	out = append(out, '{')
	out = append(out, fields...)
	if strings.Trim(fields, space) != "" {
		out = append(out, ',')
	}
	return append(out, field[1:]...), nil
}

// fieldFault returns why a header cannot be sent: a respondent's text must not become a header of its own, and the
// transports write the headers that frame a request.
func fieldFault(f *connectors.Field) string {
	if !isToken(f.Name) {
		return "a header's name is not a valid HTTP token"
	}
	for i := 0; i < len(f.Value); i++ {
		if c := f.Value[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return "the value of header " + f.Name + " has a line break or another control character"
		}
	}
	switch len(f.Name) {
	case 2, 4, 6, 7, 10, 14, 16, 17:
	default:
		return ""
	}
	switch strings.ToLower(f.Name) {
	case "te", "host", "expect", "trailer", "upgrade", "connection", "keep-alive", "content-length",
		"proxy-connection", "transfer-encoding":
		return "header " + f.Name + " is not one to set"
	}
	return ""
}

// isToken reports whether a text is a token of HTTP, as methods and header names are.
func isToken(text string) bool {
	for i := 0; i < len(text); i++ {
		if !tokenByte[text[i]] {
			return false
		}
	}
	return text != ""
}

var tokenByte = func() (t [256]bool) {
	for c := range t {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		t[c] = letter || (c < 0x80 && strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)))
	}
	return t
}()

// escapeQuery escapes bytes that would end the request line or are not ASCII; everything else stays as it is.
func escapeQuery(query string) string {
	const digits = "0123456789ABCDEF"
	plain := func(c byte) bool { return c > ' ' && c < 0x7f }
	clean := true
	for i := 0; i < len(query); i++ {
		clean = clean && plain(query[i])
	}
	if clean {
		return query
	}
	var b strings.Builder
	for i := 0; i < len(query); i++ {
		if c := query[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func dialAddress(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}
