package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// KindToken is the kind of the records. A record's name is its destination and the fingerprint of its credential.
	KindToken   = "token-fetched"
	fieldSealed = "sealed"

	// kindPlanted is the kind of the refresh tokens that `surveygate token set` stores, by destination.
	kindPlanted  = "token-planted"
	fieldPlanted = "planted"
)

// record is what is kept of a credential.
type record struct {
	access, formerAccess   connectors.Secret
	refresh, formerRefresh connectors.Secret // of GrantRefreshToken
	baseURL                string
	fetched                time.Time
	ends                   time.Time // zero: the token endpoint did not say
	// firsts are the ids of the first refresh tokens that were seen, newest first. A refresh token that was replaced since begins
	// nothing anew, even if it is configured again.
	firsts []string
	// fence is that of the lease under which the token was fetched, version the setting's.
	fence, version uint64
}

// maxFirsts bounds record.firsts.
const maxFirsts = 16

// storedRecord is a record in the store. Sealed holds a sealedRecord, sealed for the field of this name.
type storedRecord struct {
	Fetched time.Time `json:"fetched"`
	Ends    time.Time `json:"ends,omitzero"`
	Fence   uint64    `json:"fence"`
	Sealed  string    `json:"sealed"`
}

type sealedRecord struct {
	Access        string   `json:"access"`
	FormerAccess  string   `json:"former_access,omitempty"`
	Refresh       string   `json:"refresh,omitempty"`
	FormerRefresh string   `json:"former_refresh,omitempty"`
	BaseURL       string   `json:"base_url,omitempty"`
	Firsts        []string `json:"firsts,omitempty"`
}

// storedPlanted is a refresh token in the store, as `surveygate token set` writes it. At identifies it.
type storedPlanted struct {
	Planted string    `json:"planted"`
	At      time.Time `json:"at"`
}

// nameOf returns the name of a credential's record. Whatever makes another token is part of it, so that replicas with different
// configurations do not overwrite each other's; but not the secrets of GrantRefreshToken, because a refresh token goes on when
// the application's secret changes.
func nameOf(fingerprintKey []byte, r outbound.TokenRequest) string {
	k := keyOf(r)
	parts := []connectors.Secret{}
	for _, text := range []string{string(k.grant), k.tokenURL, k.scopes, k.clientID, k.keyID, k.issuer, k.subject, k.audience} {
		parts = append(parts, connectors.NewSecret(text))
	}
	if k.grant != connectors.GrantRefreshToken {
		parts = append(parts, k.clientSecret, k.privateKey)
	}
	return r.Destination + ":" + outbound.Fingerprint(fingerprintKey, parts)
}

func leaseName(tenant, name string) string { return "oauth/" + tenant + "/" + name }

// token returns the record's token as the sender needs it. fetched reports that it was fetched for this request.
func (r *record) token(fetched bool) outbound.Token {
	return outbound.Token{Access: r.access, Kept: !fetched, BaseURL: r.baseURL, Others: []connectors.Secret{r.formerAccess, r.refresh, r.formerRefresh}}
}

// valid reports whether the token can be sent now. A request must arrive before the token ends, so it counts as ended a little
// earlier. r may be nil.
func (r *record) valid(now time.Time, refused connectors.Secret) bool {
	if r == nil || r.access.IsZero() || r.access == refused {
		return false
	}
	return r.ends.IsZero() || now.Before(r.ends.Add(-min(10*time.Second, r.lifetime()/10)))
}

// shouldRenew reports whether a valid token should be replaced: in the last fifth of its life, 10 minutes at most, of which
// jitter (0 to 1) takes away up to a half. A token that does not say when it ends is kept until it is refused.
func (r *record) shouldRenew(now time.Time, jitter float64) bool {
	if r.ends.IsZero() {
		return false
	}
	early := min(r.lifetime()/5, 10*time.Minute)
	return !now.Before(r.ends.Add(-early + time.Duration(jitter/2*float64(early))))
}

func (r *record) lifetime() time.Duration { return r.ends.Sub(r.fetched) }

// found is what the store holds of a credential.
type found struct {
	record *record // nil: none
	// version is that of the record's setting.
	version uint64
	// first is a refresh token that has not been seen before, and that begins anew; zero: there is none.
	first connectors.Secret
	// firsts are the ids of the planted and the configured refresh token.
	firsts []string
}

// serves reports whether the stored token is what a renewal looks for.
func (f found) serves(n *renewal, now time.Time, jitter float64) bool {
	return f.first.IsZero() && f.record.valid(now, n.refused) && !(n.early && f.record.shouldRenew(now, jitter))
}

// load reads a credential's record, and the refresh token that a person has stored.
func (c *credential) load(ctx context.Context, auth connectors.OAuth2) (found, error) {
	var f found
	setting, err := c.tokens.Store.Get(ctx, c.tenant, KindToken, c.name)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return f, c.storeFailure(err)
	}
	f.version = setting.Version
	var stored storedRecord
	var unreadable error
	if err == nil {
		f.record, unreadable = c.open(setting, &stored)
	} else {
		f.record = c.remembered() // the store has lost it, and nobody has stored another one since
	}
	if auth.Grant != connectors.GrantRefreshToken {
		return f, nil // a record that cannot be read is replaced
	}
	planted, at, err := c.planted(ctx)
	if err != nil {
		return f, err
	}
	if unreadable != nil {
		if planted.IsZero() || !at.After(stored.Fetched) {
			return f, openFailure(unreadable, "the stored refresh token cannot be read (%s); if its key is lost, %s", unreadable, newToken(c.tenant, c.destination))
		}
		f.record = nil
	}
	var seen []string
	if f.record != nil {
		seen = f.record.firsts
	}
	consider := func(s connectors.Secret, id string) {
		if s.IsZero() {
			return
		}
		f.firsts = append(f.firsts, id)
		if f.first.IsZero() && !slices.Contains(seen, id) {
			f.first = s
		}
	}
	consider(planted, "planted "+at.UTC().Format(time.RFC3339Nano))
	consider(auth.RefreshToken, "configured "+outbound.Fingerprint(c.tokens.FingerprintKey, []connectors.Secret{auth.RefreshToken}))
	return f, nil
}

// remembered returns the newest record that was read or stored; nil: none.
func (c *credential) remembered() *record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

// open reads a record's setting.
func (c *credential) open(setting state.Setting, stored *storedRecord) (*record, error) {
	if err := json.Unmarshal(setting.Value, stored); err != nil {
		return nil, errors.New("it is not in its form")
	}
	plain, err := c.tokens.Vault.Open(c.tenant, KindToken, c.name, fieldSealed, stored.Sealed)
	if err != nil {
		return nil, err
	}
	var s sealedRecord
	if err := json.Unmarshal(plain, &s); err != nil {
		return nil, errors.New("it is not in its form")
	}
	return &record{
		access: connectors.NewSecret(s.Access), formerAccess: connectors.NewSecret(s.FormerAccess),
		refresh: connectors.NewSecret(s.Refresh), formerRefresh: connectors.NewSecret(s.FormerRefresh),
		baseURL: s.BaseURL, firsts: s.Firsts,
		fetched: stored.Fetched, ends: stored.Ends, fence: stored.Fence, version: setting.Version,
	}, nil
}

// planted returns the refresh token that a person has stored for the destination; zero: none.
func (c *credential) planted(ctx context.Context) (connectors.Secret, time.Time, error) {
	setting, err := c.tokens.Store.Get(ctx, c.tenant, kindPlanted, c.destination)
	if errors.Is(err, state.ErrNotFound) {
		return connectors.Secret{}, time.Time{}, nil
	}
	if err != nil {
		return connectors.Secret{}, time.Time{}, c.storeFailure(err)
	}
	var stored storedPlanted
	var plain []byte
	if err = json.Unmarshal(setting.Value, &stored); err == nil {
		plain, err = c.tokens.Vault.Open(c.tenant, kindPlanted, c.destination, fieldPlanted, stored.Planted)
	}
	if err != nil {
		return connectors.Secret{}, time.Time{}, openFailure(err, "the refresh token that was stored by hand cannot be read (%s); %s", err, newToken(c.tenant, c.destination))
	}
	return connectors.NewSecret(string(plain)), stored.At, nil
}

// refreshToken returns the refresh token to use: a first one that is new, or else the newest that the product issued.
func (f found) refreshToken(c *credential, auth connectors.OAuth2) (connectors.Secret, error) {
	switch {
	case auth.Grant != connectors.GrantRefreshToken, !f.first.IsZero():
		return f.first, nil
	case f.record != nil:
		return f.record.refresh, nil
	}
	return connectors.Secret{}, refused("there is no refresh token yet: %s", newToken(c.tenant, c.destination))
}

// succeed returns the record that follows after the token endpoint has answered.
func (f found) succeed(c *credential, used connectors.Secret, a answer) *record {
	now := c.tokens.Clock.Now()
	r := &record{access: a.access, refresh: a.refresh, baseURL: a.baseURL, fetched: now, fence: c.fence, version: f.version}
	if a.lifetime > 0 {
		r.ends = now.Add(a.lifetime)
	}
	if r.refresh.IsZero() { // it does not rotate
		r.refresh = used
	}
	if r.refresh != used {
		r.formerRefresh = used
	}
	if f.record != nil {
		r.formerAccess, r.firsts = f.record.access, f.record.firsts
		if r.formerRefresh.IsZero() {
			r.formerRefresh = f.record.formerRefresh
		}
	}
	if !f.first.IsZero() {
		seen := slices.DeleteFunc(slices.Clone(r.firsts), func(id string) bool { return slices.Contains(f.firsts, id) })
		r.firsts = slices.Concat(f.firsts, seen)
		r.firsts = r.firsts[:min(len(r.firsts), maxFirsts)]
	}
	return r
}

// save stores the unsaved record, and returns the one that is stored afterwards: this one, or one that a later holder of the
// lease has stored meanwhile.
func (c *credential) save(ctx context.Context) (*record, error) {
	const tries = 5
	r := c.unsaved
	for range tries {
		value, err := c.seal(r)
		if err != nil {
			return nil, c.sealFailure(err)
		}
		version, err := c.tokens.Store.Put(ctx, c.tenant, KindToken, c.name, value, r.version)
		if err == nil {
			r.version, c.unsaved = version, nil
			return r, nil
		}
		if !errors.Is(err, state.ErrConflict) {
			return nil, c.storeFailure(err)
		}
		setting, err := c.tokens.Store.Get(ctx, c.tenant, KindToken, c.name)
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return nil, c.storeFailure(err)
		}
		r.version = setting.Version
		var stored storedRecord
		if other, err := c.open(setting, &stored); err == nil && other.fence > r.fence {
			c.unsaved = nil
			return other, nil
		}
		// Otherwise it is the record from before, sealed with another key.
	}
	return nil, c.storeFailure(state.ErrConflict)
}

func (c *credential) seal(r *record) ([]byte, error) {
	plain, err := json.Marshal(sealedRecord{
		Access: r.access.Expose(), FormerAccess: r.formerAccess.Expose(),
		Refresh: r.refresh.Expose(), FormerRefresh: r.formerRefresh.Expose(), BaseURL: r.baseURL, Firsts: r.firsts,
	})
	if err != nil {
		return nil, err
	}
	sealed, err := c.tokens.Vault.Seal(c.tenant, KindToken, c.name, fieldSealed, plain)
	if err != nil {
		return nil, err
	}
	return json.Marshal(storedRecord{Fetched: r.fetched.UTC(), Ends: r.ends.UTC(), Fence: r.fence, Sealed: sealed})
}
