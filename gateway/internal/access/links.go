package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Capability is one thing that a portal link lets its user do. It stands for routes of the API.
type Capability string

// The capabilities.
const (
	// CanWebhooks makes, changes, tests and deletes webhooks; CanConnections and CanRules the others.
	CanWebhooks    Capability = "webhooks"
	CanConnections Capability = "connections"
	CanRules       Capability = "rules"
	// CanDeliveries sees deliveries and destinations, without bodies.
	CanDeliveries Capability = "deliveries"
	// CanReplay sends deliveries again.
	CanReplay Capability = "replay"
	// CanBodies sees what was sent and answered, and what respondents wrote.
	CanBodies Capability = "bodies"
)

// capabilities are all, with the scopes that who gives them must have.
var capabilities = []struct {
	name Capability
	of   Scope
}{
	{CanWebhooks, Read | Write | Settings},
	{CanConnections, Read | Write | Settings},
	{CanRules, Read | Settings},
	{CanDeliveries, Read},
	{CanReplay, Read | Write},
	{CanBodies, Read},
}

// Capabilities returns the names of all.
func Capabilities() []string {
	var names []string
	for _, c := range capabilities {
		names = append(names, string(c.name))
	}
	return names
}

// ScopeFor returns the scopes that a capability takes from who gives it; false: there is no such capability.
func ScopeFor(c Capability) (Scope, bool) {
	for _, each := range capabilities {
		if each.name == c {
			return each.of, true
		}
	}
	return 0, false
}

// Link is a portal link: it lets one person of a tenant use the portal, once, without a token.
type Link struct {
	ID     string `json:"-"`
	Tenant string `json:"-"`
	// Actor is who uses it, for the audit.
	Actor        string       `json:"actor,omitempty"`
	Capabilities []Capability `json:"capabilities"`
	// Origin is the page that may show the portal in a frame; empty: none may.
	Origin     string `json:"origin,omitempty"`
	RefreshURL string `json:"refresh_url,omitempty"`
	Theme      string `json:"theme,omitempty"`
	Accent     string `json:"accent,omitempty"`
	// Name stands in the head of the portal, Logo beside it: a data URL of an image.
	Name string `json:"name,omitempty"`
	Logo string `json:"logo,omitempty"`
	// At is where the portal opens, such as /webhooks.
	At string `json:"at,omitempty"`
	// Session is how long the session lasts that opening makes, in seconds.
	Session int64 `json:"session"`
	// Key is the SHA-256 of the link's secret, in hex.
	Key     string    `json:"key"`
	Expires time.Time `json:"expires"`
	Created time.Time `json:"created"`
	By      string    `json:"created_by"`
	// Opened is when it was opened; zero: it was not.
	Opened time.Time `json:"opened,omitzero"`
	// Until is when the link and its session end in any case; zero: never. It is the end of the token that made the link.
	Until time.Time `json:"until,omitzero"`

	version uint64
}

// KindLink is the kind of the settings that hold a tenant's portal links.
const KindLink = "portal-link"

// MaxLinks bounds the links of a tenant that have not ended.
const MaxLinks = 1000

// Links are the portal links of all tenants. All fields are required.
type Links struct {
	Store state.Settings
	Clock clock.Clock
}

// ErrTooManyLinks means that a tenant has MaxLinks.
var ErrTooManyLinks = fmt.Errorf("%d portal links of this tenant have not ended yet", MaxLinks)

// Ends is when the link can no longer be opened or, once it was, when its session ends.
func (l *Link) Ends() time.Time {
	end := l.Expires
	if !l.Opened.IsZero() {
		end = l.Opened.Add(time.Duration(l.Session) * time.Second)
	}
	if !l.Until.IsZero() && l.Until.Before(end) {
		end = l.Until
	}
	return end
}

// ended reports whether neither the link nor a session of it can be used any more.
func (l *Link) ended(now time.Time) bool { return !now.Before(l.Ends()) }

// Make makes a link, and returns it with the text that opens it, which is not kept.
func (k *Links) Make(ctx context.Context, tenant string, link Link) (made *Link, key string, err error) {
	live, err := k.List(ctx, tenant)
	if err != nil {
		return nil, "", err
	}
	if len(live) >= MaxLinks {
		return nil, "", ErrTooManyLinks
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the program instead
	secret := base64.RawURLEncoding.EncodeToString(random[:])
	var id [10]byte
	_, _ = rand.Read(id[:])
	link.ID, link.Tenant = "pl_"+strings.ToLower(base32.StdEncoding.EncodeToString(id[:])), tenant
	link.Key = hashOf(secret)
	value, err := json.Marshal(link)
	if err != nil {
		return nil, "", fmt.Errorf("write a portal link: %w", err)
	}
	if link.version, err = k.Store.Put(ctx, tenant, KindLink, link.ID, value, 0); err != nil {
		return nil, "", err
	}
	return &link, tenant + "." + link.ID + "." + secret, nil
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func parseLink(tenant string, s state.Setting) (*Link, error) {
	l := &Link{}
	if err := json.Unmarshal(s.Value, l); err != nil {
		return nil, fmt.Errorf("read a portal link: %w", err)
	}
	l.ID, l.Tenant, l.version = s.Name, tenant, s.Version
	return l, nil
}

// Get returns a link. state.ErrNotFound: the tenant has none of that id, or it has ended.
func (k *Links) Get(ctx context.Context, tenant, id string) (*Link, error) {
	s, err := k.Store.Get(ctx, tenant, KindLink, id)
	if err != nil {
		return nil, err
	}
	l, err := parseLink(tenant, s)
	if err == nil && l.ended(k.Clock.Now()) {
		return nil, state.ErrNotFound
	}
	return l, err
}

// List returns the links of a tenant that have not ended, by id, and removes those that have.
func (k *Links) List(ctx context.Context, tenant string) ([]*Link, error) {
	list, err := k.Store.List(ctx, tenant, KindLink)
	if err != nil {
		return nil, err
	}
	now := k.Clock.Now()
	var live []*Link
	for _, s := range list {
		l, err := parseLink(tenant, s)
		if err == nil && !l.ended(now) {
			live = append(live, l)
			continue
		}
		if err := k.Store.Delete(ctx, tenant, KindLink, s.Name, s.Version); err != nil && state.StopsAll(err) && !errors.Is(err, state.ErrConflict) {
			return nil, err
		}
	}
	slices.SortFunc(live, func(a, b *Link) int { return cmp.Compare(a.ID, b.ID) })
	return live, nil
}

// Delete ends a link, and its sessions. state.ErrNotFound: the tenant has none of that id.
func (k *Links) Delete(ctx context.Context, tenant, id string) error {
	for {
		s, err := k.Store.Get(ctx, tenant, KindLink, id)
		if err != nil {
			return err
		}
		if err = k.Store.Delete(ctx, tenant, KindLink, id, s.Version); !errors.Is(err, state.ErrConflict) {
			return err // else it was opened meanwhile
		}
	}
}

// ErrLinkEnded means that a link cannot be opened: it has expired, was opened before, was deleted, or never was.
var ErrLinkEnded = errors.New("this link has ended")

// Open uses a link, whose text is key. With ErrLinkEnded it returns the link if that is known, for its RefreshURL. again are
// sessions of the link that the browser has: nil, or one that is used again.
func (k *Links) Open(ctx context.Context, key string, again *Session) (*Link, *Session, error) {
	tenant, rest, _ := strings.Cut(key, ".")
	id, secret, _ := strings.Cut(rest, ".")
	if !ValidName(tenant) || !strings.HasPrefix(id, "pl_") || len(key) > 512 {
		return nil, nil, ErrLinkEnded
	}
	s, err := k.Store.Get(ctx, tenant, KindLink, id)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil, ErrLinkEnded
	}
	if err != nil {
		return nil, nil, err
	}
	link, err := parseLink(tenant, s)
	if err != nil {
		return nil, nil, err
	}
	if subtle.ConstantTimeCompare([]byte(hashOf(secret)), []byte(link.Key)) != 1 {
		return nil, nil, ErrLinkEnded
	}
	now := k.Clock.Now()
	if again != nil && again.Link == link.ID && again.Tenant == tenant && !link.ended(now) {
		return link, again, nil
	}
	if !link.Opened.IsZero() || link.ended(now) {
		return link, nil, ErrLinkEnded
	}
	// The version decides who is first, on every replica.
	link.Opened = now.UTC()
	value, err := json.Marshal(link)
	if err != nil {
		return nil, nil, fmt.Errorf("write a portal link: %w", err)
	}
	_, err = k.Store.Put(ctx, tenant, KindLink, id, value, link.version)
	if errors.Is(err, state.ErrConflict) || errors.Is(err, state.ErrNotFound) { // it was opened or deleted meanwhile
		return link, nil, ErrLinkEnded
	}
	if err != nil {
		return nil, nil, err
	}
	return link, &Session{Link: id, Tenant: tenant, Expires: link.Ends().Unix(), Again: link.Again()}, nil
}

// Again returns where a browser gets another link when this one has ended; empty: it is not known.
func (l *Link) Again() string {
	to, err := url.Parse(l.RefreshURL)
	if err != nil || l.RefreshURL == "" { // it was checked when the link was made
		return ""
	}
	query := to.Query()
	query.Set("tenant", l.Tenant)
	to.RawQuery = query.Encode()
	return to.String()
}

// Person names who uses the link, for the audit.
func (l *Link) Person() string { return cmp.Or(l.Actor, l.ID) }

// Grant returns what a session of a link allows; nil where the link has ended.
func (k *Links) Grant(ctx context.Context, s *Session) (*Grant, error) {
	link, err := k.Get(ctx, s.Tenant, s.Link)
	if errors.Is(err, state.ErrNotFound) || err == nil && link.Opened.IsZero() {
		return nil, nil //nolint:nilnil // nil: it has ended
	}
	if err != nil {
		return nil, err
	}
	return &Grant{Name: link.ID, Tenant: s.Tenant, Actor: link.Person(), Capabilities: link.Capabilities}, nil
}
