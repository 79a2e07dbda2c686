package document

import (
	"bytes"
	"errors"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML returns a text in JSON as YAML, with its keys in the same order. Parse reads the same values from it.
func YAML(text []byte) ([]byte, error) {
	if !isJSON(text) {
		return nil, errors.New("this is no JSON")
	}
	n, faults := readJSON(newFile("", string(text)), string(text))
	if len(faults) > 0 {
		return nil, faults
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(n.yaml()); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// yaml converts a node to the library's tree.
func (n *Node) yaml() *yaml.Node {
	switch n.Kind {
	case List:
		y := &yaml.Node{Kind: yaml.SequenceNode}
		short := true
		for _, item := range n.Items {
			y.Content = append(y.Content, item.yaml())
			short = short && item.Kind == Scalar && len(item.Text) <= maxShort
		}
		if short && len(n.Items) <= maxInLine {
			y.Style = yaml.FlowStyle
		}
		return y
	case Mapping:
		y := &yaml.Node{Kind: yaml.MappingNode}
		if len(n.Pairs) == 0 {
			y.Style = yaml.FlowStyle
		}
		for _, p := range n.Pairs {
			y.Content = append(y.Content, text(p.Key.Text), p.Value.yaml())
		}
		return y
	case Scalar:
		if n.Style == Plain { // a number, true or false, as it is in JSON
			return &yaml.Node{Kind: yaml.ScalarNode, Value: n.Text}
		}
		return text(n.Text)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

// A list of at most so many short values is written in one line, in brackets.
const (
	maxInLine = 3
	maxShort  = 24
)

// oldBool are texts that YAML 1.1 reads as true or false.
var oldBool = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off)$`)

// text returns a text as YAML's. It is put in quotes where this package, or YAML 1.1, would read something else without them.
func text(value string) *yaml.Node {
	y := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	plain := &Node{Kind: Scalar, Style: Plain, Text: value}
	switch {
	case plain.IsNumber(), plain.IsBool(), oldBool.MatchString(value), value == "", strings.ContainsFunc(value, control), strings.TrimSpace(value) != value:
		y.Style = yaml.DoubleQuotedStyle
	case strings.Contains(value, "\n"):
		y.Style = yaml.LiteralStyle
	}
	return y
}

// Escaped returns a copy of the tree whose texts are as they are written where variables are expanded again. What was ${…} is written
// so that its JSON has the same characters: without quotes, +1 would become 1.
func (n *Node) Escaped() *Node {
	c := &Node{Kind: n.Kind, Style: n.Style, At: n.At, Text: EscapeVariables(n.Text), file: n.file}
	if n.HasReference() && n.Style == Plain && string(n.JSON()) != n.Text {
		c.Style = Double
	}
	for _, item := range n.Items {
		c.addItem(item.Escaped())
	}
	for _, p := range n.Pairs {
		c.addPair(&Node{Kind: Scalar, Style: p.Key.Style, Text: p.Key.Text, At: p.Key.At, file: n.file}, p.Value.Escaped())
	}
	return c
}

// FaultOf returns the fault at the value that a path leads to, or at its key where the message is about the key. Where the tree ends
// before the path does, it is the last value on the way. at is nil, or the offsets of the beginning and the end of the faulty part.
// What a key means to be a secret is masked.
func (n *Node) FaultOf(path []string, at []int, message, remedy string) Fault {
	found := n
	for i, step := range path {
		next := found.step(step)
		if next == nil {
			at = nil
			break
		}
		if key := found.Named(step); i == len(path)-1 && len(at) != 2 && key != nil && strings.HasPrefix(message, "`"+step+"`") {
			next.concealUnlessNumber() // it may be anything, where the key is not known
			next = key
		}
		found = next
	}
	var f Fault
	switch {
	case found == n && len(path) > 0:
		return At(n.At.File, message, remedy)
	case len(at) == 2:
		f = found.FaultAt(at[0], at[1]-at[0], message, remedy)
	default:
		f = found.Fault(message, remedy)
	}
	return n.file.guard(Faults{f})[0]
}

// concealUnlessNumber masks all texts below.
func (n *Node) concealUnlessNumber() {
	if !n.IsNumber() && !n.IsBool() {
		n.concealAll()
	}
}

// Guarded masks, in faults of the node's file, what a key means to be a secret.
func (n *Node) Guarded(faults Faults) Faults { return n.file.guard(faults) }
