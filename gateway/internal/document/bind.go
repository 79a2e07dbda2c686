package document

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/expression"
)

// Options change how Bind reads a node.
type Options struct {
	// Partial skips the check for required settings: the node is one of several layers of a product's settings.
	Partial bool
	// Embedded binds only the fields of embedded (inline) structs and ignores all other keys. It binds the settings that a
	// connection shares with an action of its product.
	Embedded bool
	// Rule refuses settings that belong to a connection: secrets and addresses.
	Rule bool
	// Most ends the binding when there are so many faults; 0 is no bound.
	Most int
	// Known are further keys to suggest for a misspelt key. Misnamed returns remedies for keys of other tools.
	Known    []string
	Misnamed Misnamer
}

// Binder is implemented by types that read a node themselves; name is the setting's name, for messages.
type Binder interface {
	BindNode(n *Node, name string) Faults
}

// Misnamer is implemented by structs that recognise keys which are often written instead of theirs. The remedy is empty for
// any other key.
type Misnamer interface {
	Misnamed(key string) (remedy string)
}

// A bound struct names its settings with yaml tags, `yaml:"name,omitempty"`; without omitempty a setting is required. Fields
// without a tag are ignored. `yaml:",inline"` embeds a struct's settings; on a Map[*Node] it collects all keys that no other
// field names. `yaml:",node"` on a *Node stores the node itself.
//
// A type determines how it is written: an encoding.TextUnmarshaler as a scalar, a connectors.ValuesUnmarshaler as a scalar or
// a mapping of values, and a struct as a mapping. A struct, slice or map that is also a TextUnmarshaler accepts both.
// An error "problem; remedy" becomes a fault's message and remedy. The caret of an expression's error is under the faulty part.

// Map is a mapping with arbitrary keys, in the order written.
type Map[T any] []Entry[T]

// Entry is one key of a Map.
type Entry[T any] struct {
	Name  string
	Key   *Node
	Node  *Node
	Value T
}

// Lookup returns the value of a key.
func (m Map[T]) Lookup(name string) (value T, ok bool) {
	for _, e := range m {
		if e.Name == name {
			return e.Value, true
		}
	}
	return value, false
}

// Free marks Map for code that inspects types: a mapping with arbitrary keys.
func (m Map[T]) Free() {}

// Free is implemented by Map.
type Free interface{ Free() }

// Bind sets the fields of the struct that `into` points to from a node. It is strict and returns all faults.
func Bind(n *Node, into any, options Options) Faults {
	b := binder{options: options}
	b.bind(n, reflect.ValueOf(into).Elem(), "")
	return b.faults
}

type binder struct {
	options Options
	faults  Faults
	depth   int // of nested structs; Partial applies to the outermost only
}

func (b *binder) fault(f Fault) { b.faults = append(b.faults, f) }

// full reports whether there are enough faults.
func (b *binder) full() bool { return b.options.Most > 0 && len(b.faults) >= b.options.Most }

var (
	nodeType      = reflect.TypeFor[*Node]()
	valuesType    = reflect.TypeFor[expression.Values]()
	urlType       = reflect.TypeFor[connectors.URL]()
	baseType      = reflect.TypeFor[connectors.BaseURL]()
	rawType       = reflect.TypeFor[json.RawMessage]()
	textType      = reflect.TypeFor[encoding.TextUnmarshaler]()
	valuesUnmType = reflect.TypeFor[connectors.ValuesUnmarshaler]()
	freeType      = reflect.TypeFor[Free]()
	binderType    = reflect.TypeFor[Binder]()
)

// bind sets a value from a node; name is the setting's name, for messages.
func (b *binder) bind(n *Node, v reflect.Value, name string) {
	if b.full() {
		n.concealAll() // which would not be found to be secret
		return
	}
	t := v.Type()
	// A list may be a secret in brackets, and a single value may be the only secret of a list.
	if IsSecret(t) || n.Kind != Scalar && mayBeSecret(t) || misplaced(n, t) && reachesSecret(t) {
		n.concealAll()
	}
	switch {
	case t == nodeType:
		v.Set(reflect.ValueOf(n))
		return
	case t == rawType:
		v.SetBytes(n.JSON())
		return
	case t == secretType:
		b.secret(n, v, name)
		return
	case t == valuesType:
		b.values(n, v.Addr().Interface().(*expression.Values), name)
		return
	case t.Kind() == reflect.Pointer:
		if n.Unset && t.Elem().Kind() == reflect.Bool { // as if it were left out: false would be an answer
			return
		}
		fresh := reflect.New(t.Elem())
		if !v.IsNil() {
			fresh.Elem().Set(v.Elem())
		}
		before := len(b.faults)
		if b.bind(n, fresh.Elem(), name); len(b.faults) == before {
			v.Set(fresh)
		}
		return
	}
	if v.CanAddr() && reflect.PointerTo(t).Implements(binderType) {
		b.faults = append(b.faults, v.Addr().Interface().(Binder).BindNode(n, name)...)
		return
	}
	unmarshals := v.CanAddr() && reflect.PointerTo(t).Implements(textType)
	if n.Kind == Null && (unmarshals || !composite(t)) {
		b.fault(b.empty(n, name))
		return
	}
	if n.Kind == Mapping && v.CanAddr() && reflect.PointerTo(t).Implements(valuesUnmType) {
		var values expression.Values
		before := len(b.faults)
		if b.values(n, &values, name); len(b.faults) == before {
			b.refused(n, v.Addr().Interface().(connectors.ValuesUnmarshaler).UnmarshalValues(values))
		}
		return
	}
	if unmarshals && (n.Kind == Scalar || !composite(t) || isText(t)) {
		if n.Kind != Scalar {
			b.fault(b.wrongKind(n, name, "a single value"))
			return
		}
		address, isAddress := reflect.TypeAssert[referenced](v.Addr())
		if n.Unset {
			if isAddress {
				address.Referenced(n.Text)
			}
			return
		}
		if t == prefixType {
			b.prefix(n, v)
			return
		}
		n.concealUser()
		if reference, ok := reflect.TypeAssert[referenceUnmarshaler](v.Addr()); ok && n.HasReference() && !n.apart {
			b.refusedAs(n, name, reference.UnmarshalReference(n.Written(), n.Text))
			return
		}
		b.refusedAs(n, name, v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Text)))
		if isAddress {
			if n.HasReference() {
				address.Referenced(n.Text)
			}
			if address.IsSecret() {
				n.conceal()
			}
		}
		return
	}
	switch {
	case t.Implements(freeType):
		b.free(n, v, name)
	case t.Kind() == reflect.Struct:
		b.structure(n, v, name)
	case t.Kind() == reflect.Slice:
		b.list(n, v, name)
	case t.Kind() == reflect.Map:
		b.mapping(n, v, name)
	default:
		b.scalar(n, v, name)
	}
}

// isText reports whether a struct has no settings, so that it is written as a text.
func isText(t reflect.Type) bool { return t.Kind() == reflect.Struct && len(Fields(t)) == 0 }

func composite(t reflect.Type) bool {
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Slice || t.Kind() == reflect.Map
}

// secret binds a secret. bind has already masked it in all faults that show its line.
func (b *binder) secret(n *Node, v reflect.Value, name string) {
	switch {
	case n.Kind == Null:
		n.concealLine() // the comment behind it was meant to be the secret
		b.fault(n.Fault(fmt.Sprintf("`%s` is empty", name), "give it a value; put it in quotes if it begins with #"))
	case n.Kind == Scalar && n.Text == "":
		b.fault(b.empty(n, name))
	case n.Kind != Scalar:
		b.fault(b.wrongKind(n, name, "a single value"))
	default:
		secret := connectors.NewSecret(n.Text)
		v.Set(reflect.ValueOf(secret))
		if err := connectors.CheckSecret(secret); err != nil && !n.Unset {
			b.fault(n.Refusal(name, fmt.Errorf("%w; %s", err, n.secretRemedy())))
		}
	}
}

// secretRemedy suggests how to write a secret that was refused, depending on how it is written now.
func (n *Node) secretRemedy() string {
	ends := strings.TrimFunc(n.Text, connectors.IsBlank)
	switch {
	case ends == "":
		return "give it a value"
	case ends == n.Text && n.spans != nil:
		return "check the value of the ${…}: a secret is one line; write bytes in base64 or hexadecimal"
	case ends == n.Text:
		return "copy it again: a secret is one line; write bytes in base64 or hexadecimal"
	case (n.Style == Literal || n.Style == Folded) && ends+"\n" == n.Text:
		return "a block ends with a line break: write `|-` instead of `|` (`>-` instead of `>`), or the value on one line"
	}
	return "remove the white space"
}

// refused converts the error of a type that parses its own text into faults with positions.
func (b *binder) refused(n *Node, err error) {
	var many expression.Errors
	var one *expression.Error
	switch {
	case err == nil:
	case asErrors(err, &many):
		for _, e := range many {
			b.fault(expressionFault(n, e))
		}
	case asErrors(err, &one):
		b.fault(expressionFault(n, one))
	default:
		b.fault(n.Refusal("", err))
	}
}

// refusedAs is like refused, for the value of a named setting.
func (b *binder) refusedAs(n *Node, name string, err error) {
	var many expression.Errors
	var one *expression.Error
	if err == nil || asErrors(err, &many) || asErrors(err, &one) {
		b.refused(n, err)
		return
	}
	b.fault(n.Refusal(name, err))
}

// predicates are the beginnings of errors that do not name the setting, such as "is missing".
var predicates = []string{"is ", "has ", "holds ", "would ", "cannot ", "does ", "belongs ", "wants ", "needs ", "must ", "may ", "are ", "begins "}

// Refusal converts an error "problem; remedy" into a fault. name completes errors that do not name the setting.
func (n *Node) Refusal(name string, err error) Fault {
	message, remedy, _ := strings.Cut(err.Error(), "; ")
	if name != "" && slices.ContainsFunc(predicates, func(p string) bool { return strings.HasPrefix(message, p) }) {
		message = "`" + name + "` " + message
	}
	return n.Fault(message, remedy)
}

// expressionFault puts the caret under the faulty part of an expression. The error's path leads to a value within n.
func expressionFault(n *Node, e *expression.Error) Fault {
	for _, step := range e.Path {
		next := n.step(step)
		if next == nil {
			break
		}
		n = next
	}
	remedy := e.Remedy
	if n.Style == Plain {
		if fault, ok := n.itemAsComment(); ok {
			return fault
		}
		if strings.Contains(remedy, " #") {
			remedy += ", and put the whole text in single quotes, because # begins a comment in YAML"
		}
	}
	f := n.FaultAt(e.Offset, e.Length, e.Message, remedy)
	f.Page = expression.DocsURL
	return f
}

// step returns the child for one step of a path.
func (n *Node) step(step string) *Node {
	if n.Kind == Mapping {
		return n.Key(step)
	}
	var i int
	if _, err := fmt.Sscanf(step, "%d", &i); err == nil && i >= 0 && i < len(n.Items) {
		return n.Items[i]
	}
	return nil
}

// empty returns the fault of a setting that has no value, or whose value became a comment.
func (b *binder) empty(n *Node, name string) Fault {
	message := "the value is empty"
	if name != "" {
		message = fmt.Sprintf("`%s` is empty", name)
	}
	if n.Kind == Null {
		line := n.file.line(n.At.Line)
		runes := []rune(line)
		if from := n.At.Column - 1; from >= 0 && from <= len(runes) {
			rest := strings.TrimSpace(string(runes[from:]))
			if strings.HasPrefix(rest, "#") && !strings.HasPrefix(rest, "# ") {
				comment, _, _ := strings.Cut(rest, " ")
				if comment = strings.TrimRight(comment, ",}]"); len(comment) > 1 {
					return n.Fault(message+": the text behind it is a comment", `put it in quotes: "`+comment+`"`)
				}
			}
		}
		return n.Fault(message, "give it a value or remove it")
	}
	return n.Fault(message, "give it a value")
}

// wrongKind returns the fault of a node of the wrong kind.
func (b *binder) wrongKind(n *Node, name, wanted string) Fault {
	n.concealByKey()
	what := "this"
	if name != "" {
		what = "`" + name + "`"
	}
	message := fmt.Sprintf("%s must be %s, and is %s", what, wanted, n.Kind)
	remedy := ""
	switch {
	case wanted == "a list" && n.Kind == Scalar:
		remedy = "put it in brackets: [ … ]"
	case wanted == "a mapping" && n.Kind == Scalar:
		remedy = "write settings as key: value"
	case wanted == "a single value" && n.Kind == List && len(n.Items) == 1:
		remedy = "remove the brackets"
	case n.Kind == Mapping && wanted == "a list":
		remedy = "begin each entry with `- `"
	case n.Kind == List && wanted == "a mapping":
		remedy = "write settings as key: value, without `- `"
	}
	return n.Fault(message, remedy)
}
