package settings

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/crashpoint"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Change is what one document is to become.
type Change struct {
	// Name is KIND/NAME.
	Name string
	// Spec is the document's settings as JSON or YAML, with its secrets or their masks; with Patch it is a merge patch of what Get
	// returns. Delete removes the document, and needs no Spec.
	Spec   []byte
	Patch  bool
	Delete bool
	// If is the version that the document must have; 0 means that there must be none. nil: whatever it is.
	If *uint64
	// MustExist: there must be such a document, of whatever version.
	MustExist bool

	// edit, if it is set, changes the settings in place of Spec: a mapping with all secrets. until is when the secrets of a webhook end
	// that were there before.
	edit  func(settings map[string]any, current *read) error
	until time.Time
}

// How is who changes documents, and how.
type How struct {
	By audit.By
	// Provenance is api, import or compat. A document that is there already keeps its own.
	Provenance string
	// Owner becomes the owner of the documents; empty changes none. Lock refuses changes by everybody but the owner.
	Owner string
	Lock  bool
	// DryRun changes nothing: the results are those that there would be.
	DryRun bool
	// Locked also changes documents that another owner has locked: their tenant is deleted.
	Locked bool
	// Replace deletes the documents of the tenant that have this owner and are not among the changes; Owner is then required. Their
	// results follow those of the changes, by name.
	Replace bool
	// Untested: rules are not refused because their own tests fail.
	Untested bool
	// MakeSecrets gives a secret to a webhook that comes without one and whose signature needs one, unless it has some already: see
	// Result.Made.
	MakeSecrets bool
	// Later: Apply need not wait until the documents are in use. The caller does, with AwaitUse, or does not care.
	Later bool
	// variables: what is tried may have ${NAME} without a value. It cannot be stored.
	variables bool
}

// Would is what a change does.
type Would string

// What a change does.
const (
	WouldCreate  Would = "create"
	WouldUpdate  Would = "update"
	WouldDelete  Would = "delete"
	WouldNothing Would = "nothing"
)

// Result is the result of one change.
type Result struct {
	Would Would
	// Entry is the document after the change; of a deleted one, before it.
	Entry Entry
	// Was is the metadata of the document before the change, and From its version; zero if there was none.
	Was  Meta
	From uint64
	// Waiting is how many deliveries waited for a deleted destination.
	Waiting int
	// Secrets are those of a webhook after the change.
	Secrets []WebhookSecret
	// Made is the secret that was made for a webhook; zero if none was. It is shown once.
	Made connectors.Secret
}

// Apply changes documents of a tenant, and returns a result for each change in its order. Either all changes are done, or, after an
// error, none: the errors are those in refusal.go, ErrTooLarge, vault.ErrNoKey and those of the store. If several changes are refused,
// the error is a Refusals with each.
//
// It returns when this process uses the documents as they are then, or when that has taken too long: see Entry.Pending.
func (b *Book) Apply(ctx context.Context, tenant string, changes []Change, how How) (results []Result, err error) {
	if how.DryRun {
		p, err := b.plan(ctx, tenant, changes, how)
		if err != nil {
			return nil, err
		}
		return p.results(), nil
	}
	return b.Do(ctx, &Plan{tenant: tenant, changes: changes, how: how})
}

// Plan is changes that were checked, to be made by Do. It is used once.
type Plan struct {
	tenant  string
	changes []Change
	how     How
	checked *planned // nil: they were not checked yet
}

// Plan checks changes as Apply does and changes nothing, whatever how says.
func (b *Book) Plan(ctx context.Context, tenant string, changes []Change, how How) (*Plan, error) {
	checked, err := b.plan(ctx, tenant, changes, how)
	if err != nil {
		return nil, err
	}
	return &Plan{tenant: tenant, changes: changes, how: how, checked: checked}, nil
}

// Results returns what Do would return.
func (p *Plan) Results() []Result { return p.checked.results() }

// Do makes the changes of a plan. What changed since they were checked makes it check them again, so that its errors and results are
// those of Apply.
func (b *Book) Do(ctx context.Context, plan *Plan) (results []Result, err error) {
	err = b.Writer.Alone(ctx, plan.tenant, func(ctx context.Context) error {
		p, err := b.current(ctx, plan)
		if err != nil {
			return err
		}
		if err = b.write(ctx, p); err == nil {
			results = p.results()
		}
		return err
	})
	if err == nil && !plan.how.Later {
		b.AwaitUse(ctx, []string{plan.tenant}, [][]Result{results})
	}
	return results, err
}

// current returns the checked changes of a plan: those that it has, if the tenant's documents and the base are what they were checked
// with, which spares the compilation.
func (b *Book) current(ctx context.Context, plan *Plan) (*planned, error) {
	if plan.checked == nil {
		return b.plan(ctx, plan.tenant, plan.changes, plan.how)
	}
	list, err := b.Writer.Store.List(ctx, plan.tenant, state.KindDocument)
	if err != nil {
		return nil, err
	}
	p := plan.checked
	same := len(list) == len(p.all) && p.base == b.Base()
	for i := range list {
		r := p.all[list[i].Name]
		same = same && r != nil && r.Version == list[i].Version
	}
	if !same {
		return b.plan(ctx, plan.tenant, plan.changes, plan.how)
	}
	return p, nil
}

// AwaitUse waits until this process uses the documents of tenants as they are after changes. results are those of Apply for each tenant.
// Those of documents that are not in use in time become pending.
func (b *Book) AwaitUse(ctx context.Context, tenants []string, results [][]Result) {
	if b.Await == nil {
		return
	}
	used := func(tenant string, r *Result) bool {
		return r.Would != WouldDelete && hasVersion(b.Overlay(tenant), r.Entry.Name, r.Entry.Version)
	}
	var unused []string
	for i, tenant := range tenants {
		if slices.ContainsFunc(results[i], func(r Result) bool { return !used(tenant, &r) }) {
			unused = append(unused, tenant)
		}
	}
	if len(unused) == 0 || b.Await(ctx, unused...) {
		return
	}
	for i, tenant := range tenants {
		for j := range results[i] {
			r := &results[i][j]
			r.Entry.Pending = !used(tenant, r)
		}
	}
}

// planned are changes that passed all checks.
type planned struct {
	tenant  string
	how     How
	changes []*change
	all     map[string]*read // the tenant's documents before
	base    *config.Config
	was     *config.TenantConfig // without the changes
	overlay *config.TenantConfig // with the changes
}

// change is one change on its way.
type change struct {
	Change
	would         Would
	current, next *read // nil: there is none
	stored        []byte
	waiting       int
	shadowed      bool // the document that is deleted: a file has the destination
	keeps         bool // some of its secrets are kept, and not written
	made          connectors.Secret
	before, after json.RawMessage // masked
}

func (p *planned) results() []Result {
	results := make([]Result, len(p.changes))
	for i, c := range p.changes {
		r := Result{Would: c.would, Waiting: c.waiting, Made: c.made}
		of := cmp.Or(c.next, c.current)
		r.Entry = Entry{Name: of.Name, Version: of.Version, Meta: of.meta, Spec: c.after}
		if c.current != nil {
			r.Was, r.From = c.current.meta, c.current.Version
		}
		if c.next == nil {
			r.Entry.Spec = c.before
		} else if isWebhook(of.Name) {
			for i, s := range secretsOf(of) {
				r.Secrets = append(r.Secrets, WebhookSecret{s, of.Secrets[secretPath(i)]})
			}
		}
		r.Entry.compiledIn(p.overlay)
		if warning := c.ofOther(p.how.Owner); warning != nil {
			r.Entry.Warnings = append(slices.Clip(r.Entry.Warnings), *warning)
		}
		results[i] = r
	}
	return results
}

// ofOther warns about a change of a document that another owner manages.
func (c *change) ofOther(owner string) *document.Fault {
	if c.current == nil || c.next == nil || c.would == WouldNothing {
		return nil
	}
	switch of := c.current.meta.Owner; of {
	case "", owner:
		return nil
	default:
		f := document.At(storeName(c.Name), "`"+of+"` manages this document, and its next import will write over it", "change it there too")
		return &f
	}
}

// plan checks changes, and prepares them.
func (b *Book) plan(ctx context.Context, tenant string, changes []Change, how How) (*planned, error) {
	all, err := b.documents(ctx, tenant)
	if err != nil {
		return nil, err
	}
	base, was := b.compiled(tenant, all)
	for i := range was.Documents {
		all[was.Documents[i].Name].hide(was.Documents[i].Clear)
	}
	p := &planned{tenant: tenant, how: how, all: all, base: base, was: was}
	whole := maps.Clone(all) // as the callers wrote them, so that faults have their places
	if changes, err = how.replacing(all, changes); err != nil {
		return nil, err
	}
	var refused Refusals
	for _, each := range changes {
		c := &change{Change: each, current: all[each.Name]}
		p.changes = append(p.changes, c)
		if err := c.admit(how); err != nil {
			refused = append(refused, err)
			continue
		}
		if c.Delete {
			c.would = WouldDelete
			before := compiled(was, c.Name)
			c.shadowed = before != nil && before.State == config.Shadowed
			delete(whole, c.Name)
			continue
		}
		written, err := b.written(c)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		whole[c.Name] = &read{Document: config.Document{Name: c.Name, Spec: written, Version: c.version(), Variables: how.variables}}
	}
	p.overlay = config.Overlay(base, tenant, listed(whole))
	if how.MakeSecrets {
		b.makeSecrets(base, p, whole)
	}
	if refused = p.check(was, refused); len(refused) > 0 {
		return nil, refused.err()
	}
	if err := p.rulesSecrets(whole); err != nil {
		return nil, err
	}
	if err := p.asksTooMany(was); err != nil {
		return nil, err
	}
	for _, c := range p.changes {
		if err := b.prepare(base, p, c, whole[c.Name]); err != nil {
			return nil, err
		}
	}
	if refused := b.test(p); len(refused) > 0 {
		return nil, refused.err()
	}
	if err := b.seal(p); err != nil { // for a dry run too, which has the same bounds
		return nil, err
	}
	return p, b.fits(ctx, p)
}

// compiled returns the base, and the overlay of all documents of a tenant: the one in use, if it has just these.
func (b *Book) compiled(tenant string, all map[string]*read) (*config.Config, *config.TenantConfig) {
	base := b.Base()
	o := b.Overlay(tenant)
	if o == nil || b.Base() != base || len(o.Documents) != len(all) {
		return base, config.Overlay(base, tenant, listed(all))
	}
	for i := range o.Documents {
		if r := all[o.Documents[i].Name]; r == nil || r.Version != o.Documents[i].Version {
			return base, config.Overlay(base, tenant, listed(all))
		}
	}
	return base, o
}

// replacing checks changes, and adds the deletions that Replace asks for.
func (how *How) replacing(all map[string]*read, changes []Change) ([]Change, error) {
	names := make(map[string]bool, len(changes))
	for _, c := range changes {
		if names[c.Name] {
			return nil, notOfKind(c.Name + " (twice)")
		}
		names[c.Name] = true
	}
	if !how.Replace {
		return changes, nil
	}
	if how.Owner == "" {
		return nil, fmt.Errorf("%w: to replace documents, their owner is needed", state.ErrInvalid)
	}
	changes = slices.Clip(changes)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name].meta.Owner == how.Owner && !names[name] {
			changes = append(changes, Change{Name: name, Delete: true})
		}
	}
	return changes, nil
}

// version is the one that a document is compiled with before it is written: new ones come last.
func (c *change) version() uint64 {
	if c.current != nil {
		return c.current.Version
	}
	return ^uint64(0)
}

// admit checks the version and the owner of what is to be changed.
func (c *change) admit(how How) error {
	if c.current == nil && (c.Delete || c.Patch || c.edit != nil) {
		return ErrNoDocument
	}
	if c.MustExist && c.current == nil {
		return &VersionError{Name: c.Name}
	}
	if c.If != nil && (c.current == nil) != (*c.If == 0) || c.If != nil && c.current != nil && c.current.Version != *c.If {
		e := &VersionError{Name: c.Name, None: *c.If == 0}
		if c.current != nil {
			e.Version, e.By, e.At = c.current.Version, c.current.meta.UpdatedBy, c.current.meta.Updated
		}
		return e
	}
	if c.current == nil {
		return nil
	}
	if m := c.current.meta; m.Lock && m.Owner != how.Owner && !how.Locked {
		return &OwnedError{c.Name, m.Owner}
	}
	return nil
}

// written returns the settings of a document as its caller means them, with its secrets.
func (b *Book) written(c *change) ([]byte, error) {
	if c.edit != nil {
		c.keeps = true
		if err := c.closed(nil); err != nil {
			return nil, err
		}
		return c.edited()
	}
	node, faults := document.ParseStored(storeName(c.Name), c.Spec)
	if node == nil {
		return nil, &FaultsError{c.Name, faults}
	}
	tree, err := parseTree(node.JSON())
	if err != nil {
		return nil, &FaultsError{c.Name, document.Faults{document.At(storeName(c.Name), "it is not JSON: "+err.Error(), "write a mapping of settings")}}
	}
	if err := c.closed(tree); err != nil {
		return nil, err
	}
	if c.Patch {
		tree = mergePatch(b.masked(c.current), tree)
	}
	tree, masks, err := b.unmask(tree, c.current)
	if err != nil {
		return nil, err
	}
	c.keeps = masks
	if !c.Patch && !masks {
		return c.Spec, nil // with the places of the caller's own text
	}
	return writeTree(tree), nil
}

// closed refuses a change that would keep a secret which cannot be opened: an edit, a merge patch that leaves the secret as it is, and the
// whole of a webhook without `secrets`, which keeps those that it has.
func (c *change) closed(tree any) error {
	if c.current == nil {
		return nil
	}
	for _, path := range slices.SortedFunc(maps.Keys(c.current.closed), byPlace) {
		steps := document.SplitPath(path)
		keeps := c.edit != nil || c.Patch && !replaces(tree, steps)
		if !c.Patch && c.edit == nil && isWebhook(c.Name) && steps[0] == secretsKey {
			keeps = !replaces(tree, steps[:1])
		}
		if keeps {
			return &ClosedError{c.Name, path, c.current.closed[path]}
		}
	}
	return nil
}

// replaces reports whether a merge patch writes or removes what is at a path.
func replaces(patch any, path []string) bool {
	for _, step := range path {
		settings, ok := patch.(map[string]any)
		if !ok {
			return true
		}
		if patch, ok = settings[step]; !ok {
			return false
		}
	}
	return true
}

// edited returns the settings of a document after its edit.
func (c *change) edited() ([]byte, error) {
	tree, err := whole(c.current)
	settings, ok := tree.(map[string]any)
	if err != nil || !ok {
		return nil, &FaultsError{c.Name, document.Faults{document.At(storeName(c.Name), "the document cannot be read", "write it again")}}
	}
	if err := c.edit(settings, c.current); err != nil {
		return nil, err
	}
	return writeTree(settings), nil
}

// check adds the changes that do not compile, or that break other documents, to those that are refused already.
func (p *planned) check(was *config.TenantConfig, refused Refusals) Refusals {
	changed := map[string]bool{}
	named := map[string]bool{}
	for _, err := range refused { // the document as it is may be broken too
		if f, ok := errors.AsType[*FaultsError](err); ok {
			named[f.Name] = true
		}
	}
	for _, c := range p.changes {
		changed[c.Name] = true
		d := compiled(p.overlay, c.Name)
		switch {
		case d == nil: // deleted
		case d.State == config.Shadowed:
			refused = append(refused, &InFileError{c.Name, d.File})
		case d.State == config.Broken && !named[c.Name]:
			refused = append(refused, &FaultsError{c.Name, d.Faults})
		}
	}
	if len(refused) > 0 {
		return refused
	}
	var needed []string
	for i := range p.overlay.Documents {
		d := &p.overlay.Documents[i]
		if d.State != config.Broken || changed[d.Name] {
			continue
		}
		if before := compiled(was, d.Name); before != nil && before.State != config.Broken {
			needed = append(needed, d.Name)
		}
	}
	if len(needed) > 0 {
		of := max(0, slices.IndexFunc(p.changes, func(c *change) bool { return c.Delete }))
		return Refusals{&NeededError{p.changes[of].Name, needed}}
	}
	return nil
}

// prepare makes the document that a change writes.
func (b *Book) prepare(base *config.Config, p *planned, c *change, whole *read) error {
	if c.current != nil {
		c.before = writeTree(b.masked(c.current))
	}
	if c.Delete {
		return nil
	}
	var clear []string
	if d := compiled(p.overlay, c.Name); d != nil {
		clear = d.Clear
	}
	spec, secrets, ok := config.Split(whole.Document, clear)
	if !ok {
		return &FaultsError{c.Name, document.Faults{document.At(storeName(c.Name), "the document cannot be read", "write a mapping of settings")}}
	}
	c.next = &read{Document: config.Document{Name: c.Name, Spec: spec, Secrets: secrets}}
	now := b.Writer.Clock.Now().UTC()
	meta := Meta{Created: now, CreatedBy: p.how.By.Name, Provenance: p.how.Provenance}
	if c.current != nil {
		meta = c.current.meta
	}
	if p.how.Owner != "" {
		meta.Owner, meta.Lock = p.how.Owner, p.how.Lock
	}
	if isWebhook(c.Name) {
		meta.Secrets = secretMetas(c.current, secrets, now, c.until)
	}
	c.next.meta = meta
	c.after = writeTree(b.masked(c.next))
	switch {
	case c.current == nil:
		c.would = WouldCreate
	case len(c.current.Faults) == 0 && !c.current.unsealed && bytes.Equal(c.before, c.after) && sameSecrets(c.current.Secrets, secrets) && reflect.DeepEqual(meta, c.current.meta):
		c.would, c.next.Version = WouldNothing, c.current.Version
		return nil
	default:
		c.would = WouldUpdate
	}
	c.next.meta.Updated, c.next.meta.UpdatedBy = now, p.how.By.Name
	return nil
}

// fits checks the tenant's limits, and the bounds of its documents together.
func (b *Book) fits(ctx context.Context, p *planned) error {
	count, size := len(p.all), 0
	kinds, created := map[string]int{}, map[string]bool{}
	for name, r := range p.all {
		size += r.size
		kinds[Kind(name)]++
	}
	for _, c := range p.changes {
		kind := Kind(c.Name)
		if c.current != nil && c.would != WouldNothing {
			size -= c.current.size
		}
		switch c.would {
		case WouldCreate:
			count++
			kinds[kind]++
			created[kind] = true
			fallthrough
		case WouldUpdate:
			size += max(len(c.stored), len(c.next.Spec))
		case WouldDelete:
			count--
			kinds[kind]--
		}
	}
	if err := tooMany(count, size); err != nil && len(created) > 0 {
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(created)) {
		if b.Limits == nil {
			break
		}
		most, err := b.Limits(ctx, p.tenant, kind)
		if err != nil {
			return err
		}
		if have := kinds[kind]; most >= 0 && have > most {
			return &LimitError{kind + "s", most, have - 1}
		}
	}
	return nil
}

// maxTries bounds how often changes are written again because a rotation of the key wrote their documents meanwhile.
const maxTries = 20

// write does what was planned, in one write of the store: documents, lines of the audit, and the mark of the key.
func (b *Book) write(ctx context.Context, p *planned) error {
	if err := b.announce(ctx, p); err != nil {
		return err
	}
	crashpoint.At(crashpoint.DocumentChecked)
	batch, written, lines, err := b.batch(ctx, p)
	if err != nil || len(written) == 0 {
		return err
	}
	versions, err := b.Writer.Store.WriteAll(ctx, batch)
	for try := 1; errors.Is(err, state.ErrConflict) && try < maxTries; try++ {
		resealed, failed := b.isResealed(ctx, p, written)
		if failed != nil || !resealed {
			return cmp.Or(failed, err)
		}
		for i, c := range written {
			batch.Writes[i].Version = c.versionBefore()
		}
		versions, err = b.Writer.Store.WriteAll(ctx, batch)
	}
	if err != nil {
		return err
	}
	for i, c := range written {
		if c.next != nil {
			c.next.Version, lines[i].Version = versions[i], versions[i]
		}
	}
	b.Audit.Tell(ctx, p.tenant, lines)
	return nil
}

// seal makes the stored form of the documents that are written.
func (b *Book) seal(p *planned) (err error) {
	for _, c := range p.changes {
		if c.would != WouldCreate && c.would != WouldUpdate {
			continue
		}
		draft := Draft{Name: c.Name, Spec: c.next.Spec, Secrets: c.next.Secrets, Meta: c.next.meta}
		if c.stored, err = encode(b.Writer.Vault.SealOut, p.tenant, draft); err != nil {
			return err
		}
	}
	return nil
}

// batch returns what is to be written, with the changes and the lines of the audit of its first writes.
func (b *Book) batch(ctx context.Context, p *planned) (batch *state.Batch, written []*change, lines []audit.Line, err error) {
	batch = &state.Batch{}
	var versioned []int
	sealed := false
	for _, c := range p.changes {
		if c.would == WouldNothing {
			continue
		}
		w := state.Write{Tenant: p.tenant, Kind: state.KindDocument, Name: c.Name, Value: c.stored, Version: c.versionBefore()}
		of := 0
		if c.Delete {
			w.Verb = state.Remove
		} else {
			of = len(batch.Writes) + 1
			sealed = sealed || len(c.next.Secrets) > 0
			// The note comes first: without it, a secret would not end.
			if err := noteEnding(ctx, b.Writer.Store, p.tenant, c.Name, c.next.meta.Secrets); err != nil {
				return nil, nil, nil, err
			}
		}
		batch.Writes, written, versioned = append(batch.Writes, w), append(written, c), append(versioned, of)
		lines = append(lines, audit.Line{
			By: p.how.By, Did: Kind(c.Name) + "." + string(c.would), Of: c.Name, Before: c.before, After: c.after,
			Changed: append(changedPaths(c.before, c.after), c.changedMeta()...),
		})
	}
	if sealed {
		mark, err := b.Writer.Vault.Mark(p.tenant, state.KindDocument)
		if err != nil {
			return nil, nil, nil, err
		}
		batch.Writes = append(batch.Writes, mark)
	}
	return batch, written, lines, b.Audit.AddTo(batch, p.tenant, lines, versioned)
}

// versionBefore is the version of the document before the change; 0: there is none.
func (c *change) versionBefore() uint64 {
	if c.current == nil {
		return 0
	}
	return c.current.Version
}

// announce tells of the destinations that are made, and that leave.
func (b *Book) announce(ctx context.Context, p *planned) (err error) {
	var made []string
	for _, c := range p.changes {
		switch {
		case !isDestination(c.Name), c.shadowed:
		case c.would == WouldCreate:
			made = append(made, Title(c.Name))
		case c.would == WouldDelete && b.Removed != nil:
			if c.waiting, err = b.Removed(ctx, p.tenant, Title(c.Name)); err != nil {
				return err
			}
		}
	}
	if len(made) > 0 && b.Made != nil {
		return b.Made(ctx, p.tenant, made)
	}
	return nil
}

// isDestination reports whether a document is one of a destination.
func isDestination(name string) bool { return Kind(name) == "webhook" || Kind(name) == "connection" }

// isResealed reports whether documents of changes have other versions than they were read with and are the same: a rotation of the key
// seals secrets anew without the tenant's lease. Their current then has the present version.
func (b *Book) isResealed(ctx context.Context, p *planned, changes []*change) (bool, error) {
	list, err := b.Writer.Store.List(ctx, p.tenant, state.KindDocument)
	if err != nil {
		return false, err
	}
	now := make(map[string]state.Setting, len(list))
	for _, setting := range list {
		now[setting.Name] = setting
	}
	for _, c := range changes {
		setting, exists := now[c.Name]
		switch {
		case setting.Version == c.versionBefore(), !exists && c.Delete: // as it was, or deleted already
		case !exists || c.current == nil:
			return false, nil
		default:
			r := b.read(p.tenant, setting)
			if d := compiled(p.was, c.Name); d != nil {
				r.hide(d.Clear)
			}
			if !reflect.DeepEqual(r.meta, c.current.meta) || !bytes.Equal(r.Spec, c.current.Spec) || !sameSecrets(r.Secrets, c.current.Secrets) {
				return false, nil
			}
			c.current.Version = r.Version
		}
	}
	return true, nil
}

// changedMeta names what differs beside the settings, as the API does. The owner and the lock of a new document are no change.
func (c *change) changedMeta() (names []string) {
	if c.current == nil || c.next == nil {
		return nil
	}
	if c.current.meta.Owner != c.next.meta.Owner {
		names = append(names, "owner")
	}
	if c.current.meta.Lock != c.next.meta.Lock {
		names = append(names, "locked")
	}
	return names
}

// changedPaths returns the paths at which two specs differ.
func changedPaths(before, after json.RawMessage) []string {
	if before == nil || after == nil {
		return nil
	}
	a, errA := parseTree(before)
	b, errB := parseTree(after)
	if errA != nil || errB != nil {
		return nil
	}
	return differing(a, b, nil)
}
