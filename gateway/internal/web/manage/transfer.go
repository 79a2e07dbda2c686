package manage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// ImportPath is where imports are sent, whose bodies may have settings.MaxImport bytes.
const ImportPath = "/v1/settings/import"

const (
	yaml = "application/yaml" // the Content-Type

	// importFor bounds the time of an import, within which clients still wait for the answer, and importWait how long it waits for
	// another one: a process works on one at a time.
	importFor  = 50 * time.Second
	importWait = 5 * time.Second
	// An import pauses after each tenant for pauseTimes as long as the work on it took, so that those who publish meanwhile find the store
	// and the processors free most of the time: for at most maxPause, and not after pausesFor.
	pauseTimes          = 6
	maxPause, pausesFor = 40 * time.Millisecond, 16 * time.Second
	// maxImportFaults bounds the details of a refusal, maxDoneNamed the tenants that are named as done.
	maxImportFaults = 100
	maxDoneNamed    = 20
)

// transferRows are the routes of export and import.
func transferRows() []row {
	return []row{
		{(*Management).export, route.Route{
			Method: fiber.MethodGet, Path: "/v1/settings/export", Scope: access.Admin, Query: []string{"sealed"},
			For: "the tenant's documents as a file, with `${NAME}` in place of secrets, or with `sealed=true` and the scope `secrets` with sealed secrets, which an import on a gateway with the same key of the vault takes back", Out: route.Media{yaml: route.Text("")},
		}},
		{(*Management).importSettings, route.Route{
			Method: fiber.MethodPost, Path: ImportPath, Scope: access.Admin, Query: []string{"mode", "owner", "lock", "dry_run"},
			For: "make the documents of a file, with the scope `settings` as well; `dry_run` answers the plan",
			In:  route.Media{yaml: route.Text(""), fiber.MIMEApplicationJSON: json.RawMessage{}}, Out: view.Import{},
			Statuses: []int{fiber.StatusConflict, fiber.StatusRequestEntityTooLarge},
		}},
	}
}

func (m *Management) export(c *route.Call) error {
	sealed, err := c.Flag("sealed")
	if err != nil {
		return err
	}
	if sealed {
		if err := maySeal(c); err != nil {
			return err
		}
	}
	text, err := m.Book.Export(c.Base, c.Tenant, sealed)
	if err != nil {
		return Refusal(err)
	}
	if sealed {
		if err := m.Book.Audit.Add(c.Base, c.Tenant, audit.Line{By: c.By(), Did: "settings.export", Of: "settings"}); err != nil {
			return err
		}
	}
	c.Set(fiber.HeaderContentType, yaml)
	return c.Send(text)
}

// maySeal refuses sealed secrets to who may not read secrets: with another address in the same document, an import would send them there.
func maySeal(c *route.Call) error {
	if c.Grant.May(access.Secrets) {
		return nil
	}
	return answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token lacks the scope `"+access.Secrets.String()+"`, which sealed secrets need", "sealed")
}

// importing is one import on its way.
type importing struct {
	*Management
	call    *route.Call
	how     settings.How
	bundled []*settings.Bundled
	plans   []*settings.Plan
	results [][]settings.Result // by tenant; nil: it was refused
	writing bool                // all is checked
	began   time.Duration
}

// importSettings makes the documents of a body. All tenants are checked before the first is changed.
func (m *Management) importSettings(c *route.Call) error {
	if !c.Grant.May(access.Settings) { // else who may not write a document would write it as an import
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token lacks the scope `"+access.Settings.String()+"`")
	}
	how, err := howToImport(c)
	if err != nil {
		return err
	}
	text, err := sent(c, "a file of documents")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Base, importFor)
	defer cancel()
	leave, err := m.enterImport(ctx)
	if err != nil {
		return err
	}
	defer leave()
	bundle, faults := settings.ReadBundle(text, c.Tenant, c.Named || c.Grant.Tenant != access.AnyTenant)
	if faults != nil {
		return &answer.Problem{Status: fiber.StatusUnprocessableEntity, Detail: placed(faults)}
	}
	i := &importing{Management: m, call: c, how: how, bundled: bundle.Tenants, began: m.Clock.Elapsed()}
	if err := i.exist(ctx); err != nil {
		return err
	}
	if bundle.HasSealed() {
		if err := maySeal(c); err != nil {
			return err
		}
		if faults := m.Book.Unseal(bundle); len(faults) > 0 {
			return &answer.Problem{Status: fiber.StatusUnprocessableEntity, Detail: placed(faults)}
		}
	}
	if err := i.all(ctx, i.check).refusal(i); err != nil {
		return err
	}
	if i.writing = !how.DryRun; i.writing {
		err := i.all(ctx, i.write).refusal(i)
		i.awaitUse(ctx)
		if err != nil {
			return err
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, i.view())
}

// howToImport reads the parameters of an import.
func howToImport(c *route.Call) (settings.How, error) {
	how := settings.How{By: c.By(), Provenance: "import", Owner: strings.Clone(c.Asked("owner")), Later: true}
	var err error
	if how.DryRun, err = c.Flag("dry_run"); err != nil {
		return how, err
	}
	if how.Lock, err = c.Flag("lock"); err != nil {
		return how, err
	}
	switch c.Asked("mode") {
	case "", "merge":
	case "replace":
		how.Replace = true
	default:
		return how, answer.Invalid("this is `merge` or `replace`", "mode")
	}
	switch {
	case how.Owner == "" && how.Replace:
		return how, answer.Invalid("`replace` deletes what the owner had, so it needs `owner`", "owner")
	case how.Owner == "" && how.Lock:
		return how, answer.Invalid("`lock` is for an owner, so it needs `owner`", "owner")
	case how.Owner != "" && !access.ValidName(how.Owner):
		return how, answer.Invalid("this is a name: lower-case letters, digits, _ and -, beginning with a letter or digit", "owner")
	}
	return how, nil
}

// enterImport waits for the import before.
func (m *Management) enterImport(ctx context.Context) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, importWait)
	defer cancel()
	select {
	case m.importing <- struct{}{}:
		return func() { <-m.importing }, nil
	case <-ctx.Done():
		problem := answer.NewProblem(fiber.StatusTooManyRequests, view.RateLimited, "another import is being made; send it again")
		problem.RetryAfter = answer.DefaultRetryAfter
		return nil, problem
	}
}

// awaitUse waits until the changes of all tenants are in use, and not after each.
func (i *importing) awaitUse(ctx context.Context) {
	tenants := make([]string, len(i.bundled))
	for n, t := range i.bundled {
		tenants[n] = t.Tenant
	}
	i.Book.AwaitUse(ctx, tenants, i.results)
}

// exist refuses tenants that there are not: a mistyped name would make one.
func (i *importing) exist(ctx context.Context) error {
	var details []view.Detail
	for _, t := range i.bundled {
		exists, err := i.Tenants.Exists(ctx, t.Tenant)
		if err != nil {
			return err
		}
		if !exists && len(details) < maxImportFaults {
			detail := answer.NoSuch("tenant", t.Tenant, i.Tenants.IDs()).Detail[0]
			if !strings.Contains(detail.Msg, t.Tenant) {
				detail.Msg += " `" + t.Tenant + "`"
			}
			details = append(details, at(t.Fault("", document.Fault{}), detail))
		}
	}
	if len(details) > 0 {
		return &answer.Problem{Status: fiber.StatusNotFound, Detail: details}
	}
	return nil
}

// outcome is what an import came to: the error of each tenant.
type outcome []error

// all does one step of the import for each tenant, one after the other.
func (i *importing) all(ctx context.Context, step func(ctx context.Context, n int) ([]settings.Result, error)) outcome {
	i.results = make([][]settings.Result, len(i.bundled))
	errs := make(outcome, len(i.bundled))
	for n := range i.bundled {
		if errs[n] = ctx.Err(); errs[n] != nil {
			continue
		}
		began := i.Clock.Elapsed()
		i.results[n], errs[n] = step(ctx, n)
		if now := i.Clock.Elapsed(); n < len(i.bundled)-1 && now-i.began < pausesFor {
			i.pause(ctx, min(pauseTimes*(now-began), maxPause))
		}
	}
	return errs
}

// check makes the plan of a tenant.
func (i *importing) check(ctx context.Context, n int) ([]settings.Result, error) {
	plan, err := i.Book.Plan(ctx, i.bundled[n].Tenant, i.bundled[n].Changes, i.how)
	if err != nil {
		return nil, err
	}
	i.plans = append(i.plans, plan) // an import with an error makes none of them
	return plan.Results(), nil
}

// write makes the changes of a tenant.
func (i *importing) write(ctx context.Context, n int) ([]settings.Result, error) {
	plan := i.plans[n]
	i.plans[n] = nil
	return i.Book.Do(ctx, plan)
}

func (i *importing) pause(ctx context.Context, length time.Duration) {
	over, stop := i.Clock.After(length)
	defer stop()
	select {
	case <-over:
	case <-ctx.Done():
	}
}

// refusal returns the answer to errors; nil if there are none. It says which tenants are done.
func (o outcome) refusal(i *importing) error {
	problem := &answer.Problem{}
	same := true
	for n, err := range o {
		for _, each := range parts(err) {
			one := answer.FromError(Refusal(each))
			switch {
			case errors.Is(each, context.DeadlineExceeded):
				one = answer.Unavailable("the time of an import is over; send it again, or some of its tenants at a time", answer.DefaultRetryAfter, each)
			case problem.Status == 0:
				problem.Status = one.Status
			}
			problem.Status = max(problem.Status, one.Status)
			same = same && one.Status == problem.Status
			problem.Cause, problem.RetryAfter = errors.Join(problem.Cause, one.Cause), max(problem.RetryAfter, one.RetryAfter)
			problem.Detail = append(problem.Detail, detailsOf(i.bundled[n], each, one)...)
		}
	}
	switch {
	case problem.Status == 0:
		return nil
	case !same && problem.Status < fiber.StatusInternalServerError:
		problem.Status = fiber.StatusUnprocessableEntity
	}
	if more := len(problem.Detail) - maxImportFaults; more > 0 {
		problem.Detail = append(problem.Detail[:maxImportFaults], view.Detail{Msg: fmt.Sprintf("there are %d more like these", more), Type: view.Validation})
	}
	if done := i.done(); done != "" {
		problem.Detail = append(problem.Detail, view.Detail{Msg: done, Type: problem.Detail[0].Type})
	}
	return problem
}

// parts returns the single errors of one, and none of nil.
func parts(err error) []error {
	if err == nil {
		return nil
	}
	if refusals, ok := errors.AsType[settings.Refusals](err); ok {
		return refusals
	}
	return []error{err}
}

// detailsOf returns the details of an error of a tenant, with their places in the body.
func detailsOf(t *settings.Bundled, err error, problem *answer.Problem) []view.Detail {
	if faults, ok := errors.AsType[*settings.FaultsError](err); ok {
		var all document.Faults
		for _, f := range faults.Faults {
			all = append(all, t.Fault(faults.Name, f))
		}
		return placed(all)
	}
	details := make([]view.Detail, len(problem.Detail))
	for i, d := range problem.Detail {
		if !strings.Contains(d.Msg, t.Tenant) {
			d.Msg = "tenant `" + t.Tenant + "`: " + d.Msg
		}
		if name := settings.RefusedName(err); name != "" {
			d = at(t.Fault(name, document.Fault{}), d)
		}
		details[i] = d
	}
	return details
}

// placed returns the details of faults in the body, with their places.
func placed(faults document.Faults) []view.Detail {
	details := faultDetails(faults)
	for i := range details {
		details[i] = at(faults[i], details[i])
	}
	return details
}

// at adds a place in the body to a detail.
func at(f document.Fault, d view.Detail) view.Detail {
	d.Loc, d.Line, d.Column = view.LocOf(f), f.Line, f.Column
	return d
}

// done says which tenants of an import that failed are done; empty if none is, or if nothing was to be changed.
func (i *importing) done() string {
	if !i.writing {
		return ""
	}
	var names []string
	for n, results := range i.results {
		if results != nil {
			names = append(names, i.bundled[n].Tenant)
		}
	}
	if len(names) == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d tenants are done: ", len(names), len(i.bundled))
	if more := len(names) - maxDoneNamed; more > 0 {
		text += strings.Join(names[:maxDoneNamed], ", ") + fmt.Sprintf(" and %d others", more)
	} else {
		text += strings.Join(names, ", ")
	}
	return text + "; the same import again does the rest"
}

// view returns the answer to an import that succeeded.
func (i *importing) view() view.Import {
	v := view.Import{DryRun: i.how.DryRun, Tenants: make([]view.ImportedTenant, len(i.bundled))}
	for n, t := range i.bundled {
		of := view.ImportedTenant{Tenant: t.Tenant, Done: !i.how.DryRun, Items: make([]view.ImportedItem, len(i.results[n]))}
		counts := map[settings.Would]int{}
		for j := range i.results[n] {
			r := &i.results[n][j]
			of.Items[j] = importedItem(r, i.how.DryRun)
			counts[r.Would]++
			of.Pending = of.Pending || r.Entry.Pending
		}
		of.Plan = planOf(counts[settings.WouldCreate], counts[settings.WouldUpdate], counts[settings.WouldDelete])
		v.Create += counts[settings.WouldCreate]
		v.Update += counts[settings.WouldUpdate]
		v.Delete += counts[settings.WouldDelete]
		v.Nothing += counts[settings.WouldNothing]
		v.Tenants[n] = of
	}
	v.Plan = planOf(v.Create, v.Update, v.Delete)
	return v
}

func planOf(create, update, remove int) string {
	return fmt.Sprintf("+%d ~%d -%d", create, update, remove)
}

func importedItem(r *settings.Result, dry bool) view.ImportedItem {
	item := view.ImportedItem{
		Kind: settings.Kind(r.Entry.Name), Name: settings.Title(r.Entry.Name), Change: string(r.Would), Waiting: r.Waiting,
		Warnings: view.NewSettingProblems(r.Entry.Warnings),
	}
	switch {
	case dry:
		item.Version = r.From
	case r.Would != settings.WouldDelete:
		item.Version = r.Entry.Version
	}
	if now := &r.Entry.Meta; r.Would == settings.WouldUpdate {
		if r.Was.Owner != now.Owner {
			item.Owner = &view.ChangedOwner{From: r.Was.Owner, To: now.Owner}
		}
		if r.Was.Lock != now.Lock {
			item.Locked = &now.Lock
		}
	}
	return item
}
