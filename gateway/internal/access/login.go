package access

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// LoginLink begins a session of a token in a browser, once, without showing the browser the token.
type LoginLink struct {
	// Token is the SHA-256 of the token, in hex.
	Token string `json:"token"`
	// To is the page of the console that it opens; empty: the first.
	To      string    `json:"to,omitempty"`
	Expires time.Time `json:"expires"`
}

const (
	kindLoginLink = "login-link"

	// LoginLinkFor is how long a login link can be opened: who asked for it opens it at once.
	LoginLinkFor = 5 * time.Minute

	// maxLoginLinks bounds the login links that can be opened.
	maxLoginLinks = 1000
)

// LoginLinks are the login links that have not been opened. All fields are required.
type LoginLinks struct {
	Store state.Settings
	Clock clock.Clock
}

// ErrTooManyLoginLinks means that there are as many as can be.
var ErrTooManyLoginLinks = fmt.Errorf("%d login links have not been opened yet: they end by themselves within %s", maxLoginLinks, LoginLinkFor)

// Make makes a link to a session of a token, whose SHA-256 is given in hex, and returns it with the text that opens it, which is not kept.
func (k *LoginLinks) Make(ctx context.Context, token, to string) (made *LoginLink, key string, err error) {
	list, err := k.Store.List(ctx, ofGateway, kindLoginLink)
	if err != nil {
		return nil, "", err
	}
	now, live := k.Clock.Now().UTC(), 0
	for _, s := range list {
		var l LoginLink
		if json.Unmarshal(s.Value, &l) == nil && now.Before(l.Expires) {
			live++
			continue
		}
		if err := k.Store.Delete(ctx, ofGateway, kindLoginLink, s.Name, s.Version); err != nil && state.StopsAll(err) && !errors.Is(err, state.ErrConflict) {
			return nil, "", err
		}
	}
	if live >= maxLoginLinks {
		return nil, "", ErrTooManyLoginLinks
	}
	var random [18]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the program instead
	key = base64.RawURLEncoding.EncodeToString(random[:])
	made = &LoginLink{Token: token, To: to, Expires: now.Add(LoginLinkFor)}
	value, err := json.Marshal(made)
	if err != nil {
		return nil, "", fmt.Errorf("write a login link: %w", err)
	}
	_, err = k.Store.Put(ctx, ofGateway, kindLoginLink, hashOf(key), value, 0)
	return made, key, err
}

// Open uses a link, whose text is key, if may agrees; it is not used otherwise. ErrLinkEnded: it has expired, was opened before, or never was.
func (k *LoginLinks) Open(ctx context.Context, key string, may func(*LoginLink) error) (*LoginLink, error) {
	name := hashOf(key)
	s, err := k.Store.Get(ctx, ofGateway, kindLoginLink, name)
	if errors.Is(err, state.ErrNotFound) {
		return nil, ErrLinkEnded
	}
	if err != nil {
		return nil, err
	}
	link := &LoginLink{}
	if err := json.Unmarshal(s.Value, link); err != nil {
		return nil, fmt.Errorf("read a login link: %w", err)
	}
	if !k.Clock.Now().Before(link.Expires) {
		return nil, ErrLinkEnded
	}
	if err := may(link); err != nil {
		return nil, err
	}
	// The version decides who is first, on every replica.
	err = k.Store.Delete(ctx, ofGateway, kindLoginLink, name, s.Version)
	if errors.Is(err, state.ErrConflict) || errors.Is(err, state.ErrNotFound) {
		return nil, ErrLinkEnded
	}
	return link, err
}
