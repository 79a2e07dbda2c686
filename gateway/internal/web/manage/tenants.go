package manage

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/deletion"
	"github.com/surveygate/surveygate/gateway/internal/erase"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/replay"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// tenantRows are the routes of tenants.
func tenantRows() []row {
	const one = "/v1/tenants/:id"
	conflict := []int{fiber.StatusConflict}
	return []row{
		{(*Management).tenants, route.Route{
			Method: fiber.MethodGet, Path: "/v1/tenants", Scope: access.Admin, Operator: true, Query: []string{"q", "limit", "cursor"},
			For: "list tenants: those that have a record, and those that a file, a document or a token names", Out: view.Page[view.Tenant]{},
		}},
		{(*Management).tenant, route.Route{
			Method: fiber.MethodGet, Path: one, Scope: access.Admin, TenantIn: "id", For: "one tenant, with what it has", Out: view.Tenant{}, Tagged: true,
		}},
		{(*Management).putTenant, route.Route{
			Method: fiber.MethodPut, Path: one, Scope: access.Admin, Operator: true, TenantIn: "id", NewTenant: true, Query: []string{"restore", "dry_run"},
			For: "make a tenant, or replace its title, limits and metadata; 201 if its record is new", In: view.TenantSpec{}, Out: view.Tenant{},
			Statuses: append(conflict, fiber.StatusCreated), Tagged: true, Conditional: true,
		}},
		{(*Management).patchTenant, route.Route{
			Method: fiber.MethodPatch, Path: one, Scope: access.Admin, Operator: true, TenantIn: "id", Query: []string{"dry_run"},
			For: "change the title, limits or metadata of a tenant, by a merge patch", In: route.TenantPatch, Out: view.Tenant{}, Statuses: conflict,
			Tagged: true, Conditional: true,
		}},
		{(*Management).deleteTenant, route.Route{
			Method: fiber.MethodDelete, Path: one, Scope: access.Admin, Operator: true, TenantIn: "id", Query: []string{"cascade"},
			For: "delete a tenant; 409 while it owns anything, unless `cascade=true` deletes that too, as a job", Out: view.Job{},
			Status: fiber.StatusAccepted, Statuses: append(conflict, fiber.StatusNoContent), Conditional: true, Located: true,
		}},
	}
}

// viewTenant returns the view of a tenant.
func (m *Management) viewTenant(id string) view.Tenant {
	return m.viewRecord(id, m.Tenants.Record(id))
}

// viewRecord returns the view of a tenant with a record; nil: it has none.
func (m *Management) viewRecord(id string, record *access.Tenant) view.Tenant {
	provenance := m.Tenants.Named(id)
	switch {
	case provenance != "":
	case record != nil:
		provenance = access.ByAPI
	case id == access.DefaultTenant:
		provenance = access.InFile
	default:
		provenance = "store"
	}
	return view.NewTenant(id, provenance, record, m.Tenants.AllowedBy(record))
}

func (m *Management) tenants(c *route.Call) error {
	ids := m.Tenants.IDs()
	if text := strings.ToLower(c.Asked("q")); text != "" {
		ids = slices.DeleteFunc(ids, func(id string) bool {
			if strings.Contains(id, text) {
				return false
			}
			record := m.Tenants.Record(id)
			return record == nil || !strings.Contains(strings.ToLower(record.Title), text)
		})
	}
	return route.PageOfViews(c, ids, func(id string) string { return id }, func(ids []string) ([]view.Tenant, error) {
		all := make([]view.Tenant, len(ids))
		for i, id := range ids {
			all[i] = m.viewTenant(id)
		}
		return all, nil
	})
}

func (m *Management) tenant(c *route.Call) error {
	v := m.viewTenant(c.Tenant)
	kinds, err := m.documentCounts(c)
	if err != nil {
		return err
	}
	v.Uses = &view.TenantUses{
		Webhooks: kinds["webhook"], Connections: kinds["connection"], Sources: kinds["source"], Rules: kinds["rule"],
		Tokens: len(m.Access.Stored.Of(c.Tenant)),
	}
	use, err := stats.PlanUseOf(c.Base, m.Store, c.Tenant, m.Tenants.Since(c.Tenant), m.Tenants.EventsPerMinute(c.Tenant), m.Clock.Now())
	if err != nil {
		return err
	}
	v.Standing = &view.TenantStanding{EventsThisMinute: use.ThisMinute, OverLimit1h: use.Over1h, OverLimit24h: use.Over24h}
	return showTenant(c, fiber.StatusOK, v)
}

// documentCounts counts the documents of a tenant by kind.
func (m *Management) documentCounts(c *route.Call) (map[string]int, error) {
	list, err := m.Store.List(c.Base, c.Tenant, state.KindDocument)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, s := range list {
		counts[settings.Kind(s.Name)]++
	}
	return counts, nil
}

func showTenant(c *route.Call, status int, v view.Tenant) error {
	if v.Version > 0 {
		c.Set(fiber.HeaderETag, `"`+strconv.FormatUint(v.Version, 10)+`"`)
	}
	return answer.JSON(c.Ctx, status, v)
}

func (m *Management) putTenant(c *route.Call) error {
	var spec view.TenantSpec
	if err := route.ReadJSON(c.Body(), &spec); err != nil {
		return err
	}
	return m.changeTenant(c, func(*access.Tenant) (*view.TenantSpec, error) { return &spec, nil })
}

func (m *Management) patchTenant(c *route.Call) error {
	patch := body(c)
	if err := route.ReadJSON(patch, &map[string]json.RawMessage{}); err != nil {
		return err
	}
	return m.changeTenant(c, func(record *access.Tenant) (*view.TenantSpec, error) {
		was, err := json.Marshal(specOf(record))
		if err != nil {
			return nil, err
		}
		patched, err := settings.MergePatch(was, patch)
		if err != nil {
			return nil, answer.Invalid("the merge patch cannot be read")
		}
		spec := &view.TenantSpec{}
		return spec, route.ReadJSON(patched, spec)
	})
}

// changeTenant writes the record of a tenant.
func (m *Management) changeTenant(c *route.Call, change func(record *access.Tenant) (*view.TenantSpec, error)) error {
	how := access.How{By: c.By().Name, At: m.Clock.Now().UTC()}
	var err error
	if how.Restore, err = c.Flag("restore"); err != nil {
		return err
	}
	if how.DryRun, err = c.Flag("dry_run"); err != nil {
		return err
	}
	now, was, err := m.Tenants.Change(c.Base, c.Tenant, how, func(r *access.Tenant) error {
		if err := matches(c, r); err != nil {
			return err
		}
		spec, err := change(r)
		if err != nil {
			return err
		}
		if err := checkTenant(spec); err != nil {
			return err
		}
		r.Title, r.Limits, r.Metadata = spec.Title, spec.Limits, spec.Metadata
		return nil
	})
	if errors.Is(err, access.ErrTooManyTenants) {
		return answer.NewProblem(fiber.StatusForbidden, view.PlanRestriction, err.Error(), "limits", "tenants")
	}
	if err != nil {
		return Refusal(err)
	}
	if how.DryRun {
		v := m.viewRecord(c.Tenant, now)
		v.Would = string(wouldOf(now, was))
		return answer.JSON(c.Ctx, fiber.StatusOK, v)
	}
	status, did := fiber.StatusOK, "tenant.update"
	var before *view.TenantSpec
	if was == nil {
		status, did = fiber.StatusCreated, "tenant.create"
	} else {
		before = specOf(was)
	}
	if err := m.noteChange(c, did, "tenant/"+c.Tenant, now.Version, before, specOf(now)); err != nil {
		return err
	}
	return showTenant(c, status, m.viewTenant(c.Tenant))
}

// specOf returns what a caller sets of a record.
func specOf(r *access.Tenant) *view.TenantSpec {
	return &view.TenantSpec{Title: r.Title, Limits: r.Limits, Metadata: r.Metadata}
}

func wouldOf(now, was *access.Tenant) settings.Would {
	switch was {
	case nil:
		return settings.WouldCreate
	case now:
		return settings.WouldNothing
	}
	return settings.WouldUpdate
}

// noteChange adds a line to the tenant's audit, unless before and after are equal. nil is neither.
func (m *Management) noteChange(c *route.Call, did, of string, version uint64, before, after any) error {
	line, err := lineOf(c, did, of, version, before, after)
	if err != nil || line.Before != nil && string(line.Before) == string(line.After) {
		return err
	}
	return m.Book.Audit.Add(c.Base, c.Tenant, line)
}

// lineOf returns the audit line of a change; before and after may be nil.
func lineOf(c *route.Call, did, of string, version uint64, before, after any) (line audit.Line, err error) {
	line = audit.Line{By: c.By(), Did: did, Of: of, Version: version}
	if line.Before, err = written(before); err != nil {
		return line, err
	}
	if line.After, err = written(after); err != nil {
		return line, err
	}
	line.Changed = settings.ChangedPaths(line.Before, line.After)
	return line, nil
}

// audited returns the audit line of a change as what is written together with the change, so that neither is there without the other,
// and what tells of the line, to be called then.
func (m *Management) audited(c *route.Call, did, of string, before, after any) (with []state.Item, tell func(), err error) {
	line, err := lineOf(c, did, of, 0, before, after)
	if err != nil {
		return nil, nil, err
	}
	var batch state.Batch
	lines := []audit.Line{line}
	if err := m.Book.Audit.AddTo(&batch, c.Tenant, lines, []int{0}); err != nil {
		return nil, nil, err
	}
	return batch.Items, func() { m.Book.Audit.Tell(c.Base, c.Tenant, lines) }, nil
}

func written(v any) (json.RawMessage, error) {
	text, err := json.Marshal(v)
	if err != nil || string(text) == "null" {
		return nil, err
	}
	return text, nil
}

// matches refuses a version that If-Match does not name. The version of a record is 0 where there is none.
func matches(c *route.Call, r *access.Tenant) error {
	switch none := strings.TrimSpace(c.Get(fiber.HeaderIfNoneMatch)); {
	case none != "" && none != "*":
		return answer.Invalid("only `*` can be asked for here: that there is none of this name yet", fiber.HeaderIfNoneMatch)
	case none == "*" && r.Version > 0:
		return answer.NewProblem(fiber.StatusPreconditionFailed, view.Conflict, "it is there already", fiber.HeaderIfNoneMatch)
	}
	switch match := strings.TrimSpace(c.Get(fiber.HeaderIfMatch)); match {
	case "":
		return nil
	case "*":
		if r.Version > 0 {
			return nil
		}
	default:
		tags, err := parseTags(match)
		if err != nil {
			return err
		}
		if r.Version > 0 && slices.Contains(tags, r.Version) {
			return nil
		}
	}
	msg := "it has no version yet"
	if r.Version > 0 {
		msg = fmt.Sprintf("version %d was written by %s at %s", r.Version, r.UpdatedBy, r.Updated.UTC().Format(time.TimeOnly))
	}
	return answer.NewProblem(fiber.StatusPreconditionFailed, view.Conflict, msg, fiber.HeaderIfMatch)
}

// The bounds of a tenant's record.
const (
	maxTitle         = 200
	maxMetadata      = 50
	maxMetadataKey   = 64
	maxMetadataValue = 500
	maxLimit         = 1_000_000
)

// checkTenant refuses what a record must not hold.
func checkTenant(spec *view.TenantSpec) error {
	if !isText(spec.Title, maxTitle) {
		return answer.Invalid(fmt.Sprintf("a title has at most %d characters, in one line", maxTitle), "title")
	}
	for name, limit := range spec.Limits.All() {
		if limit != nil && (*limit < 0 || *limit > maxLimit) {
			return answer.Invalid(fmt.Sprintf("a limit is a number from 0 to %d; without it, the operator's limit applies", maxLimit), "limits", name)
		}
	}
	if len(spec.Metadata) > maxMetadata {
		return answer.Invalid(fmt.Sprintf("there are at most %d entries", maxMetadata), "metadata")
	}
	for _, key := range slices.Sorted(maps.Keys(spec.Metadata)) {
		if key == "" || !isText(key, maxMetadataKey) {
			return answer.Invalid(fmt.Sprintf("a key has 1 to %d characters, in one line", maxMetadataKey), "metadata")
		}
		if !isText(spec.Metadata[key], maxMetadataValue) {
			return answer.Invalid(fmt.Sprintf("a value has at most %d characters, in one line", maxMetadataValue), "metadata", key)
		}
	}
	return nil
}

// isText reports whether a text is one line of at most so many characters.
func isText(text string, most int) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= most && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 })
}

// deleteTenant removes the record of a tenant that owns nothing; `cascade=true` removes what it owns first, as a job.
func (m *Management) deleteTenant(c *route.Call) error {
	cascade, err := c.Flag("cascade")
	if err != nil {
		return err
	}
	record := m.Tenants.Record(c.Tenant)
	if err := matches(c, cmp.Or(record, &access.Tenant{})); err != nil {
		return err
	}
	if c.Tenant == access.DefaultTenant {
		return answer.Conflict("the default tenant cannot be deleted")
	}
	owned, err := m.ownedBy(c)
	if err != nil {
		return err
	}
	switch {
	case len(owned) > 0 && cascade && m.Cascade != nil:
		return m.Cascade(c)
	case len(owned) > 0:
		return answer.Conflict("it still owns " + strings.Join(owned, ", ") + ": delete that first, or add `cascade=true` to delete all of it")
	case record == nil && m.Tenants.Named(c.Tenant) == access.InFile:
		return answer.NewProblem(fiber.StatusForbidden, view.DefinedInFile, "a file of the configuration names this tenant; take it out there and reload")
	case record == nil:
		return answer.NotFound("record of this tenant; what is stored of its events ends by retention")
	}
	switch err := m.Jobs.Clear(c.Base, c.Tenant); {
	case errors.Is(err, job.ErrRuns):
		return answer.Conflict("a job of it has just begun: add `cascade=true` to cancel it")
	case err != nil:
		return err
	}
	if err := deletion.Remains(c.Base, m.Store, c.Tenant, m.Tenants.Named(c.Tenant) == access.InFile); err != nil {
		return err
	}
	if err := m.Tenants.Delete(c.Base, c.Tenant, c.By().Name, m.Clock.Now().UTC()); err != nil {
		return err
	}
	if err := m.noteChange(c, "tenant.delete", "tenant/"+c.Tenant, 0, specOf(record), nil); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// ownedBy says what a tenant owns: documents, tokens, portal links, deliveries that wait, and jobs that have not ended.
func (m *Management) ownedBy(c *route.Call) ([]string, error) {
	counts, err := m.documentCounts(c)
	if err != nil {
		return nil, err
	}
	links, err := m.Links.List(c.Base, c.Tenant)
	if err != nil {
		return nil, err
	}
	standing, err := m.Store.Standing(c.Base, c.Tenant, nil)
	if err != nil {
		return nil, err
	}
	waiting := 0
	for _, s := range standing {
		waiting += s.Waiting
	}
	jobs, err := m.Jobs.List(c.Base, c.Tenant, replay.Kind, replay.DropKind, erase.Kind)
	if err != nil {
		return nil, err
	}
	jobs = slices.DeleteFunc(jobs, func(j *job.Job) bool { return j.State.Ended() })
	var owned []string
	for _, o := range []struct {
		n    int
		what string
	}{
		{counts["webhook"], "webhook"},
		{counts["connection"], "connection"},
		{counts["source"], "source"},
		{counts["rule"], "rule"},
		{len(m.Access.Stored.Of(c.Tenant)), "token"},
		{len(links), "portal link"},
		{waiting, "waiting delivery"},
		{len(jobs), "running job"},
	} {
		switch {
		case o.n == 1:
			owned = append(owned, "1 "+o.what)
		case o.n > 1:
			owned = append(owned, fmt.Sprintf("%d %ss", o.n, strings.TrimSuffix(o.what, "y")+map[bool]string{true: "ie"}[strings.HasSuffix(o.what, "y")]))
		}
	}
	return owned, nil
}
