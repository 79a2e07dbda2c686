package config

import (
	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// Split takes the secrets out of a document that has them in its Spec: it returns the Spec without them, as JSON, and the secrets by
// their path. clear is CompiledDocument.Clear of the document: the other documents of its tenant also say what is a secret, because a
// rule sets settings of a destination. ok is false if the document cannot be read; Overlay then says why.
func Split(d Document, clear []string) (spec []byte, secrets map[string]connectors.Secret, ok bool) {
	node, _ := document.ParseStored(StorePrefix+printable(d.Name), d.Spec)
	if node == nil {
		return nil, nil, false
	}
	node.Expand(document.Lookup{Refuse: true})
	node.Mark(clear)
	public, secrets := node.Split()
	return public.JSON(), secrets, true
}

// clear returns the paths of the values in a document's text that are, or may be, secrets. Of a document that was not read, because a
// file has its name or it has no kind, they are those that follow from the document alone.
func (o *overlay) clear(d *compiling) (paths []string) {
	defer func() {
		if recover() != nil { // compiling it is what failed
			paths = d.texts()
		}
	}()
	if d.settings == nil && d.State == Shadowed {
		alone := newOverlay(&Config{}, o.tenant)
		alone.take([]Document{{Name: d.Name, Spec: d.Spec}})
		alone.compile()
		d = alone.all[0]
	}
	if d.node == nil || d.settings == nil {
		return d.texts()
	}
	return d.node.Clear()
}

// texts returns the paths of all texts of a document.
func (d *compiling) texts() []string {
	node, _ := document.ParseStored(d.at, d.Spec)
	if node == nil {
		return nil
	}
	node.ConcealTexts()
	return node.Clear()
}

// conceal marks the secrets in the settings of a step that is not built: those that its destination's product says, or all texts if that
// is not known.
func (l *loader) conceal(d *destination, step *Step, set *stepSettings) {
	if l.base == nil || set.settings == nil { // the texts of files are the operator's, whose faults show them
		return
	}
	if d != nil && d.Product != "" {
		if c, known := connectors.New(step.Connector(d.Destination)); known {
			before := len(l.faults)
			l.bind(set.settings, c, document.Options{Partial: true, Rule: true})
			if len(l.faults) == before {
				return
			}
			l.faults = l.faults[:before] // and what it did not reach may be a secret too
		}
	}
	set.settings.ConcealTexts()
}
