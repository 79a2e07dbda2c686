package compat

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/manage"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules"
)

const (
	kind = "webhook"
	// provenance marks documents that were made here.
	provenance = "compat"
	// attempts is how often a change that met another one is tried.
	attempts = 3
)

// theirs are the platform's names of events by canonical type; ours the other way.
var theirs, ours = names()

func names() (theirs, ours map[string]string) {
	theirs, ours = webhook.PollarixEvents(), map[string]string{}
	for canonical, name := range theirs {
		ours[name] = canonical
	}
	return theirs, ours
}

func renamed(events []string, names map[string]string) []string {
	all := make([]string, len(events))
	for i, name := range events {
		if all[i] = name; names[name] != "" {
			all[i] = names[name]
		}
	}
	return all
}

// spec are the settings of a document that the platform's object has.
type spec struct {
	Title   string            `json:"title"`
	URL     string            `json:"url"`
	Events  []string          `json:"events"`
	Headers map[string]string `json:"headers"`
	Enabled *bool             `json:"enabled"`
}

func escaped(headers map[string]string) map[string]string {
	all := make(map[string]string, len(headers))
	for name, value := range headers {
		all[name] = document.EscapeVariables(value)
	}
	return all
}

// ofDocument returns a document in the platform's form. What cannot be read of a broken one is empty.
func ofDocument(e *settings.Entry) view.DepartmentWebhook {
	v := view.DepartmentWebhook{ID: settings.Title(e.Name), Events: []string{}, Headers: map[string]string{}, IsActive: true}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(e.Spec, &members)
	var s spec
	for name, into := range map[string]any{"title": &s.Title, "url": &s.URL, "events": &s.Events, "headers": &s.Headers, "enabled": &s.Enabled} {
		if value, ok := members[name]; ok {
			_ = json.Unmarshal(value, into)
		}
	}
	if v.Name = document.UnescapeVariables(s.Title); v.Name == "" {
		v.Name = v.ID
	}
	v.URL, v.Events = document.UnescapeVariables(s.URL), renamed(s.Events, theirs)
	if s.Headers != nil { // they are masks
		v.Headers = s.Headers
	}
	if s.Enabled != nil {
		v.IsActive = *s.Enabled
	}
	return v
}

// ofFile returns a webhook of the configuration's files in the platform's form. rule is what selects its events; nil: only rules name it.
func (a *API) ofFile(d *config.Destination, rule *config.Rule) view.DepartmentWebhook {
	v := view.DepartmentWebhook{ID: d.Name, Name: d.Name, Events: []string{}, Headers: map[string]string{}, IsActive: d.Enabled}
	if rule != nil {
		v.Events = renamed(rule.Match.Events, theirs)
	}
	w, ok := d.Alone.(*webhook.Connector)
	if !ok {
		return v
	}
	if v.URL = w.URL.String(); w.URL.IsSecret() {
		v.URL = a.Book.Masks.Mask(w.URL.Secret())
	}
	for name, value := range w.Headers {
		v.Headers[name] = a.Book.Masks.Mask(value.Secret)
	}
	return v
}

// inFile returns the webhook of a tenant that a file defines under a name; nil: none does.
func (a *API) inFile(tenant, name string) *config.Destination {
	for _, d := range a.filed(tenant) {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// filed returns the webhooks of a tenant that files define, by name.
func (a *API) filed(tenant string) []*config.Destination {
	all := slices.Clone(a.Plan().DestinationsOf(tenant))
	all = slices.DeleteFunc(all, func(d *config.Destination) bool {
		return d.Product != kind || strings.HasPrefix(d.At.File, config.StorePrefix)
	})
	slices.SortFunc(all, func(x, y *config.Destination) int { return strings.Compare(x.Name, y.Name) })
	return all
}

// list answers with all webhooks of a tenant: those of files by name, then documents by the time of their creation.
func (a *API) list(c *route.Call) error {
	entries, _, err := a.Book.List(c.Base, c.Tenant, kind, "", config.MaxDocuments)
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(x, y settings.Entry) int { return x.Meta.Created.Compare(y.Meta.Created) })
	selects := map[string]*config.Rule{}
	for _, r := range a.Plan().Rules(c.Tenant) {
		if r.Match.Kind == rules.WebhookKind {
			selects[r.Name] = r
		}
	}
	v := view.Department{ID: c.Tenant, Webhooks: []view.DepartmentWebhook{}}
	for _, d := range a.filed(c.Tenant) {
		v.Webhooks = append(v.Webhooks, a.ofFile(d, selects[d.Name]))
	}
	for i := range entries {
		if entries[i].State != config.Shadowed { // the file's is shown
			v.Webhooks = append(v.Webhooks, ofDocument(&entries[i]))
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, v)
}

// object is the platform's object as it was sent.
type object struct {
	id, name, url string
	events        []string
	headers       map[string]string
	active        bool
}

// object reads the platform's object; kept is the address that it may have as it was shown.
func (b *body) object(update bool, kept string) (object, error) {
	o := object{active: true}
	if update {
		o.id = required[string](b, "id", "text")
	}
	o.name, o.url = required[string](b, "name", "text"), b.url(kept)
	o.events = b.list("events")
	o.headers = b.texts("headers")
	if b.has("isActive") {
		o.active = optional[bool](b, "isActive", "true or false")
	}
	return o, b.err()
}

// create makes a webhook.
func (a *API) create(c *route.Call) error {
	b, err := read(c.Body(), fields)
	if err != nil {
		return err
	}
	o, err := b.object(false, "")
	if err != nil {
		return err
	}
	switch {
	case strings.TrimSpace(o.name) == "":
		return answer.Invalid("`name` is empty", "name")
	case len(o.events) == 0:
		return noEvents()
	}
	members := map[string]any{"title": document.EscapeVariables(o.name), "url": document.EscapeVariables(o.url), "events": renamed(o.events, ours), "preset": webhook.PollarixPreset}
	if len(o.headers) > 0 {
		members["headers"] = escaped(o.headers)
	}
	if !o.active {
		members["enabled"] = false
	}
	none := uint64(0)
	for range attempts {
		var done *settings.Entry
		done, err = a.apply(c, settings.Change{Name: kind + "/" + manage.NewWebhookName(), If: &none}, members)
		if err == nil {
			return answer.JSON(c.Ctx, fiber.StatusCreated, changed(c, done))
		}
		if !met(err) {
			break
		}
	}
	return refusal(err)
}

func noEvents() error {
	return answer.Invalid("`events` is empty: name at least one of "+strings.Join(slices.Sorted(maps.Keys(ours)), ", "), "events")
}

// update changes what the platform's object has of a webhook, and leaves its other settings.
func (a *API) update(c *route.Call) error {
	b, err := read(c.Body(), fields)
	if err != nil {
		return err
	}
	for range attempts {
		var done *settings.Entry
		done, err = a.updateOnce(c, b)
		if err == nil {
			return answer.JSON(c.Ctx, fiber.StatusOK, changed(c, done))
		}
		if !met(err) {
			break
		}
	}
	return refusal(err)
}

func (a *API) updateOnce(c *route.Call, b *body) (*settings.Entry, error) {
	current, err := a.find(c)
	if err != nil {
		return nil, err
	}
	shown := ofDocument(current)
	b.faults = nil
	o, err := b.object(true, shown.URL)
	switch {
	case err != nil:
		return nil, err
	case o.id != shown.ID:
		return nil, answer.Invalid("the `id` in the body is not the one in the path", "id")
	case strings.TrimSpace(o.name) == "":
		return nil, answer.Invalid("`name` is empty", "name")
	case len(o.events) == 0 && len(shown.Events) > 0: // one that only rules name has none
		return nil, noEvents()
	}
	members := membersOf(current)
	set := func(name string, same bool, value any) {
		if !same {
			members[name] = value
		}
	}
	set("title", o.name == shown.Name, document.EscapeVariables(o.name))
	set("url", o.url == shown.URL, document.EscapeVariables(o.url))
	set("events", slices.Equal(o.events, shown.Events), renamed(o.events, ours))
	set("headers", maps.Equal(o.headers, shown.Headers), escaped(o.headers))
	if len(o.headers) == 0 {
		delete(members, "headers")
	}
	if o.active && members["enabled"] != true {
		delete(members, "enabled")
	}
	if !o.active {
		members["enabled"] = false
	}
	return a.apply(c, settings.Change{Name: current.Name, If: &current.Version}, members)
}

// membersOf returns the settings of a document by name. What cannot be read is written anew.
func membersOf(e *settings.Entry) map[string]any {
	var all map[string]json.RawMessage
	if json.Unmarshal(e.Spec, &all) != nil || all == nil {
		return map[string]any{"preset": webhook.PollarixPreset}
	}
	members := make(map[string]any, len(all))
	for name, value := range all {
		members[name] = value
	}
	if string(all["enabled"]) == "true" {
		members["enabled"] = true
	}
	return members
}

// find returns the document of the webhook that the path names.
func (a *API) find(c *route.Call) (*settings.Entry, error) {
	name := c.Segment("name")
	if !access.ValidName(name) {
		return nil, answer.NotFound("webhook")
	}
	if d := a.inFile(c.Tenant, name); d != nil {
		return nil, &settings.InFileError{Name: kind + "/" + name, At: d.At}
	}
	entry, err := a.Book.Get(c.Base, c.Tenant, kind+"/"+name)
	if errors.Is(err, settings.ErrNoDocument) {
		return nil, answer.NotFound("webhook")
	}
	return entry, err
}

// delete deletes a webhook. What waits for it becomes dead letters.
func (a *API) delete(c *route.Call) error {
	current, err := a.find(c)
	if err == nil {
		_, err = a.apply(c, settings.Change{Name: current.Name, Delete: true}, nil)
	}
	if errors.Is(err, settings.ErrNoDocument) {
		return answer.NotFound("webhook")
	}
	if err != nil {
		return refusal(err)
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// apply makes one change, with members as the document's settings.
func (a *API) apply(c *route.Call, change settings.Change, members map[string]any) (*settings.Entry, error) {
	if !change.Delete {
		var err error
		if change.Spec, err = json.Marshal(members); err != nil {
			return nil, err
		}
	}
	results, err := a.Book.Apply(c.Base, c.Tenant, []settings.Change{change}, settings.How{By: c.By(), Provenance: provenance})
	if err != nil {
		return nil, err
	}
	return &results[0].Entry, nil
}

// met reports whether a change met another one: the platform's clients know no versions, and the last one wins.
func met(err error) bool {
	_, other := errors.AsType[*settings.VersionError](err)
	return other
}

func changed(c *route.Call, e *settings.Entry) view.Department {
	return view.Department{ID: c.Tenant, Webhooks: []view.DepartmentWebhook{ofDocument(e)}}
}

// refusal returns the answer to an error of a change, with the platform's names of the fields.
func refusal(err error) error {
	if met(err) {
		return answer.Conflict("it is being changed by others; send it again")
	}
	err = manage.Refusal(err)
	problem, ok := errors.AsType[*answer.Problem](err)
	if !ok {
		return err
	}
	renames := map[string]string{"title": "name", "enabled": "isActive"}
	renamed := *problem
	renamed.Detail = slices.Clone(problem.Detail)
	for i, d := range renamed.Detail {
		if len(d.Loc) > 0 && renames[d.Loc[0]] != "" {
			renamed.Detail[i].Loc = append([]string{renames[d.Loc[0]]}, d.Loc[1:]...)
		}
	}
	return &renamed
}
