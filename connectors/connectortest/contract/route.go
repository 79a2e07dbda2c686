package contract

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

func readerOf(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }

// placeholders maps host names in documents that contain a placeholder, for which Swagger 2 has no variables, to a pattern.
// https://mailchimp.com/developer/marketing/docs/fundamentals/#api-structure
var placeholders = map[string]string{"server.api.mailchimp.com": "*.api.mailchimp.com"}

// find returns the operation of a request and its path parameters: of all matching paths, the one with the fewest parameters. It
// is nil if no path matches.
func (d *Document) find(r *http.Request) (best *routers.Route, params map[string]string) {
	fewest := 0
	for _, server := range d.doc.Servers {
		rest, ok := "", false
		for _, address := range addresses(server) {
			if rest, ok = below(address, r); ok {
				break
			}
		}
		if !ok {
			continue
		}
		for path, item := range d.doc.Paths.Map() {
			operation := item.GetOperation(r.Method)
			found, ok := match(path, rest)
			if operation == nil || !ok || best != nil && len(found) >= fewest {
				continue
			}
			best = &routers.Route{Spec: d.doc, Server: server, Path: path, PathItem: item, Method: r.Method, Operation: operation}
			params, fewest = found, len(found)
		}
	}
	return best, params
}

// addresses returns the URLs of a server: one for each value of its variables. A variable that takes any value becomes `*`.
func addresses(server *openapi3.Server) []string {
	all := []string{server.URL}
	for name, variable := range server.Variables {
		values := variable.Enum
		if len(values) == 0 {
			values = []string{"*"}
		}
		var next []string
		for _, address := range all {
			for _, value := range values {
				next = append(next, strings.ReplaceAll(address, "{"+name+"}", value))
			}
		}
		all = next
	}
	return all
}

// below returns the request's path relative to a server's URL; false if the request is for another server.
func below(server string, r *http.Request) (rest string, ok bool) {
	u, err := url.Parse(server)
	if err != nil {
		return "", false
	}
	host := r.URL.Host
	if host == "" {
		host = r.Host
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !strings.HasSuffix(host, ".example") && !net.ParseIP(host).IsLoopback() {
		want := u.Host
		if pattern, has := placeholders[want]; has {
			want = pattern
		}
		suffix, wild := strings.CutPrefix(want, "*")
		if !strings.EqualFold(host, want) && !(wild && strings.HasSuffix(host, suffix)) {
			return "", false
		}
	}
	return strings.CutPrefix(r.URL.EscapedPath(), strings.TrimSuffix(u.Path, "/"))
}

// match compares a path with a template. `{name}` matches one segment that is not empty.
func match(template, path string) (params map[string]string, ok bool) {
	wanted, parts := strings.Split(template, "/"), strings.Split(path, "/")
	if len(wanted) != len(parts) {
		return nil, false
	}
	params = map[string]string{}
	for i, want := range wanted {
		part, err := url.PathUnescape(parts[i])
		if err != nil {
			return nil, false
		}
		if name, is := strings.CutPrefix(want, "{"); is && strings.HasSuffix(name, "}") && part != "" {
			params[strings.TrimSuffix(name, "}")] = part
		} else if want != part {
			return nil, false
		}
	}
	return params, true
}

// authorises reports whether a parameter is an API key of the document's security schemes.
func (d *Document) authorises(in, name string) bool {
	if d.doc.Components == nil {
		return false
	}
	for _, scheme := range d.doc.Components.SecuritySchemes {
		if s := scheme.Value; s.Type == "apiKey" && s.In == in && s.Name == name {
			return true
		}
	}
	return false
}

var errUnauthorised = errors.New("the credentials are not where the document requires them")

// authenticate checks that the credentials are in the right place. It does not check their value.
func authenticate(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	r, scheme := in.RequestValidationInput.Request, in.SecurityScheme
	given := ""
	switch {
	case scheme.Type == "http" && scheme.Scheme == "basic":
		user, password, _ := r.BasicAuth()
		given = cmp.Or(password, user) // some products take a token as the user name, and no password
	case scheme.Type == "http" && scheme.Scheme == "bearer", scheme.Type == "oauth2", scheme.Type == "openIdConnect":
		given, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if given == r.Header.Get("Authorization") {
			return errUnauthorised
		}
	case scheme.Type == "apiKey" && scheme.In == openapi3.ParameterInHeader:
		given = r.Header.Get(scheme.Name)
	case scheme.Type == "apiKey" && scheme.In == openapi3.ParameterInQuery:
		given = r.URL.Query().Get(scheme.Name)
	default:
		return fmt.Errorf("the security scheme %q is not supported", in.SecuritySchemeName)
	}
	if given == "" {
		return errUnauthorised
	}
	return nil
}
