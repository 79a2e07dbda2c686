package decide

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// odd is a connector that fails in the way that its text says.
type odd struct{ how string }

func (o odd) Build(*event.Event) (*connectors.Request, error) {
	switch o.how {
	case "panic":
		panic("as asked")
	case "error":
		return nil, errors.New("no channel")
	case "skip":
		return nil, connectors.Skip("no e-mail")
	}
	return connectors.Post("https://example.com/"+o.how, nil), nil
}

// TestPlayAll: every rule and webhook of the tenant is played, once for each event, and what is not sent has its reason.
func TestPlayAll(t *testing.T) {
	t.Parallel()
	c := &config.Config{}
	add := func(kind rules.Kind, name, tenant, when string) *config.Rule {
		d := &config.Destination{Item: config.Item{Tenant: "acme", Name: name}, Product: "odd", Enabled: true}
		r := &config.Rule{
			Item: config.Item{Tenant: tenant, Name: name}, Match: &rules.Rule{Kind: kind, Tenant: tenant, Name: name, Events: []string{"response.*"}},
			Steps: []*config.Step{{Name: name, Destination: name, Build: map[string]connectors.Connector{"acme": odd{name}}}},
		}
		if when != "" {
			var err error
			if r.Match.When, err = expression.CompileCondition(when); err != nil {
				t.Fatal(err)
			}
		}
		c.Destinations, c.Rules = append(c.Destinations, d), append(c.Rules, r)
		return r
	}
	add(rules.RuleKind, "ok", "acme", "nps_score <= 6")
	add(rules.RuleKind, "panic", "acme", "")
	add(rules.RuleKind, "error", "*", "nps_score == 3")
	add(rules.RuleKind, "skip", "acme", "nps_score == 3 and nps_score > 1")
	add(rules.RuleKind, "off", "acme", "").Match.Disabled = true
	add(rules.RuleKind, "others", "other", "")
	add(rules.WebhookKind, "ok", "acme", "has(email) or nps_score == 9")
	once := add(rules.RuleKind, "once", "acme", "")
	once.Once = true
	plan := New(c)
	var events []*event.Event
	for i, body := range []string{`{"nps_score": 3}`, `{"nps_score": 9, "email": "jo@example.com"}`} {
		ev, err := GivenEvent([]byte(body), event.TypeResponseCompleted, "acme", true, time.Unix(int64(1e9+i), 0).UTC())
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, ev)
	}
	played := plan.PlayAll(events...)
	var sent, asked []string
	for _, s := range played.Sent {
		sent = append(sent, string(s.Origin.Kind)+" "+s.Origin.Name+" "+s.Step+" "+s.Request.URL)
	}
	for _, a := range played.Asked {
		asked = append(asked, a.Rule.Match.Kind.String()+" "+a.Rule.Name)
	}
	all := []string{"rule ok", "rule panic", "rule error", "rule skip", "webhook ok", "rule once"}
	wantSent := []string{"rule ok ok https://example.com/ok", "rule once once https://example.com/once", "webhook ok ok https://example.com/ok"}
	if !slices.Equal(sent, wantSent) || !slices.Equal(asked, slices.Concat(all, all)) {
		t.Errorf("sent %q\nasked %q", sent, asked)
	}
	want := []string{
		"event 1: rule panic: panic cannot be built: building its request panics",
		"event 1: rule error: error cannot be built: no channel",
		"event 1: rule skip: skip is skipped: no e-mail",
		"event 1: rule off: no match: it is disabled",
		"event 1: webhook ok: no match: its condition is false: `has(email)`, email is unknown; `nps_score == 9`, nps_score is 3",
		"event 2: rule panic: panic cannot be built: building its request panics",
		"event 2: rule once: once is skipped: once: an earlier event of this response came first",
		"event 2: rule ok: no match: its condition is false: `nps_score <= 6`, nps_score is 9",
		"event 2: rule error: no match: its condition is false: `nps_score == 3`, nps_score is 9",
		"event 2: rule skip: no match: its condition is false: `nps_score == 3`, nps_score is 9",
		"event 2: rule off: no match: it is disabled",
	}
	if got := played.NotSent(); !slices.Equal(got, want) {
		t.Errorf("not sent:\n%s", strings.Join(got, "\n"))
	}
	webhook := func(o state.Origin) bool { return o.Kind == state.Webhook }
	if got := played.NotSentBy(webhook); len(got) != 1 || !strings.HasPrefix(got[0], "event 1: webhook ok: no match") {
		t.Errorf("%q", got)
	}
	// One rule alone is told apart from a webhook of its name, and its reasons do not repeat its name.
	one := plan.PlayRule(c.Rules[0], events[1:]...)
	if got := one.NotSent(); len(one.Sent) != 0 || len(one.Asked) != 1 || !slices.Equal(got, []string{"no match: its condition is false: `nps_score <= 6`, nps_score is 9"}) {
		t.Errorf("%+v %q", one.Sent, got)
	}
}

// TestGivenEvent: what is no event is refused by its parser, also where a type or a response's id would be added.
func TestGivenEvent(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "null", "3", `"x"`, "[]", "[{}]", "{", "{}{}", `{"nps_score": }`, "\x00"} {
		if ev, err := GivenEvent([]byte(body), event.TypeResponseCompleted, "acme", true, time.Unix(1e9, 0)); err == nil {
			t.Errorf("%q is %+v", body, ev)
		}
	}
}
