package manage

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules"
)

// kind is a kind of documents.
type kind string

// The kinds of documents.
const (
	webhooks    kind = "webhook"
	connections kind = "connection"
	sources     kind = "source"
	ruleKind    kind = "rule"
)

var kinds = []kind{sources, connections, webhooks, ruleKind}

// collection is the path of all of a kind.
func (k kind) collection() string { return "/v1/" + string(k) + "s" }

// document returns the name of the document of a name.
func (k kind) document(name string) string { return string(k) + "/" + name }

// isDestination reports whether events are sent to it.
func (k kind) isDestination() bool { return k == webhooks || k == connections }

// webhookProduct is the product of the destinations that are webhooks.
const webhookProduct = "webhook"

// shown is the view of one thing: *view.Source, *view.Connection, *view.Webhook or *view.Rule.
type shown interface{ Common() *view.Setting }

// views returns what a plan has of a kind in a tenant, by name; only that of one name, if name is not empty. A rule of every tenant is
// shown in each. What the documents of the tenant define is there too, if it compiles.
func (k kind) views(plan *decide.Plan, tenant, name string, showSecrets bool) []shown {
	var all []shown
	wanted := func(item config.Item) bool { return name == "" || item.Name == name }
	switch k {
	case sources:
		for _, s := range plan.Sources(tenant) {
			if wanted(s.Item) {
				v := view.NewSource(s, showSecrets)
				all = append(all, &v)
			}
		}
	case ruleKind:
		for _, r := range plan.Rules(tenant) {
			if wanted(r.Item) && r.Match.Kind == rules.RuleKind {
				v := view.NewRule(r, plan, tenant)
				all = append(all, &v)
			}
		}
	case connections, webhooks:
		selects := map[string]*config.Rule{}
		for _, r := range plan.Rules(tenant) {
			if r.Match.Kind == rules.WebhookKind {
				selects[r.Name] = r
			}
		}
		for _, d := range plan.DestinationsOf(tenant) {
			switch isWebhook := d.Product == webhookProduct; {
			case !wanted(d.Item) || isWebhook != (k == webhooks):
			case isWebhook:
				v := view.NewWebhook(d, selects[d.Name])
				all = append(all, &v)
			default:
				v := view.NewConnection(d)
				all = append(all, &v)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b shown) int { return strings.Compare(a.Common().Name, b.Common().Name) })
	return all
}

// ofFiles returns those that files define.
func (k kind) ofFiles(plan *decide.Plan, tenant, name string, showSecrets bool) []shown {
	return slices.DeleteFunc(k.views(plan, tenant, name, showSecrets), func(v shown) bool {
		at := v.Common().At
		return at != nil && strings.HasPrefix(at.File, config.StorePrefix)
	})
}

// forCaller leaves out of what files define what the caller does not see: where its file is, variables and other names of the operator
// are nothing for the session of a portal link.
func forCaller(c *route.Call, all []shown) []shown {
	if c.Grant.Capabilities != nil {
		for _, v := range all {
			v.Common().Spec, v.Common().At = shownSpec(v), nil
		}
	}
	return all
}

// view returns the view of a document. A document that does not compile has what is common to all.
func (k kind) view(plan *decide.Plan, tenant string, e *settings.Entry, showSecrets bool) shown {
	if e.Overlay != nil && e.Overlay != plan.Overlay(tenant) {
		plan = plan.With(e.Overlay)
	}
	name := settings.Title(e.Name)
	var v shown
	for _, each := range k.views(plan, tenant, name, showSecrets) {
		if at := each.Common().At; at != nil && at.File == config.StorePrefix+e.Name {
			v = each
		}
	}
	if v == nil {
		v = k.blank(e.State != config.Disabled)
	}
	*v.Common() = view.NewSetting(tenant, e)
	return v
}

// blank returns the view of a document that does not compile.
func (k kind) blank(enabled bool) shown {
	switch k {
	case sources:
		return &view.Source{Enabled: enabled}
	case connections:
		return &view.Connection{Enabled: enabled}
	case webhooks:
		return &view.Webhook{Enabled: enabled, Product: webhookProduct}
	default:
		return &view.Rule{Enabled: enabled, Send: []view.Step{}}
	}
}

// example returns a value of the type of the kind's view.
func (k kind) example() any {
	switch k {
	case sources:
		return view.Source{}
	case connections:
		return view.Connection{}
	case webhooks:
		return view.Webhook{}
	default:
		return view.Rule{}
	}
}

// page returns a value of the type of a page of the kind.
func (k kind) page() any {
	switch k {
	case sources:
		return view.Page[view.Source]{}
	case connections:
		return view.Page[view.Connection]{}
	case webhooks:
		return view.Page[view.Webhook]{}
	default:
		return view.Page[view.Rule]{}
	}
}

// shownSpec returns the settings of what a file defines as far as they are fields of its view.
func shownSpec(v shown) json.RawMessage {
	spec := map[string]any{}
	set := func(key string, value any, is bool) {
		if is {
			spec[key] = value
		}
	}
	switch v := v.(type) {
	case *view.Source:
		set("profile", v.Profile, true)
		set("unverified", true, v.Unverified)
		set("redis_stream", v.Stream, v.Stream != "")
		set("enabled", false, !v.Enabled)
	case *view.Connection:
		set(v.Product, map[string]any{}, v.Product != "")
		set("enabled", false, !v.Enabled)
	case *view.Webhook:
		set("url", v.URL, true)
		set("events", v.Events, len(v.Events) > 0)
		set("when", v.When, v.When != "")
		set("enabled", false, !v.Enabled)
	case *view.Rule:
		set("events", v.Events, len(v.Events) > 0)
		set("when", v.When, v.When != "")
		set("delay", v.Delay, v.Delay != "")
		steps := make([]string, len(v.Send))
		for i, s := range v.Send {
			steps[i] = s.Step
		}
		set("send", steps, true)
		set("enabled", false, !v.Enabled)
	}
	text, err := json.Marshal(spec)
	if err != nil { // texts, lists and booleans can be written
		return nil
	}
	return text
}
