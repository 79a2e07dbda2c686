package document

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Escaped returns a copy of the tree whose texts are as they are written where variables are expanded again. What was ${…} is written
// so that its JSON has the same characters: without quotes, +1 would become 1. A text with a ${…} that has no value stays as it is.
func (n *Node) Escaped() *Node {
	c := &Node{Kind: n.Kind, Style: n.Style, At: n.At, Text: EscapeVariables(n.Text), file: n.file}
	if n.Unset {
		c.Text = n.Written()
	}
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
	if len(path) == 1 && n.step(path[0]) == nil { // a decoder that refuses an unknown key says its name alone
		if holder := n.holder(path[0]); holder != nil {
			found = holder
		}
	}
	for i, step := range path {
		next := found.step(step)
		if next == nil {
			at = nil
			break
		}
		if key := found.Named(step); i == len(path)-1 && len(at) != 2 && key != nil && isAboutKey(message, step, next) {
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

// isAboutKey reports whether a message about a value is better shown at its key.
func isAboutKey(message, key string, value *Node) bool {
	named := strings.Index(message, "`"+key+"`")
	return named == 0 || named > 0 && value.Kind != Scalar || strings.Contains(message, "of this name")
}

// holder returns the only mapping below that has a key; nil if there is none, or another one.
func (n *Node) holder(key string) *Node {
	var found *Node
	if n.Named(key) != nil {
		found = n
	}
	below := func(child *Node) bool {
		in := child.holder(key)
		if in != nil && found != nil {
			return false
		}
		if in != nil {
			found = in
		}
		return true
	}
	for _, item := range n.Items {
		if !below(item) {
			return nil
		}
	}
	for _, p := range n.Pairs {
		if !below(p.Value) {
			return nil
		}
	}
	return found
}

// concealUnlessNumber masks all texts below.
func (n *Node) concealUnlessNumber() {
	if !n.IsNumber() && !n.IsBool() {
		n.concealAll()
	}
}

// Guarded masks, in faults of the node's file, what a key means to be a secret.
func (n *Node) Guarded(faults Faults) Faults { return n.file.guard(faults) }

// WithVariables returns a copy of a tree that was bound, as it is written in its file: each ${…} stands as such. A secret that is written
// otherwise becomes the variable that name returns for its path and the paths of all secrets like it.
func (n *Node) WithVariables(name func(path string, all []string) string) *Node {
	var all []string
	n.inClear(nil, func(path string) { all = append(all, path) })
	return n.withVariables(nil, func(path string) string { return name(path, all) })
}

// schemed matches a secret behind the scheme of an Authorization header.
var schemed = regexp.MustCompile(`^(?i:basic|bearer|token|apikey) (\$\{[^{}]*\})+$`)

// isInClear reports whether a scalar is a secret, or has one, that stands in its file.
func (n *Node) isInClear() bool {
	return n.secret && !n.isReference() && !(n.spans != nil && schemed.MatchString(n.Written()))
}

// inClear calls found with the path of each secret that stands in the file.
func (n *Node) inClear(path []string, found func(path string)) {
	if n.isInClear() {
		found(JoinPath(path))
	}
	for i, item := range n.Items {
		item.inClear(append(slices.Clip(path), strconv.Itoa(i)), found)
	}
	for _, p := range n.Pairs {
		p.Value.inClear(append(slices.Clip(path), p.Key.Text), found)
	}
}

func (n *Node) withVariables(path []string, name func(path string) string) *Node {
	c := &Node{Kind: n.Kind, Style: n.Style, At: n.At, Text: n.Written(), file: n.file}
	if n.isInClear() {
		c.Style, c.Text = Double, "${"+name(JoinPath(path))+"}"
	}
	for i, item := range n.Items {
		c.addItem(item.withVariables(append(slices.Clip(path), strconv.Itoa(i)), name))
	}
	for _, p := range n.Pairs {
		key := &Node{Kind: Scalar, Style: p.Key.Style, Text: p.Key.Text, At: p.Key.At, file: n.file}
		c.addPair(key, p.Value.withVariables(append(slices.Clip(path), p.Key.Text), name))
	}
	return c
}
