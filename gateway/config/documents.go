package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

// The bounds of a tenant's documents: of one, and of all. The documents with the lowest versions stay below the bound of all.
const (
	MaxDocument      = 64 << 10
	MaxDocuments     = 1000
	MaxDocumentBytes = 4 << 20

	maxFaults      = 20      // of a document that are kept; and so many warnings
	maxWarningWork = 100_000 // see loader.work
	maxEvents      = 200     // names under `events` of a document
)

// The kinds of documents.
const (
	kindWebhook    = "webhook"
	kindConnection = "connection"
	kindSource     = "source"
	kindRule       = "rule"
)

var documentKinds = []string{kindConnection, kindRule, kindSource, kindWebhook}

// StorePrefix begins the name of a stored document in positions, such as store:webhook/crm.
const StorePrefix = "store:"

// compiling is a document on its way.
type compiling struct {
	CompiledDocument
	kind, name string
	at         string // its File in positions
	settings   *fileSettings
	node       *document.Node
	disabled   bool
}

// refuse adds a fault of the whole document.
func (d *compiling) refuse(message, remedy string) {
	f := document.At(d.at, message, remedy)
	f.Loc = []any{}
	d.Faults = append(d.Faults, f)
}

func (d *compiling) isDestination() bool { return d.kind == kindWebhook || d.kind == kindConnection }

// take decides what can be known by name and size alone: which documents are too many, have a name that a file has, or the
// name of another document.
func (o *overlay) take(documents []Document) {
	for _, doc := range documents {
		d := &compiling{CompiledDocument: CompiledDocument{Document: doc, State: Active}, at: StorePrefix + printable(doc.Name)}
		d.Faults = slices.Clone(doc.Faults)
		for i := range d.Faults {
			if f := &d.Faults[i]; f.File == "" {
				f.File = d.at
			}
		}
		d.kind, d.name, _ = strings.Cut(doc.Name, "/")
		o.all = append(o.all, d)
	}
	slices.SortStableFunc(o.all, func(a, b *compiling) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), strings.Compare(a.Name, b.Name))
	})
	size, seen, destinations := 0, map[string]bool{}, map[string]*compiling{}
	for i, d := range o.all {
		switch {
		case !validName(o.tenant):
			d.refuse(fmt.Sprintf("`%s` is not a tenant's name", printable(o.tenant)), nameRule)
			d.kind = ""
			continue
		case !slices.Contains(documentKinds, d.kind):
			d.refuse(fmt.Sprintf("`%s` is not the name of a document", printable(d.Name)), "name it webhook/NAME, connection/NAME, source/NAME or rule/NAME")
			d.kind = ""
			continue
		case !validName(d.name):
			d.refuse(fmt.Sprintf("`%s` is not a %s's name", printable(d.name), d.kind), nameRule)
			d.kind = ""
			continue
		case seen[d.Name]:
			d.refuse(fmt.Sprintf("there are two documents `%s`", d.Name), "delete one of them")
			d.kind = ""
			continue
		}
		seen[d.Name] = true
		if o.shadow(d) {
			continue
		}
		if d.isDestination() {
			if first := destinations[d.name]; first != nil {
				d.refuse(fmt.Sprintf("the destination `%s` is defined twice", d.name), fmt.Sprintf("the other is %s: delete one of them", first.Name))
				d.kind = ""
				continue
			}
			destinations[d.name] = d
		}
		if len(d.Spec) > MaxDocument {
			d.refuse(fmt.Sprintf("the document has more than %d KiB", MaxDocument>>10), "make it shorter")
			continue
		}
		size += len(d.Spec)
		switch {
		case i >= MaxDocuments:
			d.refuse(fmt.Sprintf("the tenant has more than %d documents", MaxDocuments), "delete those that are not needed; those that were changed last are not used")
		case size > MaxDocumentBytes:
			d.refuse(fmt.Sprintf("the tenant's documents have more than %d MiB together", MaxDocumentBytes>>20), "delete those that are not needed; those that were changed last are not used")
		}
	}
	slices.SortStableFunc(o.all, func(a, b *compiling) int { return strings.Compare(a.Name, b.Name) })
}

// printable returns a name that may be anything, for messages.
func printable(name string) string {
	quoted := strconv.QuoteToGraphic(name)
	if quoted = quoted[1 : len(quoted)-1]; len(quoted) > 2*maxName {
		quoted = strings.ToValidUTF8(quoted[:2*maxName], "") + "…"
	}
	return quoted
}

// shadow reports whether a file has the document's name.
func (o *overlay) shadow(d *compiling) bool {
	var file document.Position
	what := d.kind
	switch d.kind {
	case kindSource:
		if s := o.base.sources[d.name]; s != nil {
			file = s.At
		}
	case kindRule:
		if r := cmp.Or(o.base.rules[d.name], o.index.everywhere[d.name]); r != nil {
			file = r.At
		}
	default:
		if s := o.base.destinations[d.name]; s != nil {
			file, what = s.At, "destination"
		}
	}
	if file == (document.Position{}) {
		return false
	}
	d.State, d.File, d.Faults = Shadowed, file, nil
	d.refuse(fmt.Sprintf("the %s `%s` is defined in the files, and that one is used", what, d.name),
		fmt.Sprintf("it is at %s: remove it there, or give this document another name", file))
	return true
}

// usable reports whether a document is to be read. One whose faults were found before is read too: a webhook whose secret cannot be
// opened owes what it subscribes to.
func (d *compiling) usable() bool {
	return d.kind != "" && d.State != Shadowed && len(d.Faults) == len(d.Document.Faults)
}

// keep returns the first faults or warnings of a document, without its text and its secrets.
func (d *compiling) keep(faults document.Faults) document.Faults {
	if len(faults) == 0 {
		return nil
	}
	all := faults.Sorted()
	if more := len(all) - maxFaults; more > 0 {
		all = append(all[:maxFaults:maxFaults], document.At(d.at, fmt.Sprintf("there are %d more like these", more), "mend the others first"))
	}
	for i, f := range all {
		f.Remedy = strings.ReplaceAll(f.Remedy, `"${NAME}"`, `"…"`) // a stored document has no variables
		if f.Loc == nil {
			f.Loc = []any{} // a text that cannot be parsed has no paths
		}
		f.Message, f.Remedy = d.node.Redacted(f.Message), d.node.Redacted(f.Remedy)
		all[i] = f.Detached()
	}
	return all
}
