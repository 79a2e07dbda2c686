// Package access authorises callers: bearer tokens, kept as SHA-256, each with a tenant and scopes.
package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules/event"
)

// Scope is a set of things that a token allows.
type Scope uint8

// The scopes. Write acts on what is owed: it retries, replays and pauses. Secrets shows what is otherwise hidden, such as a source's
// path token. Settings changes webhooks, connections, sources and rules; Admin tenants, tokens, portal links and imports, and
// erases persons.
const (
	Read Scope = 1 << iota
	Write
	Publish
	Secrets
	Settings
	Admin

	// Every is all of them.
	Every = Read | Write | Publish | Secrets | Settings | Admin
)

var scopes = []struct {
	scope Scope
	name  string
}{{Read, "read"}, {Write, "write"}, {Publish, "publish"}, {Secrets, "secrets"}, {Settings, "settings"}, {Admin, "admin"}}

// Parse returns the union of the named scopes.
func Parse(names []string) (Scope, error) {
	var sum Scope
	for _, name := range names {
		found := false
		for _, s := range scopes {
			if s.name == name {
				sum |= s.scope
				found = true
			}
		}
		if !found {
			return 0, fmt.Errorf("`%s` is no scope; they are %s", name, strings.Join(config.Scopes, ", "))
		}
	}
	return sum, nil
}

// Names returns the names of the scopes in s, in the documented order.
func (s Scope) Names() []string {
	names := make([]string, 0, len(scopes))
	for _, each := range scopes {
		if s&each.scope != 0 {
			names = append(names, each.name)
		}
	}
	return names
}

func (s Scope) String() string { return strings.Join(s.Names(), " ") }

// AnyTenant is the tenant of a grant for all tenants.
const AnyTenant = "*"

// DefaultTenant owns what names no tenant.
const DefaultTenant = "default"

// Grant is what a caller may do. It is never changed.
type Grant struct {
	// Name is the token's; "socket" for the unix socket.
	Name string
	// Tenant is one, or AnyTenant.
	Tenant string
	Scopes Scope
	// Sources are those it may publish as, config.AnySource meaning all; without any it is `api` alone, because publishing
	// as a platform's source is speaking for that platform.
	Sources []string
	// Actor is who uses the session of a portal link; empty for all other callers. A link gives no scopes, but Capabilities.
	Actor        string
	Capabilities []Capability
	// Expires is when it ends; zero: never.
	Expires time.Time
	// Stored: it is of a token in the store, and not of a file or of the first start.
	Stored bool
}

// By names the caller in the audit: socket, portal:ACTOR or token:NAME.
func (g *Grant) By() string {
	switch {
	case g == Socket:
		return g.Name
	case g.Actor != "":
		return "portal:" + g.Actor
	default:
		return "token:" + g.Name
	}
}

// Socket is the grant of a caller of the unix socket: the socket's file mode is the credential.
var Socket = &Grant{Name: "socket", Tenant: AnyTenant, Scopes: Every, Sources: []string{config.AnySource}}

// apiOnly is what a grant without sources may publish as.
var apiOnly = []string{event.DefaultSource}

// PublishesAs returns the sources that the grant may publish as.
func (g *Grant) PublishesAs() []string {
	if len(g.Sources) == 0 {
		return apiOnly
	}
	return g.Sources
}

// MayPublishAs returns nil if the grant may publish events of a source; else the error says what to set.
func (g *Grant) MayPublishAs(source string) error {
	may := g.PublishesAs()
	if slices.Contains(may, source) || slices.Contains(may, config.AnySource) {
		return nil
	}
	return fmt.Errorf("the token `%s` may publish as `%s` only, not as `%s`: set `sources: [%s]` on a token under `tokens` in the configuration",
		g.Name, strings.Join(may, "`, `"), source, strings.Join(append(slices.Clone(may), source), ", "))
}

// May reports whether all of the scopes are granted.
func (g *Grant) May(s Scope) bool { return g.Scopes&s == s }

// TenantFor returns the tenant of a request: the grant's own, or for AnyTenant the one asked for, else the default.
// It is false if the grant does not cover the tenant asked for.
func (g *Grant) TenantFor(asked string) (string, bool) {
	switch {
	case g.Tenant == AnyTenant && asked == "":
		return DefaultTenant, true
	case g.Tenant == AnyTenant:
		return asked, ValidName(asked)
	default:
		return g.Tenant, asked == "" || asked == g.Tenant
	}
}

// ValidName reports whether a text can name a tenant, a source or anything else: [a-z0-9][a-z0-9_-]*, at most 128.
func ValidName(text string) bool {
	if text == "" || len(text) > 128 {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (i == 0 || c != '_' && c != '-') {
			return false
		}
	}
	return true
}

// Access knows all tokens: those of the running configuration, and those in the store. The zero value knows none; it is safe for
// concurrent use.
type Access struct {
	table atomic.Pointer[table]
	// Stored are the tokens in the store; nil: none. It is set before the first request.
	Stored *Tokens
}

// table is immutable once it is in use. Entries are found by the first bytes of their hash: the time of that reveals
// only the hash of the caller's own guess.
type table struct {
	entries map[uint32][]entry
	grants  []*Grant
}

type entry struct {
	sum   [sha256.Size]byte
	grant *Grant
}

func (b *table) add(sum [sha256.Size]byte, g *Grant) {
	head := binary.BigEndian.Uint32(sum[:4])
	b.entries[head] = append(b.entries[head], entry{sum, g})
	b.grants = append(b.grants, g)
}

// Load replaces the known tokens by those of a configuration or, if it has none, by the one made at the first start, which
// may be nil.
func (a *Access) Load(tokens []*config.Token, first *First) error {
	b := &table{entries: map[uint32][]entry{}}
	for _, t := range tokens {
		granted, err := Parse(t.Scopes)
		if err != nil {
			return fmt.Errorf("token %s: %w", t.Name, err)
		}
		b.add(sha256.Sum256([]byte(t.Secret.Expose())), &Grant{Name: t.Name, Tenant: t.Tenant, Scopes: granted, Sources: t.Sources})
	}
	if len(tokens) == 0 {
		for f := first; f != nil; f = f.former {
			b.add(f.sum, &Grant{Name: f.name, Tenant: f.tenant, Scopes: f.scopes})
		}
	}
	sort.Slice(b.grants, func(i, j int) bool { return b.grants[i].Name < b.grants[j].Name })
	a.table.Store(b)
	if a.Stored != nil {
		a.Stored.all.told.tell()
	}
	return nil
}

// Grant returns what a bearer token allows; nil for one that is unknown or has expired.
func (a *Access) Grant(token []byte) *Grant {
	if len(token) == 0 {
		return nil
	}
	return a.GrantOf(sha256.Sum256(token))
}

// GrantOf returns what the token with a hash allows; nil for one that is unknown or has expired.
func (a *Access) GrantOf(sum [sha256.Size]byte) *Grant {
	if b := a.table.Load(); b != nil {
		var found *Grant
		for _, e := range b.entries[binary.BigEndian.Uint32(sum[:4])] {
			if subtle.ConstantTimeCompare(e.sum[:], sum[:]) == 1 {
				found = e.grant
			}
		}
		if found != nil {
			return found
		}
	}
	if a.Stored == nil {
		return nil
	}
	token := a.Stored.find(sum)
	if token == nil {
		return nil
	}
	now := a.Stored.clock.Now()
	if !token.Expires.IsZero() && !now.Before(token.Expires) {
		return nil
	}
	a.Stored.note(token, now)
	return token.grant
}

// Grants returns the grants of the configuration, or of the first start, sorted by name; they hold no secret.
func (a *Access) Grants() []*Grant {
	if b := a.table.Load(); b != nil {
		return b.grants
	}
	return nil
}

const bearer = "bearer "

// Bearer returns the bearer token of an Authorization header; nil without one.
func Bearer(authorization []byte) []byte {
	if len(authorization) <= len(bearer) {
		return nil
	}
	for i := range len(bearer) {
		c := authorization[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != bearer[i] {
			return nil
		}
	}
	token := authorization[len(bearer):]
	for len(token) > 0 && token[0] == ' ' {
		token = token[1:]
	}
	return token
}
