package manage

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// documentRows are the routes of webhooks, connections, sources and rules.
func documentRows() []row {
	var rows []row
	for _, k := range kinds {
		one, every := "one "+string(k), k.collection()
		var secret []string
		if k == sources {
			secret = []string{"show_secrets"}
		}
		listQuery := slices.Concat([]string{"limit", "cursor"}, secret)
		listQuery = append(listQuery, "include")
		conflict := []int{fiber.StatusConflict, fiber.StatusRequestEntityTooLarge}
		rows = append(rows,
			row{k.list, route.Route{Method: fiber.MethodGet, Path: every, Scope: access.Read, AllTenants: true, Query: listQuery, For: "list " + string(k) + "s, of files and of documents", Out: k.page()}},
			row{k.one, route.Route{Method: fiber.MethodGet, Path: every + "/:name", Scope: access.Read, Query: secret, For: one + ", with its version as ETag", Out: k.example(), Tagged: true}})
		if k == webhooks {
			rows = append(rows, row{k.post, route.Route{
				Method: fiber.MethodPost, Path: every, Scope: access.Settings, Query: []string{"dry_run"}, Once: true,
				For: "make a " + string(k) + ", with a new name", In: route.Document(k), Out: k.example(), Status: fiber.StatusCreated, Statuses: conflict, Tagged: true, Located: true,
			}})
		}
		rows = append(rows,
			row{k.put, route.Route{
				Method: fiber.MethodPut, Path: every + "/:name", Scope: access.Settings, Query: []string{"dry_run"},
				For: "make a " + string(k) + ", or replace its settings; 201 if it is new", In: route.Document(k), Out: k.example(), Statuses: append(conflict, fiber.StatusCreated),
				Tagged: true, Conditional: true,
			}},
			row{k.patch, route.Route{
				Method: fiber.MethodPatch, Path: every + "/:name", Scope: access.Settings, Query: []string{"dry_run"},
				For: "change some settings of a " + string(k) + ", by a merge patch", In: route.Patch(k), Out: k.example(), Statuses: conflict,
				Tagged: true, Conditional: true,
			}},
			row{k.remove, route.Route{
				Method: fiber.MethodDelete, Path: every + "/:name", Scope: access.Settings, Query: []string{"dry_run"},
				For: "delete a " + string(k), Out: view.Deleted{}, Statuses: conflict, Conditional: true,
			}})
	}
	return rows
}

// showSecrets reports whether the caller asks for secrets and has the scope to see them.
func showSecrets(c *route.Call) (bool, error) {
	asked, err := c.Flag("show_secrets")
	if err == nil && asked && !c.Grant.May(access.Secrets) {
		err = answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token lacks the scope `"+access.Secrets.String()+"`", "show_secrets")
	}
	return asked, err
}

// list answers with what files and documents define, by name. A document that a file's shadows is shown within the file's. With
// `tenant=*` the rules of every tenant come first, once.
func (k kind) list(m *Management, c *route.Call) error {
	secrets, err := showSecrets(c)
	if err != nil {
		return err
	}
	all := c.Tenant == access.AnyTenant
	if secrets && all {
		return answer.Invalid("secrets are shown of one tenant", "show_secrets")
	}
	include := c.Asked("include") != ""
	seen, tests := k == sources, false
	if k == ruleKind {
		asked := strings.Split(c.Asked("include"), ",")
		seen, tests = slices.Contains(asked, "seen"), slices.Contains(asked, "tests")
	}
	plan := m.Plan()
	tenants := func() []string { return append([]string{access.AnyTenant}, m.Tenants.IDs()...) }
	return route.List(c, tenants, func(c *route.Call, cursor string, limit int) (p view.Page[shown], err error) {
		after, err := route.After(cursor, func(name string) bool { return k.is(m, c, name) })
		if err != nil {
			return p, err
		}
		var entries []settings.Entry
		var more bool
		if c.Tenant != access.AnyTenant {
			if entries, more, err = m.Book.List(c.Base, c.Tenant, string(k), after, limit+1); err != nil {
				return p, Refusal(err)
			}
		}
		filed := slices.DeleteFunc(k.ofFiles(plan, c.Tenant, "", secrets), func(v shown) bool {
			return v.Common().Name <= after || all && v.Common().Tenant != c.Tenant
		})
		p.Data = k.merge(plan, c.Tenant, forCaller(c, filed), entries, secrets)
		if more || len(p.Data) > limit {
			p.Data = p.Data[:min(limit, len(p.Data))]
			next := route.Next(p.Data[len(p.Data)-1].Common().Name)
			p.Next = &next
		}
		switch {
		case !include || len(p.Data) == 0 || c.Tenant == access.AnyTenant: // what was counted is of one tenant
		case k.isDestination():
			err = m.addStanding(c, plan, entries, p.Data)
		case seen:
			err = m.addSeenToAll(c, k, p.Data)
		}
		if tests && c.Tenant != access.AnyTenant {
			m.addTests(c, p.Data)
		}
		return p, err
	})
}

// is reports whether a file or a document defines a name.
func (k kind) is(m *Management, c *route.Call, name string) bool {
	if len(k.ofFiles(m.Plan(), c.Tenant, name, false)) > 0 {
		return true
	}
	_, err := m.Book.Get(c.Base, c.Tenant, k.document(name))
	return err == nil
}

// merge adds the views of documents to those of files, by name.
func (k kind) merge(plan *decide.Plan, tenant string, files []shown, entries []settings.Entry, secrets bool) []shown {
	byName := map[string]shown{}
	for _, v := range files {
		byName[v.Common().Name] = v
	}
	all := files
	for i := range entries {
		v := k.view(plan, tenant, &entries[i], secrets)
		if file := byName[v.Common().Name]; file != nil {
			file.Common().Shadowed = v.Common()
			continue
		}
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b shown) int { return cmp.Compare(a.Common().Name, b.Common().Name) })
	return all
}

// addStanding adds the standing of destinations, with one read. A destination whose document is not in use yet has one too.
func (m *Management) addStanding(c *route.Call, plan *decide.Plan, entries []settings.Entry, all []shown) error {
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = v.Common().Name
	}
	standing, err := m.Store.Standing(c.Base, c.Tenant, names)
	if err != nil {
		return err
	}
	for i, v := range all {
		d := plan.Destination(c.Tenant, names[i])
		if d == nil {
			d = compiledDestination(entries, names[i])
		}
		if d != nil {
			v.Common().Standing = view.NewStanding(d, &standing[i], plan.Config.Retention.Waiting.Age)
		}
	}
	return nil
}

// compiledDestination returns the destination of a document of a name; nil if it has none.
func compiledDestination(entries []settings.Entry, name string) *config.Destination {
	for i := range entries {
		if settings.Title(entries[i].Name) != name || entries[i].Overlay == nil {
			continue
		}
		for _, d := range entries[i].Overlay.Destinations {
			if d.Name == name {
				return d
			}
		}
	}
	return nil
}

// find returns the view of what the path names: the file's, with the document that it shadows, or the document's.
func (k kind) find(m *Management, c *route.Call) (shown, error) {
	secrets, err := showSecrets(c)
	if err != nil {
		return nil, err
	}
	name := c.Segment("name")
	plan := m.Plan()
	files := forCaller(c, k.ofFiles(plan, c.Tenant, name, secrets))
	var entries []settings.Entry
	e, err := m.Book.Get(c.Base, c.Tenant, k.document(name))
	switch {
	case err == nil:
		entries = append(entries, *e)
	case !errors.Is(err, settings.ErrNoDocument):
		return nil, Refusal(err)
	}
	if found := k.merge(plan, c.Tenant, files, entries, secrets); len(found) > 0 {
		return found[0], nil
	}
	return nil, k.none(plan, c)
}

// none is the answer where there is nothing of a name.
func (k kind) none(plan *decide.Plan, c *route.Call) error {
	var names []string
	for _, v := range k.views(plan, c.Tenant, "", false) {
		if v.Common().Name != c.Segment("name") { // what was deleted is in the plan for up to a second
			names = append(names, v.Common().Name)
		}
	}
	return answer.NoSuch(string(k), c.Segment("name"), names)
}

func (k kind) one(m *Management, c *route.Call) error {
	v, err := k.find(m, c)
	if err != nil {
		return err
	}
	if err := m.addSeen(c, v); err != nil {
		return err
	}
	return show(c, fiber.StatusOK, v)
}

// show answers with a view, and its version as ETag.
func show(c *route.Call, status int, v shown) error {
	if version := v.Common().Version; version > 0 && v.Common().Would == "" {
		c.Set(fiber.HeaderETag, `"`+strconv.FormatUint(version, 10)+`"`)
	}
	return answer.JSON(c.Ctx, status, v)
}
