package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

// The bounds of one import; those of each tenant's documents come beside them.
const (
	MaxImport          = 4 << 20 // bytes
	MaxImportDocuments = 20_000
	MaxImportTenants   = 2_000
)

// importName is the name of an import in positions.
const importName = "import"

// Bundle is the documents of one import, by tenant. Its text has the form of a configuration file: `tenant` names the tenant of all
// that names none, `sources`, `connections`, `webhooks` and `rules` have the documents, and `sealed` has the secrets of a sealed export.
type Bundle struct {
	// Tenants are by name; each is there once.
	Tenants []*Bundled
}

// Bundled is what a bundle has of one tenant.
type Bundled struct {
	Tenant string
	// Changes are the documents, in the order of sources, connections, webhooks and rules.
	Changes []Change
	items   map[string]*document.Node // by the name of a document
	sealed  map[string][]sealedValue  // likewise
	at      *document.Node
}

// ReadBundle reads the text of an import. tenant owns what names no tenant, and everything if only is set: then another tenant is a
// fault. All faults are returned at once, each with its Loc in the text.
func ReadBundle(text []byte, tenant string, only bool) (*Bundle, document.Faults) {
	root, faults := document.ParseStored(importName, text)
	if root == nil {
		return nil, faults
	}
	if root.Kind != document.Mapping {
		return nil, document.Faults{root.Fault("this is no file of documents", "write `sources`, `connections`, `webhooks` and `rules`, as in a configuration file")}
	}
	r := &bundling{tenant: tenant, only: only, byName: map[string]*Bundled{}, root: root}
	r.read()
	if len(r.faults) > 0 {
		return nil, r.faults.Sorted()
	}
	b := &Bundle{}
	for _, each := range r.byName {
		b.Tenants = append(b.Tenants, each)
	}
	slices.SortFunc(b.Tenants, func(x, y *Bundled) int { return strings.Compare(x.Tenant, y.Tenant) })
	return b, nil
}

// bundling is the state of ReadBundle.
type bundling struct {
	tenant string
	only   bool
	root   *document.Node
	byName map[string]*Bundled
	count  int
	faults document.Faults
}

const maxBundleFaults = 100

func (r *bundling) fault(n *document.Node, message, remedy string) {
	if len(r.faults) < maxBundleFaults {
		r.faults = append(r.faults, n.Fault(message, remedy))
	}
}

func (r *bundling) read() {
	ofFile := r.tenant
	for _, p := range r.root.Pairs {
		if p.Key.Text == "tenant" {
			ofFile = r.owner(p.Value, r.tenant)
		}
	}
	if r.only || r.root.Key("tenant") != nil { // it is what the import is about, also with no documents
		r.of(ofFile, r.root)
	}
	for _, p := range r.root.Pairs {
		at := slices.IndexFunc(collections, func(c struct {
			kind, key string
			list      bool
		},
		) bool {
			return c.key == p.Key.Text
		})
		if at < 0 && p.Key.Text != "tenant" && p.Key.Text != sealedKey {
			r.fault(p.Key, fmt.Sprintf("an import has no `%s`", p.Key.Text), "it has tenant, sources, connections, webhooks and rules; the gateway's own settings stay in its files")
		}
	}
	for _, c := range collections {
		n := r.root.Key(c.key)
		switch {
		case n == nil || n.Kind == document.Null:
		case c.list && n.Kind != document.List:
			r.fault(n, fmt.Sprintf("`%s` is a list", c.key), "begin each entry with `- name:`")
		case c.list:
			for _, item := range n.Items {
				if name := r.text(item, "name"); name != nil {
					r.add(c.kind, name, item, ofFile)
				}
			}
		case n.Kind != document.Mapping:
			r.fault(n, fmt.Sprintf("`%s` is a mapping", c.key), "write each under its name")
		default:
			for _, p := range n.Pairs {
				r.add(c.kind, p.Key, p.Value, ofFile)
			}
		}
	}
	r.readSealed(r.root.Key(sealedKey), ofFile)
}

// text returns the text of a key that an entry must have.
func (r *bundling) text(item *document.Node, key string) *document.Node {
	if item.Kind != document.Mapping {
		r.fault(item, "this is a mapping of settings", "begin it with `name:`")
		return nil
	}
	n := item.Key(key)
	if n == nil || n.Kind != document.Scalar {
		r.fault(item, fmt.Sprintf("there is no `%s`", key), "add it")
		return nil
	}
	return n
}

// owner returns the tenant that a `tenant` names.
func (r *bundling) owner(n *document.Node, otherwise string) string {
	switch {
	case n == nil || n.Kind == document.Null:
		return otherwise
	case n.Kind != document.Scalar || n.Text == systemTenant:
		r.fault(n, "this is not the name of one tenant", "name one; rules of every tenant stay in the gateway's files")
	case r.only && n.Text != r.tenant:
		r.fault(n, fmt.Sprintf("this import is for the tenant `%s`", r.tenant), "remove this line, or import for the tenant that it names")
	default:
		return strings.Clone(n.Text)
	}
	return otherwise
}

// of returns what the bundle has of a tenant.
func (r *bundling) of(tenant string, at *document.Node) *Bundled {
	of := r.byName[tenant]
	if of == nil {
		of = &Bundled{Tenant: tenant, items: map[string]*document.Node{}, at: at}
		r.byName[tenant] = of
		if len(r.byName) == MaxImportTenants+1 {
			r.fault(at, fmt.Sprintf("there are more than %d tenants", MaxImportTenants), "import some of them at a time")
		}
	}
	return of
}

// add adds a document.
func (r *bundling) add(kind string, name, item *document.Node, ofFile string) {
	if r.count++; r.count == MaxImportDocuments+1 {
		r.fault(name, fmt.Sprintf("there are more than %d documents", MaxImportDocuments), "import some of them at a time")
	}
	if r.count > MaxImportDocuments {
		return
	}
	if item.Kind != document.Mapping {
		r.fault(item, "this is a mapping of settings", "write the settings below the name")
		return
	}
	of := r.of(r.owner(item.Key("tenant"), ofFile), item)
	document := kind + "/" + name.Text
	if first := of.items[document]; first != nil {
		r.fault(name, fmt.Sprintf("the %s `%s` is there twice", kind, name.Text), fmt.Sprintf("the other is in line %d: keep one", first.At.Line))
		return
	}
	r.masks(item)
	if kind == "webhook" {
		r.shownSecrets(item.Key(secretsKey))
	}
	spec := item.With(func(key string) bool { return key != "tenant" && (key != "name" || !listedInFile(kind)) })
	of.items[document] = item
	of.Changes = append(of.Changes, Change{Name: document, Spec: spec.JSON()})
}

// masks refuses masked values: an import has secrets in clear, because the gateway that it is sent to need not know them.
func (r *bundling) masks(n *document.Node) {
	if n.Kind == document.Scalar && isMask(n.Text) {
		r.maskFault(n)
	}
	for _, item := range n.Items {
		r.masks(item)
	}
	for _, p := range n.Pairs {
		if isMask(p.Key.Text) {
			r.fault(p.Key, "this is a masked value, and no key", "write what the key is")
		}
		r.masks(p.Value)
	}
}

func (r *bundling) maskFault(n *document.Node) {
	r.fault(n, "this is a masked value, which stands for nothing in an import", "write the secret itself, or `${NAME}` in a file that `surveygate settings import` reads")
}

// shownSecrets refuses what the API shows in place of the secrets of a webhook.
func (r *bundling) shownSecrets(n *document.Node) {
	if n == nil {
		return
	}
	for _, item := range n.Items {
		if item.Kind == document.Mapping || isHint(item.Text) {
			r.maskFault(item)
		}
	}
}

// Fault returns a fault of a document as one of the text: with its line, its column and its Loc there.
func (t *Bundled) Fault(name string, of document.Fault) document.Fault {
	n := t.items[name]
	if n == nil {
		n = t.at
	} else {
		n = n.Find(of.Loc)
	}
	f := n.Fault(of.Message, of.Remedy)
	f.Within = of.Within
	return f
}
