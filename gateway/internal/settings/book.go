package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// BookOptions are the dependencies of a Book; all are required but Limits, Removed, Made and Await.
type BookOptions struct {
	Writer Writer
	Masks  Masks
	Audit  *audit.Log
	// Base returns the configuration of the files, Overlay the overlay of a tenant that is in use; nil: it has none.
	Base    func() *config.Config
	Overlay func(tenant string) *config.TenantConfig
	// Limits returns how many documents of a kind a tenant may have; less than 0: no limit.
	Limits func(ctx context.Context, tenant, kind string) (int, error)
	// Removed is told of a destination before its document is deleted. It returns how many deliveries wait for it. Made is told of
	// destinations before their documents are made.
	Removed func(ctx context.Context, tenant, destination string) (waiting int, err error)
	Made    func(ctx context.Context, tenant string, destinations []string) error
	// Await brings the documents of tenants in the store into use, and reports whether they are: see Worker.Await. Without it, nobody
	// waits for that.
	Await func(ctx context.Context, tenants ...string) bool
}

// Book reads and changes the documents of tenants, for all that do: the API, imports, the compatible API. A document is changed by
// no other way, so that all of them keep the same rules. It is safe for concurrent use.
type Book struct {
	BookOptions
	tested atomic.Pointer[decide.Plan] // of the base that rules were last tested over
}

// Entry is a document as a caller may see it: with masked secrets.
type Entry struct {
	// Name is KIND/NAME.
	Name    string
	Version uint64
	Meta    Meta
	// Spec is JSON.
	Spec json.RawMessage
	// State and the faults and warnings are those in use, or, of a document that is not in use yet, those that it will have.
	State            config.DocumentState
	Faults, Warnings document.Faults
	// Pending: this process does not use this version yet.
	Pending bool
	// Overlay has the document compiled; it is not always the one in use.
	Overlay *config.TenantConfig
}

// Kind and Title are the parts of a document's name.
func Kind(name string) string { kind, _, _ := strings.Cut(name, "/"); return kind }

// Title is the part of a document's name behind its kind: what rules call a destination.
func Title(name string) string { _, title, _ := strings.Cut(name, "/"); return title }

// read is a document of the store.
type read struct {
	config.Document
	meta Meta
	size int // of the setting's value
	// unsealed: Spec held secrets, which are among Secrets now.
	unsealed bool
	// closed says why secrets cannot be opened, by their paths.
	closed map[string]error
}

// hide moves the values at paths from Spec to Secrets: the store holds them in clear, because they were not known to be secrets when the
// document was written, or because it was written by another way.
func (r *read) hide(clear []string) {
	if len(clear) == 0 {
		return
	}
	spec, secrets, ok := config.Split(r.Document, clear)
	if !ok {
		return
	}
	maps.Copy(secrets, r.Secrets)
	r.Spec, r.Secrets, r.unsealed = spec, secrets, true
}

// documents returns all documents of a tenant by name.
func (b *Book) documents(ctx context.Context, tenant string) (map[string]*read, error) {
	list, err := b.Writer.Store.List(ctx, tenant, state.KindDocument)
	if err != nil {
		return nil, err
	}
	all := make(map[string]*read, len(list))
	for _, setting := range list {
		all[setting.Name] = b.read(tenant, setting)
	}
	return all, nil
}

// Documents returns all documents of a tenant, to be compiled.
func (b *Book) Documents(ctx context.Context, tenant string) ([]config.Document, error) {
	all, err := b.documents(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return listed(all), nil
}

func (b *Book) read(tenant string, setting state.Setting) *read {
	d, closed := decode(b.Writer.Vault, tenant, setting)
	return &read{Document: d, meta: metaOf(setting), size: len(setting.Value), closed: closed}
}

// Get returns a document. ErrNoDocument: the tenant has none of that name.
func (b *Book) Get(ctx context.Context, tenant, name string) (*Entry, error) {
	setting, err := b.Writer.Store.Get(ctx, tenant, state.KindDocument, name)
	if errors.Is(err, state.ErrNotFound) {
		return nil, ErrNoDocument
	}
	if err != nil {
		return nil, err
	}
	entries, err := b.entries(ctx, tenant, []*read{b.read(tenant, setting)})
	if err != nil {
		return nil, err
	}
	return &entries[0], nil
}

// List returns at most n documents of a kind by name, from the first after a name on, and whether there are more.
func (b *Book) List(ctx context.Context, tenant, kind, after string, n int) (entries []Entry, more bool, err error) {
	return b.Search(ctx, tenant, kind, func(t Titled) bool { return t.Name > after }, n)
}

// Titled is what something is found by: its name, without its kind, the title of a webhook, and the profile of a source.
type Titled struct {
	Name    string `json:"-"`
	Title   string `json:"title"`
	Profile string `json:"profile"`
}

// Has reports whether one of them has a text, which is in small letters.
func (t Titled) Has(text string) bool {
	return slices.ContainsFunc([]string{t.Name, t.Title, t.Profile}, func(s string) bool { return strings.Contains(strings.ToLower(s), text) })
}

// Titles returns what all documents of a kind are found by. They are sorted by name.
func (b *Book) Titles(ctx context.Context, tenant, kind string) ([]Titled, error) {
	list, err := b.Writer.Store.List(ctx, tenant, state.KindDocument)
	if err != nil {
		return nil, err
	}
	var all []Titled
	for _, setting := range list {
		if Kind(setting.Name) == kind {
			all = append(all, titled(setting))
		}
	}
	slices.SortFunc(all, func(a, b Titled) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func titled(setting state.Setting) Titled {
	var s struct {
		Doc Titled `json:"doc"`
	}
	_ = json.Unmarshal(setting.Value, &s) // one that cannot be read has a name alone
	s.Doc.Name = Title(setting.Name)
	return s.Doc
}

// Search returns at most n documents of a kind that are wanted, by name, and whether there are more.
func (b *Book) Search(ctx context.Context, tenant, kind string, wanted func(Titled) bool, n int) (entries []Entry, more bool, err error) {
	list, err := b.Writer.Store.List(ctx, tenant, state.KindDocument)
	if err != nil {
		return nil, false, err
	}
	list = slices.DeleteFunc(list, func(s state.Setting) bool { return Kind(s.Name) != kind || !wanted(titled(s)) })
	slices.SortFunc(list, func(a, b state.Setting) int { return strings.Compare(a.Name, b.Name) })
	if len(list) > n {
		list, more = list[:n], true
	}
	page := make([]*read, len(list))
	for i, setting := range list { // secrets are opened for the page only
		page[i] = b.read(tenant, setting)
	}
	entries, err = b.entries(ctx, tenant, page)
	return entries, more, err
}

// entries returns documents with what became of them.
func (b *Book) entries(ctx context.Context, tenant string, documents []*read) ([]Entry, error) {
	inUse := b.Overlay(tenant)
	overlay := inUse
	if slices.ContainsFunc(documents, func(r *read) bool {
		c := compiled(overlay, r.Name)
		return c == nil || c.Version != r.Version
	}) { // this replica has not applied them yet
		all, err := b.documents(ctx, tenant)
		if err != nil {
			return nil, err
		}
		overlay = config.Overlay(b.Base(), tenant, listed(all))
	}
	entries := make([]Entry, len(documents))
	for i, r := range documents {
		if c := compiled(overlay, r.Name); c != nil {
			r.hide(c.Clear)
		} else { // it was deleted meanwhile
			r.hide(config.Overlay(b.Base(), tenant, []config.Document{r.Document}).Documents[0].Clear)
		}
		entries[i] = b.entry(r)
		entries[i].compiledIn(overlay)
		entries[i].Pending = b.Await != nil && !hasVersion(inUse, r.Name, r.Version)
	}
	return entries, nil
}

// hasVersion reports whether an overlay has a version of a document, or a later one.
func hasVersion(o *config.TenantConfig, name string, version uint64) bool {
	c := compiled(o, name)
	return c != nil && c.Version >= version
}

// compiledIn adds what became of the document in an overlay. It has none of a document that was deleted meanwhile.
func (e *Entry) compiledIn(overlay *config.TenantConfig) {
	e.Overlay = overlay
	if c := compiled(overlay, e.Name); c != nil {
		e.State, e.Faults, e.Warnings = c.State, c.Faults, c.Warnings
	}
}

func (b *Book) entry(r *read) Entry {
	return Entry{Name: r.Name, Version: r.Version, Meta: r.meta, Spec: writeTree(b.masked(r))}
}

// compiled returns what became of a document; nil if the overlay does not have it.
func compiled(o *config.TenantConfig, name string) *config.CompiledDocument {
	if o == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(o.Documents, name, func(d config.CompiledDocument, name string) int { return strings.Compare(d.Name, name) })
	if !found {
		return nil
	}
	return &o.Documents[i]
}

// listed returns documents by name.
func listed(all map[string]*read) []config.Document {
	documents := make([]config.Document, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		documents = append(documents, all[name].Document)
	}
	return documents
}

// masked returns the settings of a document with masks in place of secrets. A document that cannot be read is null.
func (b *Book) masked(r *read) any {
	tree, err := parseTree(r.Spec)
	if err != nil || specJSON(r) == nil { // what is a secret in it is not known
		return nil
	}
	for _, path := range slices.SortedFunc(maps.Keys(r.Secrets), byPlace) {
		tree = place(tree, document.SplitPath(path), b.Masks.Mask(r.Secrets[path]))
	}
	if isWebhook(r.Name) {
		tree = showSecrets(tree, r)
	}
	return tree
}

// byPlace orders paths so that secrets.2 stands before secrets.10.
func byPlace(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// unmask puts the secrets of a document in place of their masks, and reports whether there were any. Within a list, a mask may have
// another place than its secret.
func (b *Book) unmask(tree any, current *read) (whole any, found bool, err error) {
	var secrets map[string]connectors.Secret
	if current != nil {
		secrets = current.Secrets
	}
	listed, err := takeSecrets(tree, current)
	if err != nil {
		return nil, false, err
	}
	found = listed
	var kept []string
	whole, err = texts(tree, nil, func(steps []string, text string) (string, error) {
		if !isMask(text) {
			return text, nil
		}
		found = true
		path := document.JoinPath(steps)
		for at, secret := range secrets {
			if sameList(tree, at, path) && b.Masks.Mask(secret) == text {
				kept = append(kept, path)
				return document.EscapeVariables(secret.Expose()), nil //nolint:forbidigo // it goes back to where it was
			}
		}
		return "", &MaskError{path}
	})
	if err == nil {
		err = sentElsewhere(whole, current, kept)
	}
	return whole, found, err
}

// sameList reports whether two paths are the same, or differ in places of lists of a tree alone: a step of a rule may move, and its
// mask with it. b leads to a value of the tree.
func sameList(tree any, a, b string) bool {
	x, y := document.SplitPath(a), document.SplitPath(b)
	if len(x) != len(y) {
		return false
	}
	for i := range y {
		switch in := tree.(type) {
		case []any:
			n, err := strconv.Atoi(y[i])
			if err != nil || n >= len(in) || !isIndex(x[i]) {
				return false
			}
			tree = in[n]
		case map[string]any:
			if x[i] != y[i] {
				return false
			}
			tree = in[y[i]]
		}
	}
	return true
}

func isIndex(step string) bool {
	return step != "" && strings.Trim(step, "0123456789") == ""
}

// sameSecrets reports whether two documents have the same secrets.
func sameSecrets(a, b map[string]connectors.Secret) bool {
	return maps.EqualFunc(a, b, func(x, y connectors.Secret) bool { return x == y })
}

func notOfKind(name string) error {
	return fmt.Errorf("%w: %q is no name of a document", state.ErrInvalid, name)
}
