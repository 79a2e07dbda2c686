package settings

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// collections are the kinds of documents in the order of a file, with the key that a file has them under. Webhooks and rules are
// lists there, sources and connections mappings by name.
var collections = []struct {
	kind, key string
	list      bool
}{
	{"source", "sources", false},
	{"connection", "connections", false},
	{"webhook", "webhooks", true},
	{"rule", "rules", true},
}

// Export returns the documents of a tenant as a configuration file: YAML, with a variable in place of each secret, whose names are
// listed in comments. What does not compile, what does not compile without that, what a file defines too, and secrets that end by
// themselves are left out and named in comments. The same documents give the same text.
//
// A sealed export has the secrets themselves, sealed for the gateways with the same key of the vault: ReadBundle and Unseal take it back.
// Its text differs each time. vault.ErrNoKey: there are secrets, and no key to seal them.
func (b *Book) Export(ctx context.Context, tenant string, sealed bool) ([]byte, error) {
	all, err := b.documents(ctx, tenant)
	if err != nil {
		return nil, err
	}
	overlay := config.Overlay(b.Base(), tenant, listed(all))
	e := exporting{tenant: tenant, bodies: map[string][]string{}}
	if sealed {
		e.seal = b.Writer.Vault.SealOut
	}
	kept := map[string]*read{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c := compiled(overlay, name)
		if c == nil || c.State == config.Broken || c.State == config.Shadowed {
			e.leaveOut(name, "", c)
			continue
		}
		kept[name] = all[name]
	}
	// What names a destination that is left out would not be imported: leave it out too.
	for more := true; more; {
		more = false
		overlay = config.Overlay(b.Base(), tenant, listed(kept))
		for i := range overlay.Documents {
			if c := &overlay.Documents[i]; c.State == config.Broken {
				e.leaveOut(c.Name, "without what is left out, ", c)
				delete(kept, c.Name)
				more = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		if c := compiled(overlay, name); c != nil {
			kept[name].hide(c.Clear)
		}
		if err := e.add(kept[name]); err != nil {
			return nil, fmt.Errorf("export %s: %w", name, err)
		}
	}
	slices.Sort(e.without)
	return e.text(), nil
}

// exporting is an export on its way.
type exporting struct {
	tenant  string
	secrets []string            // what to set
	without []string            // what is left out
	stored  bool                // names that no file may have
	bodies  map[string][]string // by kind
	// seal, if it is set, seals the secrets, and sealed is their section.
	seal   func(tenant, kind, name, field string, plain []byte) (string, error)
	sealed strings.Builder
}

// leaveOut notes a document with the reason. when stands before the reason, and says when it applies; empty: always.
func (e *exporting) leaveOut(name, when string, c *config.CompiledDocument) {
	why := "it cannot be read"
	if c != nil && len(c.Faults) > 0 {
		why = c.Faults[0].Message
	}
	e.without = append(e.without, name+": "+when+why)
}

// add writes one document.
func (e *exporting) add(r *read) error {
	tree, err := parseTree(r.Spec)
	if err != nil {
		return err
	}
	kept := e.endless(r)
	if e.seal != nil && len(kept) > 0 {
		e.sealed.WriteString("  " + r.Name + ":\n")
	}
	for i, path := range kept {
		variable := config.VariableName(e.tenant, r.Name, path, kept)
		at := path
		if isWebhook(r.Name) && strings.HasPrefix(path, secretsKey+".") { // those that end are missing from the list
			at = secretPath(i - slices.IndexFunc(kept, func(p string) bool { return strings.HasPrefix(p, secretsKey+".") }))
		}
		if e.seal != nil {
			sealed, err := e.seal(e.tenant, kindExported, r.Name, at, []byte(r.Secrets[path].Expose())) //nolint:forbidigo // it is sealed
			if err != nil {
				return err
			}
			e.sealed.WriteString("    " + strings.TrimSuffix(document.Title("path", at).YAML(0), "\n") + ": " + sealed + "\n")
			continue
		}
		tree = place(tree, document.SplitPath(at), "${"+variable+"}")
		about := fmt.Sprintf("%s: %s of %s", variable, at, r.Name)
		if strings.Contains(r.Secrets[path].Expose(), "{{") { //nolint:forbidigo // only whether it has holes is said
			about += "; it has {{…}}, which a file of the gateway fills only where they stand in it: write the value there"
		}
		e.secrets = append(e.secrets, about)
	}
	node, faults := document.ParseStored(storeName(r.Name), writeTree(tree))
	if node == nil {
		return faults
	}
	kind, title := Kind(r.Name), Title(r.Name)
	e.stored = e.stored || kind == "webhook" && strings.HasPrefix(title, "wh_")
	name := document.Title(r.Name, title).YAML(0)
	name = strings.TrimSuffix(name, "\n")
	if listedInFile(kind) {
		below := node.YAML(4)
		if len(node.Pairs) == 0 {
			below = ""
		}
		e.bodies[kind] = append(e.bodies[kind], "  - name: "+name+"\n"+below)
		return nil
	}
	body := "  " + name + ":\n" + node.YAML(4)
	if len(node.Pairs) == 0 {
		body = "  " + name + ": {}\n"
	}
	e.bodies[kind] = append(e.bodies[kind], body)
	return nil
}

// endless returns the paths of the secrets of a document that do not end by themselves.
func (e *exporting) endless(r *read) []string {
	ends := map[string]bool{}
	if isWebhook(r.Name) {
		for i, s := range secretsOf(r) {
			if s.Until != nil {
				ends[secretPath(i)] = true
				e.without = append(e.without, fmt.Sprintf("the secret %s of %s: it ends at %s", s.ID, r.Name, s.Until.UTC().Format("2006-01-02 15:04:05")))
			}
		}
	}
	return slices.DeleteFunc(slices.SortedFunc(maps.Keys(r.Secrets), byPlace), func(path string) bool { return ends[path] })
}

func listedInFile(kind string) bool {
	for _, c := range collections {
		if c.kind == kind {
			return c.list
		}
	}
	return false
}

// text returns the file.
func (e *exporting) text() []byte {
	var b strings.Builder
	comment := func(head string, lines []string) {
		if len(lines) == 0 {
			return
		}
		b.WriteString("# " + head + "\n")
		for _, line := range lines {
			b.WriteString("#   " + strings.Join(strings.Fields(line), " ") + "\n")
		}
		b.WriteString("\n")
	}
	comment("Set these variables before the file is imported or read:", e.secrets)
	if e.sealed.Len() > 0 {
		comment("The secrets are sealed:", []string{"An import takes them on a gateway with the same key of the vault,", "for the same tenant and names. Files of the configuration cannot have them."})
	}
	comment("Left out:", e.without)
	if e.stored {
		comment("Names that begin with wh_ were made by the API. An import takes them; the gateway's own files cannot have them.", []string{"To make this a file of the configuration, give these webhooks other names."})
	}
	b.WriteString("tenant: " + document.Title("tenant", e.tenant).YAML(0))
	for _, c := range collections {
		if len(e.bodies[c.kind]) == 0 {
			continue
		}
		b.WriteString("\n" + c.key + ":\n")
		for _, body := range e.bodies[c.kind] {
			b.WriteString(body)
		}
	}
	if e.sealed.Len() > 0 {
		b.WriteString("\n" + sealedKey + ":\n" + e.sealed.String())
	}
	return []byte(b.String())
}
