package settings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

// A sealed export has the secrets of its documents in a section of its own, which files of the gateway do not have:
//
//	sealed:
//	  connection/crm:
//	    hubspot.token: k1:…
//
// Each value is sealed with the vault's current key for the tenant, the document and the path. So it opens on a gateway with that key
// alone, and not in another document or of another tenant.

const (
	// sealedKey is the section.
	sealedKey = "sealed"
	// kindExported is what stands for the kind where exported values are sealed, so that none is taken for one of the store.
	kindExported = "settings-export"
)

// sealedValue is a secret of a document in an import.
type sealedValue struct {
	path string
	at   *document.Node
}

// readSealed reads the section of sealed values, which are of documents of one tenant.
func (r *bundling) readSealed(section *document.Node, tenant string) {
	if section == nil || section.Kind == document.Null {
		return
	}
	if section.Kind != document.Mapping {
		r.fault(section, "`"+sealedKey+"` is a mapping", "write it as the export had it")
		return
	}
	of := r.of(tenant, section)
	for _, d := range section.Pairs {
		switch {
		case of.items[d.Key.Text] == nil:
			r.fault(d.Key, fmt.Sprintf("tenant `%s` has no `%s` in this import", tenant, d.Key.Text), "sealed values are of a document that the import has: add it, or remove them")
			continue
		case d.Value.Kind != document.Mapping:
			r.fault(d.Value, "this is a mapping of sealed values", "write them as the export had them")
			continue
		}
		for _, p := range d.Value.Pairs {
			if p.Value.Kind != document.Scalar || vault.SealedWith(p.Value.Text) == "" {
				r.fault(p.Value, "this is not a sealed value", "write it as the export had it, or write the secret itself in the document")
				continue
			}
			if of.sealed == nil {
				of.sealed = map[string][]sealedValue{}
			}
			of.sealed[d.Key.Text] = append(of.sealed[d.Key.Text], sealedValue{p.Key.Text, p.Value})
		}
	}
}

// HasSealed reports whether there are sealed values, which Unseal opens.
func (b *Bundle) HasSealed() bool {
	return slices.ContainsFunc(b.Tenants, func(t *Bundled) bool { return len(t.sealed) > 0 })
}

// Unseal opens the sealed values of a bundle, and puts them into its documents. All faults are returned at once, each with its Loc in the
// text.
func (b *Book) Unseal(bundle *Bundle) document.Faults {
	var faults document.Faults
	for _, t := range bundle.Tenants {
		for i := range t.Changes {
			c := &t.Changes[i]
			if len(t.sealed[c.Name]) == 0 {
				continue
			}
			tree, err := parseTree(c.Spec)
			if err != nil {
				faults = append(faults, t.Fault(c.Name, document.At("", "it is not JSON: "+err.Error(), "write a mapping of settings")))
				continue
			}
			slices.SortFunc(t.sealed[c.Name], func(x, y sealedValue) int { return byPlace(x.path, y.path) })
			for _, s := range t.sealed[c.Name] {
				plain, err := b.Writer.Vault.Open(t.Tenant, kindExported, c.Name, s.path, s.at.Text)
				steps := document.SplitPath(s.path)
				switch {
				case err != nil:
					faults = append(faults, b.sealedFault(s, err))
				case found(tree, steps):
					faults = append(faults, s.at.Fault(fmt.Sprintf("`%s` of %s is in the document too", s.path, c.Name), "keep one: the sealed value, or the one in the document"))
				default:
					tree = place(tree, steps, document.EscapeVariables(string(plain)))
				}
				clear(plain)
			}
			c.Spec = writeTree(tree)
		}
	}
	if len(faults) > maxBundleFaults {
		faults = faults[:maxBundleFaults]
	}
	return faults.Sorted()
}

// sealedFault says why a sealed value does not open.
func (b *Book) sealedFault(s sealedValue, err error) document.Fault {
	id := vault.SealedWith(s.at.Text)
	keys := "has no key"
	if ids := b.Writer.Vault.KeyIDs(); len(ids) > 0 {
		keys = "has " + strings.Join(ids, ", ")
	}
	if errors.Is(err, vault.ErrNoKey) {
		return s.at.Fault(fmt.Sprintf("this is sealed with the key %s, and this gateway %s", id, keys), "add that key behind the current one, or write the secret itself in the document")
	}
	return s.at.Fault(fmt.Sprintf("this does not open with the key %s of this gateway, which %s: it was changed, is of another tenant, document or setting, or was sealed by a gateway with another %s",
		id, keys, id), "a sealed value counts where it was exported: leave it there, or write the secret itself in the document")
}

// found reports whether a tree has a value at a path.
func found(tree any, steps []string) bool {
	for _, step := range steps {
		switch v := tree.(type) {
		case map[string]any:
			tree = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return false
			}
			tree = v[i]
		default:
			return false
		}
	}
	return tree != nil
}
