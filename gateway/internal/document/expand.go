package document

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// Lookup resolves ${…}.
type Lookup struct {
	// Env returns the value of ${NAME}.
	Env func(name string) (value string, ok bool)
	// File returns the content of ${file:/path}.
	File func(path string) ([]byte, error)
	// Refuse makes each ${…} a fault, because variables and files belong to the operator and the text was written by others.
	Refuse bool
}

// EscapeVariables returns a text as it is written where variables are expanded, with `$${` for `${`. UnescapeVariables reverses it.
func EscapeVariables(text string) string { return strings.ReplaceAll(text, "${", "$${") }

// UnescapeVariables returns what EscapeVariables was given.
func UnescapeVariables(text string) string { return strings.ReplaceAll(text, "$${", "${") }

// Unset is a ${NAME} without a value.
type Unset struct {
	Name string
	// Fault is the position of its first use; the caller sets message and remedy.
	Fault Fault
}

// shellName matches a value that consists of $NAME alone, which a shell would replace.
var shellName = regexp.MustCompile(`^\$[A-Z_][A-Z0-9_]*$`)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Expand replaces ${NAME} and ${file:/path} in all scalars of the tree, but not in keys. Values are text and are not parsed as
// YAML. `$${` is written for `${`. White space around the value of a variable or file is dropped, because editors, `echo` and
// mounted secrets add it; text around a ${…} is kept. Names without a value are not replaced. They are returned, each once, and
// their nodes are marked Unset.
func (n *Node) Expand(l Lookup) ([]Unset, Faults) {
	e := expander{lookup: l, seen: map[string]bool{}}
	e.node(n)
	return e.unset, e.faults
}

type expander struct {
	lookup Lookup
	unset  []Unset
	seen   map[string]bool
	faults Faults
}

func (e *expander) node(n *Node) {
	for _, item := range n.Items {
		e.node(item)
	}
	for _, p := range n.Pairs {
		e.node(p.Value)
	}
	switch {
	case n.Kind != Scalar || n.spans != nil:
	case strings.Contains(n.Text, "${"):
		e.scalar(n)
	case shellName.MatchString(n.Text) && e.lookup.Refuse:
		e.faults = append(e.faults, n.Fault("`$NAME` is not replaced by a variable's value", "write the value itself"))
	case shellName.MatchString(n.Text):
		// The message does not quote the value, which may be a password that happens to look like $NAME.
		e.faults = append(e.faults, n.Fault("`$NAME` is not replaced by the variable's value", `write "${NAME}", with braces`))
	}
}

func (e *expander) scalar(n *Node) {
	var b strings.Builder
	n.written = n.Text
	text := n.Text
	n.spans = []span{}
	at := 0
	for at < len(text) {
		i := strings.Index(text[at:], "${")
		if i < 0 {
			break
		}
		i += at
		if i > 0 && text[i-1] == '$' { // $${ is ${
			n.spans = append(n.spans, span{b.Len(), at, false})
			b.WriteString(text[at : i-1])
			n.spans = append(n.spans, span{b.Len(), i, false})
			b.WriteString("${")
			at = i + 2
			continue
		}
		n.spans = append(n.spans, span{b.Len(), at, false})
		b.WriteString(text[at:i])
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			n.Text = text
			remedy := "write ${NAME}, or $${ for a literal ${"
			if e.lookup.Refuse {
				remedy = "write $${ for a literal ${"
			}
			e.faults = append(e.faults, n.FaultAt(i, 2, "`${` is not closed", remedy))
			return
		}
		end += i + 1
		n.spans = append(n.spans, span{b.Len(), i, true})
		b.WriteString(e.replace(n, text[i:end], i))
		at = end
	}
	n.spans = append(n.spans, span{b.Len(), at, false})
	b.WriteString(text[at:])
	n.Text = b.String()
}

// replace returns the value of one ${…}, or the ${…} itself if it has no value.
func (e *expander) replace(n *Node, hole string, at int) string {
	inner := hole[2 : len(hole)-1]
	// The node's text is not replaced yet, so positions refer to the text as written.
	fault := func(message, remedy string) Fault {
		spans := n.spans
		n.spans = nil
		defer func() { n.spans = spans }()
		return n.FaultAt(at, len(hole), message, remedy)
	}
	if e.lookup.Refuse {
		n.Unset = true
		e.faults = append(e.faults, fault("`${…}` is for the files of the configuration: nothing is looked up for a stored document",
			"write the value itself, or $${ for a literal ${"))
		return hole
	}
	if path, ok := strings.CutPrefix(inner, "file:"); ok {
		if e.lookup.File == nil {
			n.Unset = true
			return hole
		}
		text, err := e.lookup.File(path)
		if err != nil {
			n.Unset = true
			e.faults = append(e.faults, fault(fmt.Sprintf("cannot read the file `%s`: %v", path, reason(err)), "write the whole path, beginning with /, of a file that the gateway's user can read"))
			return hole
		}
		return strings.TrimFunc(string(text), connectors.IsBlank)
	}
	if !envName.MatchString(inner) {
		n.Unset = true
		e.faults = append(e.faults, fault(fmt.Sprintf("`%s` is not the name of an environment variable", hole), "write ${NAME} or ${file:/path}, or $${ for a literal ${"))
		return hole
	}
	if e.lookup.Env != nil {
		if value, ok := e.lookup.Env(inner); ok {
			return strings.TrimFunc(value, connectors.IsBlank)
		}
	}
	n.Unset = true
	if !e.seen[inner] {
		e.seen[inner] = true
		e.unset = append(e.unset, Unset{inner, fault("", "")})
	}
	return hole
}

// reason unwraps an error to omit the path, which the message names already.
func reason(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok || inner.Unwrap() == nil {
			return err
		}
		err = inner.Unwrap()
	}
}
