// Package document parses YAML into a tree that records positions, and binds the tree to structs, strictly, reporting all
// faults at once. It is the only package that imports the YAML library.
package document

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Kind is the kind of a node.
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

// Style is the quoting style of a scalar.
type Style uint8

// The styles of scalars.
const (
	Plain   Style = iota // without quotes
	Single               // 'in single quotes'
	Double               // "in double quotes"
	Literal              // | a block, line for line
	Folded               // > a block, lines joined
)

// Node is a value of a document. It is immutable after Expand.
type Node struct {
	Kind  Kind
	Style Style
	// Unset reports that Text still contains a ${NAME} without a value, which only `test` and editors allow.
	Unset  bool
	secret bool // whether the text is a secret
	placed bool // whether it is not written in the file: see Put
	apart  bool // whether it is a secret that Put placed: its text is what the document's author wrote

	// At is the position of its first character.
	At Position
	// Text is the text of a scalar, with ${…} replaced.
	Text string
	// Items are the items of a list.
	Items []*Node
	// Pairs are the pairs of a mapping, in the order written.
	Pairs []Pair

	file    *file
	written string // Text before ${…} was replaced
	spans   []span // maps Text to written; nil if they are equal
	wide    int32  // how many characters a scalar takes, with its quotes; 0 if that is not known yet

	// parent is the list or mapping that holds the node, nil for the root, and index the node's place there. They give the path of a
	// fault. A key has the parent and index of its value.
	index  int32
	parent *Node
}

// Pair is one key of a mapping with its value.
type Pair struct {
	Key   *Node
	Value *Node
}

// span maps Text[at:] to written[from:], up to the next span. For a replaced part, from is the position of its `${`.
type span struct {
	at, from int
	replaced bool
}

// Key returns the value of a mapping's key; nil if the key is absent.
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

// Named returns the node of a mapping's key itself; nil if the key is absent.
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

// Fault returns a fault at this node. For a mapping or list in block style, it points to the first line.
func (n *Node) Fault(message, remedy string) Fault {
	return n.located(n.file.fault(n.At.Line, n.At.Column, n.width(), message, remedy))
}

// FaultAt returns a fault at a part of a scalar's text; offset and length are in bytes.
func (n *Node) FaultAt(offset, length int, message, remedy string) Fault {
	if n.Kind != Scalar {
		return n.Fault(message, remedy)
	}
	line, column, width := n.locate(offset, length)
	f := n.located(n.file.fault(line, column, width, message, remedy))
	if f.Loc != nil && length > 0 {
		f.Within = &[2]int{offset, offset + length}
	}
	return f
}

// HasUnset reports whether the node or one of its children contains a ${NAME} without a value.
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

// Written returns a scalar's text as written in the file, before ${…} was replaced.
func (n *Node) Written() string {
	if n.written != "" || n.spans != nil {
		return n.written
	}
	return n.Text
}

// With returns a mapping that contains only the pairs whose keys pass keep.
func (n *Node) With(keep func(key string) bool) *Node {
	part := &Node{Kind: Mapping, At: n.At, file: n.file, parent: n.parent, index: n.index}
	for _, p := range n.Pairs {
		if keep(p.Key.Text) {
			part.Pairs = append(part.Pairs, p)
		}
	}
	return part
}

// number matches numbers in plain scalars: JSON's format, but a leading + and a point without digits on one side are allowed.
// 007 is text, because post codes and telephone numbers are written like this.
var number = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?$|^[-+]?\.[0-9]+([eE][-+]?[0-9]+)?$`)

// IsNumber reports whether a scalar is plain and has the format of a number.
func (n *Node) IsNumber() bool {
	return n.Kind == Scalar && n.Style == Plain && number.MatchString(n.Text)
}

// IsBool reports whether a scalar is a plain true or false.
func (n *Node) IsBool() bool {
	return n.Kind == Scalar && n.Style == Plain && (strings.EqualFold(n.Text, "true") || strings.EqualFold(n.Text, "false"))
}

// Sorted returns a copy of the tree with the keys of all mappings in order.
func (n *Node) Sorted() *Node {
	c := *n
	c.Items, c.Pairs = slices.Clone(n.Items), slices.Clone(n.Pairs)
	for i, item := range c.Items {
		c.Items[i] = item.Sorted()
	}
	for i, p := range c.Pairs {
		c.Pairs[i].Value = p.Value.Sorted()
	}
	slices.SortFunc(c.Pairs, func(a, b Pair) int { return strings.Compare(a.Key.Text, b.Key.Text) })
	return &c
}

// JSON returns the node as JSON, with keys in the order written and numbers with their original digits.
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

// jsonNumber converts +1, .5 and 1. to valid JSON.
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
	_ = enc.Encode(text) // encoding a string cannot fail
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}
