package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Token is a token in the store. It must not be changed.
type Token struct {
	Name   string   `json:"name"`
	Tenant string   `json:"tenant"`
	Scopes []string `json:"scopes"`
	// Sources are as in Grant.
	Sources []string  `json:"sources,omitempty"`
	Created time.Time `json:"created"`
	By      string    `json:"created_by"`
	// Expires is when it ends to count; zero: never.
	Expires time.Time `json:"expires,omitzero"`

	id      string // the SHA-256 in hex: the name of its setting
	version uint64
	grant   *Grant
	day     *atomic.Int64 // of the last use that is written, or about to be, since 1970
}

// KindUsed is the kind of the settings with the day of a token's last use, under its tenant.
const KindUsed = "token-used"

// MaxTokens bounds the tokens in the store, which each process holds in memory.
const MaxTokens = 50_000

// Tokens are the tokens in the store. Make it with NewTokens; it is safe for concurrent use.
type Tokens struct {
	store state.Settings
	clock clock.Clock
	log   *slog.Logger
	all   *mirror[*Token]
	used  chan *Token // whose use of a day is to be written
}

// NewTokens returns Tokens that know none yet: see Register.
func NewTokens(store state.Settings, c clock.Clock, log *slog.Logger) *Tokens {
	all := newMirror(store, settingKind, parseToken)
	all.ended.once = true // the name is the hash of a random secret
	return &Tokens{store, c, log, all, make(chan *Token, 1024)}
}

func parseToken(s state.Setting) (*Token, error) {
	t := &Token{id: s.Name, version: s.Version, day: &atomic.Int64{}}
	if err := json.Unmarshal(s.Value, t); err != nil {
		return nil, fmt.Errorf("read a token: %w", err)
	}
	scopes, err := Parse(t.Scopes)
	if err != nil {
		return nil, err
	}
	if t.Tenant == "" || t.Name == "" {
		return nil, errors.New("read a token: it has no name or no tenant")
	}
	t.grant = t.allows(scopes)
	return t, nil
}

// Errors of Make and Delete beside those of the store.
var (
	// ErrTokenExists means that the tenant has a token of the name.
	ErrTokenExists = errors.New("a token of that name is there already")
	// ErrTooManyTokens means that all tenants together have MaxTokens.
	ErrTooManyTokens = fmt.Errorf("there are %d tokens already", MaxTokens)
)

// TooManyError means that a tenant has as many things of a kind as its plan allows.
type TooManyError struct{ Most, Have int }

func (e *TooManyError) Error() string {
	return fmt.Sprintf("this plan has %d, and %d are there", e.Most, e.Have)
}

// Make makes a token and returns it with its text, which is not kept. most is how many tokens its tenant may have; less than 0:
// no limit. Items of lists, such as a line of the audit, are written together with it. The caller excludes others that make tokens of the
// tenant.
func (t *Tokens) Make(ctx context.Context, made Token, most int, with ...state.Item) (token *Token, secret string, err error) {
	if err := t.all.sweep(ctx); err != nil {
		return nil, "", err
	}
	of := t.Of(made.Tenant)
	if slices.ContainsFunc(of, func(other *Token) bool { return other.Name == made.Name }) {
		return nil, "", ErrTokenExists
	}
	if most >= 0 && len(of) >= most {
		return nil, "", &TooManyError{most, len(of)}
	}
	if t.all.len() >= MaxTokens {
		return nil, "", ErrTooManyTokens
	}
	secret = newSecret()
	sum := sha256.Sum256([]byte(secret))
	value, err := json.Marshal(made)
	if err != nil {
		return nil, "", fmt.Errorf("write a token: %w", err)
	}
	token, err = t.all.put(ctx, hex.EncodeToString(sum[:]), value, 0, with...)
	return token, secret, err
}

// newSecret returns the text of a new token.
func newSecret() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the program instead
	return "sg_" + base64.RawURLEncoding.EncodeToString(random[:])
}

// Delete ends a token, and writes items of lists together with that. state.ErrNotFound: the tenant has none of that name.
func (t *Tokens) Delete(ctx context.Context, tenant, name string, with ...state.Item) error {
	for again := range 2 {
		found := t.Named(tenant, name)
		if found != nil {
			err := t.all.remove(ctx, found.id, found.version, with...)
			if errors.Is(err, state.ErrConflict) && again == 0 { // it was written back into a store that had lost it
				if err := t.all.sweep(ctx); err != nil {
					return err
				}
				continue
			}
			if err != nil && !errors.Is(err, state.ErrNotFound) {
				return err
			}
			if used, err := t.store.Get(ctx, tenant, KindUsed, found.id); err == nil {
				_ = t.store.Delete(ctx, tenant, KindUsed, found.id, used.Version) // nothing reads it without its token
			}
			return nil
		}
		if again == 0 { // another replica may have made it
			if err := t.all.sweep(ctx); err != nil {
				return err
			}
		}
	}
	return state.ErrNotFound
}

// Named returns a token of a tenant by its name; nil if there is none.
func (t *Tokens) Named(tenant, name string) *Token {
	var found *Token
	t.all.each(func(token *Token) bool {
		if token.Tenant == tenant && token.Name == name {
			found = token
		}
		return found == nil
	})
	return found
}

// Of returns the tokens of a tenant by name; "*" returns those that reach every tenant.
func (t *Tokens) Of(tenant string) []*Token {
	return t.sorted(func(token *Token) bool { return token.Tenant == tenant })
}

// Everybody returns the tokens of all tenants, by tenant and name.
func (t *Tokens) Everybody() []*Token { return t.sorted(func(*Token) bool { return true }) }

func (t *Tokens) sorted(which func(*Token) bool) []*Token {
	var of []*Token
	t.all.each(func(token *Token) bool {
		if which(token) {
			of = append(of, token)
		}
		return true
	})
	slices.SortFunc(of, func(a, b *Token) int { return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Name, b.Name)) })
	return of
}

// Owns reports whether a tenant has a token.
func (t *Tokens) Owns(tenant string) bool {
	owns := false
	t.all.each(func(token *Token) bool { owns = token.Tenant == tenant; return !owns })
	return owns
}

// LastUsed returns the days on which tokens of a tenant were last used, by Token.ID.
func (t *Tokens) LastUsed(ctx context.Context, tenant string) (map[string]time.Time, error) {
	list, err := t.store.List(ctx, tenant, KindUsed)
	if err != nil {
		return nil, err
	}
	days := make(map[string]time.Time, len(list))
	for _, s := range list {
		if day, err := time.Parse(time.DateOnly, string(s.Value)); err == nil {
			days[s.Name] = day
		}
	}
	return days, nil
}

// ID names a token among all; it is not its text, and does not lead to it.
func (t *Token) ID() string { return t.id }

// Grant returns what the token allows, also of one that is not made yet.
func (t *Token) Grant() *Grant {
	if t.grant != nil {
		return t.grant
	}
	scopes, _ := Parse(t.Scopes) // unknown ones allow nothing
	return t.allows(scopes)
}

func (t *Token) allows(scopes Scope) *Grant {
	return &Grant{Name: t.Name, Tenant: t.Tenant, Scopes: scopes, Sources: t.Sources, Expires: t.Expires, Stored: true}
}

// find returns the token with a hash, and notes that it was used; nil if there is none.
func (t *Tokens) find(sum [sha256.Size]byte) *Token {
	token, ok := t.all.get(hex.EncodeToString(sum[:]))
	if !ok {
		return nil
	}
	return token
}

// note writes down, later, that a token was used today.
func (t *Tokens) note(token *Token, now time.Time) {
	day, was := now.Unix()/(24*60*60), token.day.Load()
	if day == was || !token.day.CompareAndSwap(was, day) {
		return
	}
	select {
	case t.used <- token:
	default:
		token.day.Store(was) // too many at once: a later request notes it
	}
}

// writeUsed writes down that a token was used today.
func (t *Tokens) writeUsed(ctx context.Context, token *Token) {
	today := t.clock.Now().UTC().Format(time.DateOnly)
	was, err := t.store.Get(ctx, token.Tenant, KindUsed, token.id)
	if err != nil && !errors.Is(err, state.ErrNotFound) || string(was.Value) >= today {
		return
	}
	if _, ok := t.all.get(token.id); !ok {
		return // it was deleted meanwhile
	}
	if _, err := t.store.Put(ctx, token.Tenant, KindUsed, token.id, []byte(today), was.Version); err != nil && !errors.Is(err, state.ErrConflict) {
		t.log.Warn("cannot write down that a token was used", "token", token.Name, "tenant", token.Tenant, "err", err)
	}
}
