// Package document reads YAML into a tree that knows where everything stands, and binds the tree to structs,
// strictly, with every fault at once. It is the only door to the YAML library.
package document

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// Kind is what a node is.
type Kind uint8

// The kinds. An empty value, ~ and null are Null.
const (
	Null Kind = iota
	Scalar
	List
	Mapping
)

func (k Kind) String() string {
	return [...]string{"nothing", "a single value", "a list", "a mapping"}[k]
}

// Style is how a scalar is written.
type Style uint8

// The styles of scalars.
const (
	Plain   Style = iota // as it is
	Single               // 'in single quotes'
	Double               // "in double quotes"
	Literal              // | a block, line for line
	Folded               // > a block, lines joined
)

// Node is a value of a document. It is not changed once it is expanded.
type Node struct {
	Kind Kind
	// At is where it begins.
	At Position
	// Text is a scalar's text, with ${…} replaced.
	Text  string
	Style Style
	// Unset says that Text still holds a ${NAME} that has no value, which only `test` and editors allow.
	Unset bool
	// Items are a list's.
	Items []*Node
	// Pairs are a mapping's, in the order written.
	Pairs []Pair

	file    *file
	written string // Text before ${…} was replaced
	spans   []span // where in written the parts of Text come from; nil where they are the same
	secret  bool   // its text is a secret
}

// Pair is one key of a mapping with its value.
type Pair struct {
	Key   *Node
	Value *Node
}

// span says that Text[at:] comes from written[from:], up to the next span; a replaced part points at its `${`.
type span struct {
	at, from int
	replaced bool
}

// Key is the value of a key of a mapping, nil where there is none.
func (n *Node) Key(name string) *Node {
	if n == nil {
		return nil
	}
	for _, p := range n.Pairs {
		if p.Key.Text == name {
			return p.Value
		}
	}
	return nil
}

// Named is the key itself, nil where there is none.
func (n *Node) Named(name string) *Node {
	if n == nil {
		return nil
	}
	for _, p := range n.Pairs {
		if p.Key.Text == name {
			return p.Key
		}
	}
	return nil
}

// Fault is a fault of this node. A mapping or list in a block is pointed at by its first line.
func (n *Node) Fault(message, remedy string) Fault {
	return n.file.fault(n.At.Line, n.At.Column, n.width(), message, remedy)
}

// FaultAt is a fault of part of a scalar's text, in bytes.
func (n *Node) FaultAt(offset, length int, message, remedy string) Fault {
	if n.Kind != Scalar {
		return n.Fault(message, remedy)
	}
	line, column, width := n.locate(offset, length)
	return n.file.fault(line, column, width, message, remedy)
}

// HasUnset says that a ${NAME} without a value stands somewhere in the node.
func (n *Node) HasUnset() bool {
	if n == nil {
		return false
	}
	if n.Unset {
		return true
	}
	for _, item := range n.Items {
		if item.HasUnset() {
			return true
		}
	}
	for _, p := range n.Pairs {
		if p.Value.HasUnset() {
			return true
		}
	}
	return false
}

// Written is a scalar's text as the file has it, before ${…} was replaced.
func (n *Node) Written() string {
	if n.written != "" || n.spans != nil {
		return n.written
	}
	return n.Text
}

// With is a mapping of some of the pairs: those whose keys pass.
func (n *Node) With(keep func(key string) bool) *Node {
	part := &Node{Kind: Mapping, At: n.At, file: n.file}
	for _, p := range n.Pairs {
		if keep(p.Key.Text) {
			part.Pairs = append(part.Pairs, p)
		}
	}
	return part
}

// number is what counts as a number in a plain scalar: JSON's form, with + and a bare point allowed.
// 007 is text: people write post codes and telephone numbers so.
var number = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?$|^[-+]?\.[0-9]+([eE][-+]?[0-9]+)?$`)

// IsNumber says that a scalar is a number: plain and of a number's form.
func (n *Node) IsNumber() bool {
	return n.Kind == Scalar && n.Style == Plain && number.MatchString(n.Text)
}

// IsBool says that a scalar is a plain true or false.
func (n *Node) IsBool() bool {
	return n.Kind == Scalar && n.Style == Plain && (strings.EqualFold(n.Text, "true") || strings.EqualFold(n.Text, "false"))
}

// JSON is the node as JSON: keys in the order written, numbers with their own digits.
func (n *Node) JSON() []byte { return n.appendJSON(nil) }

func (n *Node) appendJSON(b []byte) []byte {
	switch n.Kind {
	case Null:
		return append(b, "null"...)
	case List:
		b = append(b, '[')
		for i, item := range n.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	case Mapping:
		b = append(b, '{')
		for i, p := range n.Pairs {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, p.Key.Text), ':')
			b = p.Value.appendJSON(b)
		}
		return append(b, '}')
	}
	switch {
	case n.IsBool():
		return append(b, strings.ToLower(n.Text)...)
	case n.IsNumber() && json.Valid([]byte(n.Text)):
		return append(b, n.Text...)
	case n.IsNumber():
		return append(b, jsonNumber(n.Text)...)
	}
	return appendText(b, n.Text)
}

// jsonNumber turns +1, .5 and 1. into what JSON allows.
func jsonNumber(text string) string {
	text = strings.TrimPrefix(text, "+")
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	if strings.HasPrefix(text, ".") {
		text = "0" + text
	}
	if i := strings.IndexByte(text, '.'); i >= 0 && (i+1 == len(text) || text[i+1] == 'e' || text[i+1] == 'E') {
		text = text[:i] + text[i+1:]
	}
	return sign + text
}

func appendText(b []byte, text string) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // a string always encodes
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}
