package api

import (
	"cmp"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/expression"
)

// kind is one sort of thing that the configuration defines.
type kind string

const (
	sources     kind = "sources"
	connections kind = "connections"
	webhooks    kind = "webhooks"
	ruleKind    kind = "rules"
)

// fileView is where something is defined.
type fileView struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

func viewFile(at document.Position) *fileView {
	if at.File == "" {
		return nil
	}
	return &fileView{at.File, at.Line}
}

// thing is a configured thing as it is shown: never with a secret.
type thing struct {
	Name    string    `json:"name"`
	Tenant  string    `json:"tenant"`
	Enabled bool      `json:"enabled"`
	At      *fileView `json:"defined_in,omitempty"`
	// Events are those that a rule or a webhook hears.
	Events []string `json:"events,omitempty"`
	// When is the condition of a rule or a webhook.
	When string `json:"when,omitempty"`

	*sourceView
	*ruleView
	*targetView
	*webhookView
}

type sourceView struct {
	Profile string `json:"profile"`
	// Path is where its platform sends to. The token in it shows where it is asked for with `show_secrets`.
	Path string `json:"path,omitempty"`
	// Stream is the Redis stream that it reads instead.
	Stream     string   `json:"redis_stream,omitempty"`
	Secrets    int      `json:"secrets"`
	Surveys    []string `json:"surveys,omitempty"`
	Unverified bool     `json:"unverified,omitempty"`
}

type ruleView struct {
	Delay string     `json:"delay,omitempty"`
	Once  bool       `json:"once,omitempty"`
	Send  []stepView `json:"send"`
}

type stepView struct {
	Step        string `json:"step"`
	Destination string `json:"destination"`
	Connector   string `json:"connector"`
}

type targetView struct {
	Product string `json:"product"`
}

// webhookView is what a webhook sends, and where to.
type webhookView struct {
	// URL is as it is written, or [secret] where it is a credential.
	URL string `json:"url"`
	// Body is raw, event, cloudevents or cloudevents-binary, or the names of a mapping's fields.
	Body string `json:"body"`
	// Signature is a style, or the header of one of one's own.
	Signature string `json:"signature"`
}

// things are a tenant's of one kind, by name. A rule of every tenant is shown in each.
func (k kind) things(c *config.Config, tenant string, showSecrets bool) []thing {
	var all []thing
	switch k {
	case sources:
		for _, s := range c.Sources {
			if s.Tenant == tenant {
				all = append(all, thing{Name: s.Name, Tenant: s.Tenant, Enabled: s.Enabled, At: viewFile(s.At), sourceView: viewSource(s, showSecrets)})
			}
		}
	case ruleKind:
		destinations := map[string]*config.Destination{}
		for _, d := range c.Destinations {
			if d.Tenant == tenant {
				destinations[d.Name] = d
			}
		}
		for _, r := range c.Rules {
			if r.Match.Kind == rules.RuleKind && (r.Tenant == tenant || r.Tenant == access.AnyTenant) {
				all = append(all, thing{Name: r.Name, Tenant: r.Tenant, Enabled: !r.Match.Disabled, At: viewFile(r.At), Events: r.Match.Events, When: whenText(r.Match.When), ruleView: viewRule(r, tenant, destinations)})
			}
		}
	case connections, webhooks:
		heard, when := map[string][]string{}, map[string]string{}
		for _, r := range c.Rules {
			if r.Match.Kind == rules.WebhookKind && r.Tenant == tenant {
				heard[r.Name], when[r.Name] = r.Match.Events, whenText(r.Match.When)
			}
		}
		for _, d := range c.Destinations {
			if d.Tenant == tenant && (d.Product == "webhook") == (k == webhooks) {
				all = append(all, thing{
					Name: d.Name, Tenant: d.Tenant, Enabled: d.Enabled, At: viewFile(d.At), Events: heard[d.Name],
					targetView: &targetView{Product: d.Product}, When: when[d.Name], webhookView: viewWebhook(d),
				})
			}
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// whenText is a condition as it was written.
func whenText(c *expression.Condition) string {
	if c == nil {
		return ""
	}
	return c.String()
}

// viewWebhook shows a webhook; nil for another product.
func viewWebhook(d *config.Destination) *webhookView {
	w, ok := d.Alone.(*webhook.Connector)
	if !ok {
		return nil
	}
	v := &webhookView{URL: w.URL.String(), Body: string(cmp.Or(w.Body.Format, webhook.RawBytes)), Signature: w.Style().Style}
	if !w.Body.Values.IsZero() {
		v.Body = "a mapping of " + strings.Join(w.Body.Values.Keys(), ", ")
	}
	if v.Signature == "" {
		v.Signature = "header " + w.Style().Header
	}
	return v
}

func viewSource(s *config.Source, showSecrets bool) *sourceView {
	v := &sourceView{
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
	sort.Strings(v.Surveys)
	return v
}

// viewRule shows a rule as it runs in a tenant, whose destinations are given.
func viewRule(r *config.Rule, tenant string, destinations map[string]*config.Destination) *ruleView {
	v := &ruleView{Once: r.Once, Send: []stepView{}}
	if r.Delay > 0 {
		v.Delay = r.Delay.String()
	}
	for _, s := range r.Steps {
		d := destinations[s.Destination]
		if _, here := s.Build[tenant]; here && d != nil {
			v.Send = append(v.Send, stepView{s.Name, s.Destination, s.Connector(d)})
		}
	}
	return v
}

func rateText(r config.Rate) string {
	per := r.Per.String()
	switch r.Per {
	case time.Second:
		per = "s"
	case time.Minute:
		per = "m"
	}
	return strconv.Itoa(r.Events) + "/" + per
}

// showSecrets says whether the caller asks for secrets, and may see them.
func (c *call) showSecrets() (bool, error) {
	asked, err := c.flag("show_secrets")
	if err == nil && asked && !c.grant.May(access.Secrets) {
		err = answer.Say(fiber.StatusForbidden, answer.Permission, "this token lacks the scope `"+access.Secrets.String()+"`", "show_secrets")
	}
	return asked, err
}

func (k kind) list(a *API, c *call) error {
	shown, err := c.showSecrets()
	if err != nil {
		return err
	}
	return pageOf(c, k.things(a.Plan().Config, c.tenant, shown), func(t thing) string { return t.Name })
}

func (k kind) find(a *API, c *call) (*thing, error) {
	shown, err := c.showSecrets()
	if err != nil {
		return nil, err
	}
	name := param(c.Ctx, "name")
	things := k.things(a.Plan().Config, c.tenant, shown)
	for i := range things {
		if things[i].Name == name {
			return &things[i], nil
		}
	}
	names := make([]string, len(things))
	for i := range things {
		names[i] = things[i].Name
	}
	return nil, noSuch(string(k[:len(k)-1]), name, names)
}

func (k kind) one(a *API, c *call) error {
	t, err := k.find(a, c)
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, t)
}

// definedInFile refuses to change what a file defines, and says where to.
func (k kind) definedInFile(a *API, c *call) error {
	t, err := k.find(a, c)
	if err != nil {
		return err
	}
	where := "the configuration"
	if t.At != nil {
		where = fmt.Sprintf("%s:%d", t.At.File, t.At.Line)
	}
	return answer.Say(fiber.StatusForbidden, answer.DefinedInFile, "`"+t.Name+"` is defined in "+where+"; change it there and reload")
}

type tokenView struct {
	Name   string   `json:"name"`
	Tenant string   `json:"tenant"`
	Scopes []string `json:"scopes"`
	// Sources are those it may publish as; absent where it may not publish.
	Sources []string `json:"sources,omitempty"`
}

// tokens are those that reach this tenant.
func (a *API) tokens(c *call) error {
	var all []tokenView
	for _, g := range a.Access.Grants() {
		if g.Tenant == c.tenant || g.Tenant == access.AnyTenant && c.grant.Tenant == access.AnyTenant {
			v := tokenView{Name: g.Name, Tenant: g.Tenant, Scopes: g.Scopes.Names()}
			if g.May(access.Publish) {
				v.Sources = g.PublishesAs()
			}
			all = append(all, v)
		}
	}
	return pageOf(c, all, func(t tokenView) string { return t.Name })
}
