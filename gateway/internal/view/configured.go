package view

import (
	"cmp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules/expression"
)

// Source is a configured source. Its secrets are never shown, but for the token in Path where that was asked for.
type Source struct {
	Setting
	Enabled bool   `json:"enabled"`
	Profile string `json:"profile"`
	// Path is where its platform sends to, with [secret] for its token unless `show_secrets` asks for it.
	Path string `json:"path,omitempty"`
	// Stream is the Redis stream that it reads instead.
	Stream string `json:"redis_stream,omitempty"`
	// Secrets counts the secrets that its platform may sign with.
	Secrets    int      `json:"secrets"`
	Surveys    []string `json:"surveys,omitempty"`
	Unverified bool     `json:"unverified,omitempty"`
	// SourceSeen is there of a source that was asked for alone, and in lists with `include=seen`.
	*SourceSeen
}

// SourceSeen is how a source is used.
type SourceSeen struct {
	// URLs are the whole addresses to enter at the platform, with [secret] for the path token unless `show_secrets` asks for it;
	// empty for a source that reads a stream.
	URLs []string `json:"urls"`
	// Asks is what proves its requests, in words; empty if nothing does.
	Asks string `json:"asks"`
	// LastSeen is when it last sent an event: the minute within the last day, else the day; in lists the hour within the last week, else the
	// day. It is null if it did not within 400 days.
	LastSeen *Time `json:"last_seen"`
	// Last24h counts what it received in the last 24 hours, and Refused24h all requests that it refused.
	Last24h    SourceStat `json:"last_24h"`
	Refused24h int64      `json:"refused_24h"`
	// Hourly are the events that it accepted in 24 hours, oldest first. The last hour is not over yet.
	Hourly []int64 `json:"hourly"`
	// UsualGapS is the usual time between two of its events in seconds; 0 where it sends too rarely to tell. SilentSince is since when it has
	// sent nothing for unusually long; absent where that is not so.
	UsualGapS   float64 `json:"usual_gap_s"`
	SilentSince Time    `json:"silent_since,omitzero"`
}

// NewSource makes the view of a source. With showSecrets its path is whole.
func NewSource(s *config.Source, showSecrets bool) Source {
	v := Source{
		Setting: ofFile("source", s.Item, s.Enabled), Enabled: s.Enabled,
		Profile: s.Receiver.Profile.Name, Path: "/in/" + s.Name,
		Secrets: len(s.Receiver.Secrets), Unverified: s.Receiver.Unverified,
	}
	if s.Tenant != access.DefaultTenant {
		v.Path = "/t/" + s.Tenant + v.Path
	}
	if token := s.Receiver.PathToken; !token.IsZero() {
		shown := connectors.Hidden
		if showSecrets {
			shown = token.Expose()
		}
		v.Path += "/" + shown
	}
	if s.Stream != nil {
		v.Path, v.Stream, v.Unverified = "", s.Stream.Name, false
	}
	for id := range s.Receiver.Surveys {
		v.Surveys = append(v.Surveys, id)
	}
	slices.Sort(v.Surveys)
	return v
}

// Connection is a configured product with its credentials, which are never shown.
type Connection struct {
	Setting
	Enabled bool   `json:"enabled"`
	Product string `json:"product"`
}

// NewConnection makes the view of a connection.
func NewConnection(d *config.Destination) Connection {
	return Connection{Setting: ofFile("connection", d.Item, d.Enabled), Enabled: d.Enabled, Product: d.Product}
}

// Webhook is a configured webhook.
type Webhook struct {
	Setting
	Enabled bool `json:"enabled"`
	// Events are the types that it is sent.
	Events []string `json:"events,omitempty"`
	// When is its condition.
	When string `json:"when,omitempty"`
	// Settle is how long it waits for a response to come to rest, and Until the condition that ends the wait.
	Settle  string `json:"settle,omitempty"`
	Until   string `json:"until,omitempty"`
	Product string `json:"product"`
	// URL is as it is written, or [secret] where it is a credential.
	URL string `json:"url"`
	// Body is raw, event, cloudevents or cloudevents-binary, or the names of a mapping's fields.
	Body string `json:"body"`
	// Signature is a style, or the header of a signature that the configuration defines.
	Signature string `json:"signature"`
}

// NewWebhook makes the view of a webhook. Rule is what selects its events; nil where it selects nothing.
func NewWebhook(d *config.Destination, rule *config.Rule) Webhook {
	v := Webhook{Setting: ofFile("webhook", d.Item, d.Enabled), Enabled: d.Enabled, Product: d.Product}
	if rule != nil {
		v.Events, v.When = rule.Match.Events, conditionText(rule.Match.When)
		if rule.Settle.For > 0 {
			v.Settle, v.Until = config.ShortTime(rule.Settle.For), conditionText(rule.Settle.Until)
		}
	}
	w, ok := d.Alone.(*webhook.Connector)
	if !ok {
		return v
	}
	v.URL, v.Body, v.Signature = w.URL.String(), string(cmp.Or(w.Body.Format, webhook.RawBytes)), w.Style().Style
	if !w.Body.Values.IsZero() {
		v.Body = "a mapping of " + strings.Join(w.Body.Values.Keys(), ", ")
	}
	if v.Signature == "" {
		v.Signature = "header " + w.Style().Header
	}
	return v
}

// Rule is a configured rule as it runs in one tenant.
type Rule struct {
	Setting
	Enabled bool `json:"enabled"`
	// Events are the types that it is asked about.
	Events []string `json:"events,omitempty"`
	// When is its condition.
	When  string `json:"when,omitempty"`
	Delay string `json:"delay,omitempty"`
	// Settle is how long it waits for a response to come to rest, and Until the condition that ends the wait.
	Settle string `json:"settle,omitempty"`
	Until  string `json:"until,omitempty"`
	// Quiet, AtMost and ContactCap are its guardrails in words.
	Quiet      string `json:"quiet,omitempty"`
	AtMost     string `json:"at_most,omitempty"`
	ContactCap string `json:"contact_cap,omitempty"`
	Once       bool   `json:"once,omitempty"`
	Send       []Step `json:"send"`
	// Tests are its own tests, of a rule that was asked for alone, and in lists with `include=tests`.
	Tests []RuleTest `json:"tests,omitempty"`
	// RuleSeen is there of a rule that was asked for alone, and in lists with `include=seen`.
	*RuleSeen
}

// RuleSeen is how a rule decided. A webhook of its name counts too.
type RuleSeen struct {
	// Hits24h, Errors24h and Asked24h count events of the last 24 hours: that it matched, whose condition could not be evaluated, and
	// all that it was asked about.
	Hits24h   int64 `json:"hits_24h"`
	Errors24h int64 `json:"errs_24h"`
	Asked24h  int64 `json:"asked_24h"`
	// LastMatch is when it last matched: the minute within the last day, else the day; in lists the hour within the last day, else the day.
	// It is null if it did not within 400 days.
	LastMatch *Time `json:"last_match"`
}

// Step is one entry of a rule's `send`.
type Step struct {
	Step        string `json:"step"`
	Destination string `json:"destination"`
	Connector   string `json:"connector"`
	// Amend: it changes what was sent of a response when the response changes; Retract: and marks it as no longer so.
	Amend   bool `json:"amend,omitempty"`
	Retract bool `json:"retract,omitempty"`
}

// NewRule makes the view of a rule as it runs in a tenant.
func NewRule(r *config.Rule, plan *decide.Plan, tenant string) Rule {
	v := Rule{
		Setting: ofFile("rule", r.Item, !r.Match.Disabled), Enabled: !r.Match.Disabled, Events: r.Match.Events,
		When: conditionText(r.Match.When), Once: r.Once, Send: []Step{},
	}
	if r.Delay > 0 {
		v.Delay = r.Delay.String()
	}
	if r.Settle.For > 0 {
		v.Settle, v.Until = config.ShortTime(r.Settle.For), conditionText(r.Settle.Until)
	}
	v.Quiet, v.AtMost, v.ContactCap = r.Guard.Words()
	for _, s := range r.Steps {
		if d, _, here := plan.Target(tenant, s); here {
			v.Send = append(v.Send, Step{s.Name, s.Destination, s.Connector(d), s.Amend, s.Retract})
		}
	}
	return v
}

// conditionText returns a condition as it was written.
func conditionText(c *expression.Condition) string {
	if c == nil {
		return ""
	}
	return c.String()
}

// ReloadStatus is the outcome of a reload.
type ReloadStatus string

// The outcomes of a reload.
const (
	ReloadLoaded  ReloadStatus = "loaded"
	ReloadWaits   ReloadStatus = "waiting"
	ReloadRefused ReloadStatus = "refused"
)

// Reloaded is the answer to a reload.
type Reloaded struct {
	Status ReloadStatus `json:"status"`
	// Difference is what it changes, as `+1 rule, -1 webhook`.
	Difference string `json:"difference,omitempty"`
	Generation string `json:"generation,omitempty"`
	// Reason is why it waits or is refused; Faults are where.
	Reason string          `json:"reason,omitempty"`
	Faults document.Faults `json:"faults,omitempty"`
}
