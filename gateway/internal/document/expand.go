package document

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// Lookup says what names stand for.
type Lookup struct {
	// Env is the value of ${NAME}.
	Env func(name string) (value string, ok bool)
	// File is the content of ${file:/path}.
	File func(path string) ([]byte, error)
}

// Unset is a ${NAME} that has no value.
type Unset struct {
	Name string
	// Fault is where it stands first; its message and remedy are the caller's.
	Fault Fault
}

// shellName matches what a shell would replace: a value that is nothing but $NAME.
var shellName = regexp.MustCompile(`^\$[A-Z_][A-Z0-9_]*$`)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Expand replaces ${NAME} and ${file:/path} in every scalar of the tree, never in keys and never as YAML: what
// stands in a variable is text, whatever it holds. `$${` is `${`. White space at the ends of a variable and of a file
// is dropped, because editors, `echo` and mounted secrets put it there; what is written around a ${…} stays. Names without a value are left as they are and returned, each once; such nodes say Unset.
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
	case shellName.MatchString(n.Text):
		// It is not repeated: it could be a password all the same, which then has to come from the environment.
		e.faults = append(e.faults, n.Fault("`$NAME` is not replaced by the environment's value", `write "${NAME}", with braces`))
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
			e.faults = append(e.faults, n.FaultAt(i, 2, "`${` is not closed", "write ${NAME}, or $${ for the two characters themselves"))
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

// replace is what one ${…} stands for; itself where that is not known.
func (e *expander) replace(n *Node, hole string, at int) string {
	inner := hole[2 : len(hole)-1]
	// The node's text is not replaced yet, so a fault finds its place in what is written.
	fault := func(message, remedy string) Fault {
		spans := n.spans
		n.spans = nil
		defer func() { n.spans = spans }()
		return n.FaultAt(at, len(hole), message, remedy)
	}
	if path, ok := strings.CutPrefix(inner, "file:"); ok {
		if e.lookup.File == nil {
			n.Unset = true
			return hole
		}
		text, err := e.lookup.File(path)
		if err != nil {
			n.Unset = true
			e.faults = append(e.faults, fault(fmt.Sprintf("the file `%s` cannot be read: %v", path, reason(err)), "a path begins with /, and the gateway's user must be able to read it"))
			return hole
		}
		return strings.TrimFunc(string(text), connectors.IsBlank)
	}
	if !envName.MatchString(inner) {
		n.Unset = true
		e.faults = append(e.faults, fault(fmt.Sprintf("`%s` is not a name of the environment", hole), "write ${NAME} or ${file:/path}; $${ is ${ itself"))
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

// reason is an error without the path, which the message names already.
func reason(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok || inner.Unwrap() == nil {
			return err
		}
		err = inner.Unwrap()
	}
}
