package offline

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/rules/event"
)

// Results of a profile's checks and paths.
type (
	// SourceCheck is the result of one check of a request.
	SourceCheck = source.Check
	// Unmapped is a place of a body that does not affect the events.
	Unmapped = source.Unread
)

// SourceTest is a request to test against a profile.
type SourceTest struct {
	// Profile is a file, or a built-in's name.
	Profile string
	Body    []byte
	Header  http.Header
	Query   url.Values
	// Secrets are those the platform signs with; without any, the request is not verified. Vars fill other placeholders.
	Secrets []string
	Vars    map[string]string
	// At is the time of receipt; zero is now. Timezone applies to times without a zone.
	At       time.Time
	Timezone *time.Location
}

// SourceTested is the result of testing a request against a profile.
type SourceTested struct {
	Profile string `json:"profile"`
	// Asks says what proves the platform's requests. Checks are made only with secrets, and Proved says that all passed.
	Asks []string `json:"asks"`
	// Vars are what that proof needs beside a secret.
	Vars   []string      `json:"vars,omitempty"`
	Checks []SourceCheck `json:"checks,omitempty"`
	Proved bool          `json:"proved"`
	// Error is why no event could be made of the body.
	Error  string        `json:"error,omitempty"`
	Events []TestedEvent `json:"events"`
	// Unmapped are places of the body that no part of the profile made anything of.
	Unmapped []Unmapped `json:"unmapped"`
}

// TestedEvent is an event as it would be kept.
type TestedEvent struct {
	Type     string          `json:"type"`
	Envelope json.RawMessage `json:"envelope"`
	Warnings []string        `json:"warnings,omitempty"`
	// Unread are the places that the event itself lists as unread.
	Unread []string `json:"unread,omitempty"`
}

// TestSource tests a request against a profile: whether it is verified, its events, and the places that were not mapped. Faults of the
// profile are the error.
func TestSource(t SourceTest) (*SourceTested, error) {
	profile, err := loadProfile(t.Profile)
	if err != nil {
		return nil, err
	}
	if t.At.IsZero() {
		t.At = clock.System().Now()
	}
	// The path token belongs to the source, not to the profile; assume a valid one.
	token := random(18)
	settings := source.Settings{
		Tenant: "default", Name: profile.Name, Profile: profile, PathToken: connectors.NewSecret(token), Loaded: t.At, Timezone: t.Timezone,
		Vars: map[string]connectors.Secret{},
	}
	for _, s := range t.Secrets {
		settings.Secrets = append(settings.Secrets, connectors.NewSecret(s))
	}
	vars := profile.Platform().Vars
	for _, name := range vars {
		if len(t.Secrets) > 0 && t.Vars[name] == "" {
			return nil, fmt.Errorf("requests of %s are verified with `%s` besides the secret: add --var %s=VALUE", profile.Name, name, name)
		}
	}
	for name, value := range t.Vars {
		settings.Vars[name] = connectors.NewSecret(value)
	}
	s, problems := source.New(settings)
	if len(problems) > 0 {
		all := make([]error, len(problems))
		for i, p := range problems {
			all[i] = p
		}
		return nil, errors.Join(all...)
	}
	req := &source.Request{
		Method: http.MethodPost, Token: token, Header: t.Header.Get, Query: t.Query.Get, Body: t.Body,
		HeaderTwice: func(name string) bool { return len(t.Header.Values(name)) > 1 },
		QueryTwice:  func(name string) bool { return len(t.Query[name]) > 1 },
		ContentType: t.Header.Get("Content-Type"), Remote: netip.Addr{}, Received: t.At,
		Verified: source.Verified{Kind: source.KindNone},
	}
	tested := &SourceTested{Profile: profile.Name, Asks: profile.Asks(), Vars: vars, Events: []TestedEvent{}, Unmapped: []Unmapped{}}
	if len(t.Secrets) > 0 {
		for _, c := range s.Inspect(req) {
			if c.Kind != source.KindPath {
				tested.Checks = append(tested.Checks, c)
			}
		}
		verified, err := s.Verify(req)
		if tested.Proved = err == nil && verified.Kind != source.KindPath; !tested.Proved {
			req.Verified = source.Verified{Kind: source.KindNone}
		}
	}
	events, err := s.Normalise(req, t.At)
	if err != nil {
		tested.Error = err.Error()
		return tested, nil
	}
	for _, ev := range events {
		tested.Events = append(tested.Events, TestedEvent{Type: ev.Type, Envelope: ev.Envelope(), Warnings: ev.Data().Warnings, Unread: ev.Data().Unread})
	}
	unread, _, err := s.Unread(req, t.At, nil)
	if err != nil {
		return nil, err
	}
	tested.Unmapped = append(tested.Unmapped, unread...)
	return tested, nil
}

func loadProfile(name string) (*source.Profile, error) {
	library := source.Builtin()
	if p, ok := library.Profile(name); ok {
		return p, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		if ext := filepath.Ext(name); ext == ".yaml" || ext == ".yml" || strings.ContainsRune(name, filepath.Separator) {
			return nil, err
		}
		hint := "a profile is a file, or one of: " + strings.Join(library.Names(), ", ")
		if near := event.Nearest(name, library.Names()); near != "" {
			hint = "did you mean `" + near + "`?"
		}
		return nil, fmt.Errorf("there is no profile `%s`; %s", name, hint)
	}
	p, faults := source.Parse(name, text)
	if len(faults) > 0 {
		return nil, faults
	}
	return p, nil
}
