package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits of a file. Anchors can expand a few lines to many; MaxAliased limits that expansion, because an attacker could use it.
const (
	MaxBytes   = 4 << 20
	MaxDepth   = 64
	MaxAliased = 50_000
)

// Parse parses one YAML document. name is the file's name in faults. An empty file is an empty mapping. If there are faults,
// the node is nil.
func Parse(name string, text []byte) (*Node, Faults) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if len(text) > MaxBytes {
		return nil, Faults{At(name, fmt.Sprintf("the file has more than %d MiB", MaxBytes>>20), "split it: a folder of files is read as one configuration")}
	}
	return parse(newFile(name, string(text)), text)
}

func parse(f *file, text []byte) (*Node, Faults) {
	if fault, ok := f.unreadable(text); ok {
		return nil, f.guard(Faults{fault})
	}
	root, err := decode(bytes.NewReader(text), f)
	if err != nil {
		if faults, ok := errors.AsType[Faults](err); ok {
			return nil, f.guard(faults)
		}
		return nil, f.guard(Faults{f.explain(text, err)})
	}
	c := converter{file: f}
	n := c.root(root)
	if len(c.faults) > 0 {
		return nil, f.guard(c.faults)
	}
	return n, nil
}

// unreadable finds bytes that are not text, for which the YAML library reports no position.
func (f *file) unreadable(text []byte) (Fault, bool) {
	if utf8.Valid(text) && !bytes.ContainsFunc(text, control) {
		return Fault{}, false
	}
	for i, line := range f.lines {
		column := 0
		for _, r := range line {
			column++
			if r == utf8.RuneError {
				return f.fault(i+1, column, 1, "this is not UTF-8", "save the file as UTF-8"), true
			}
			if control(r) {
				return f.fault(i+1, column, 1, fmt.Sprintf("there is a control character (%U) here", r), "remove it; within double quotes it can be written as \\u"+fmt.Sprintf("%04x", r)), true
			}
		}
	}
	return At(f.name, "this is not UTF-8", "save the file as UTF-8"), true
}

// control reports characters that YAML forbids, and line ends that only YAML 1.1 recognises, which would shift line numbers.
func control(r rune) bool {
	switch r {
	case '\t', '\n', '\r':
		return false
	case 0x85, 0x2028, 0x2029, 0xfeff, 0xfffe, 0xffff:
		return true
	}
	return r < ' ' || (r >= 0x7f && r < 0xa0)
}

// decode parses the first document and refuses a second one. It converts a panic of the library to an error, because a file
// must not stop a gateway that reloads.
func decode(r io.Reader, f *file) (root *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("this YAML cannot be parsed (%v)", p)
		}
	}()
	decoder := yaml.NewDecoder(r)
	root = &yaml.Node{}
	if err := decoder.Decode(root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return root, nil
	case err != nil:
		return nil, err
	}
	return nil, Faults{f.fault(second.Line, second.Column, 3, "a second document begins here", "a file contains one document: remove the `---`, or move the second document to another file")}
}

// converter converts the library's tree to nodes.
type converter struct {
	file    *file
	faults  Faults
	aliased int // number of nodes that come from aliases
}

func (c *converter) root(root *yaml.Node) *Node {
	empty := &Node{Kind: Mapping, At: Position{c.file.name, 1, 1}, file: c.file}
	if root == nil || len(root.Content) == 0 {
		return empty
	}
	n := c.node(root.Content[0], 0, false)
	if n == nil || n.Kind == Null {
		return empty
	}
	return n
}

func (c *converter) fault(n *yaml.Node, length int, message, remedy string) {
	c.faults = append(c.faults, c.file.fault(n.Line, n.Column, length, message, remedy))
}

// node converts a node. It returns nil if a limit was exceeded, which is reported as a fault.
func (c *converter) node(y *yaml.Node, depth int, aliased bool) *Node {
	if aliased {
		if c.aliased++; c.aliased > MaxAliased {
			if c.aliased == MaxAliased+1 {
				c.fault(y, 1, fmt.Sprintf("aliases expand to more than %d values", MaxAliased), "write the values out, or split the file")
			}
			return nil
		}
	}
	if depth > MaxDepth {
		c.fault(y, 1, fmt.Sprintf("values are nested more than %d levels deep", MaxDepth), "an alias may refer to a value that contains it")
		return nil
	}
	if y.Kind == yaml.AliasNode {
		if c.file.stored {
			c.fault(y, 1, "a stored document has no aliases", "write the value out; put a text that begins with * in quotes")
			return nil
		}
		return c.node(y.Alias, depth+1, true)
	}
	n := &Node{At: Position{c.file.name, y.Line, y.Column}, file: c.file}
	if c.tagged(y) {
		return n
	}
	switch y.Kind {
	case yaml.SequenceNode:
		n.Kind = List
		for _, item := range y.Content {
			if child := c.node(item, depth+1, aliased); child != nil {
				n.addItem(child)
			}
		}
	case yaml.MappingNode:
		n.Kind = Mapping
		c.pairs(n, y, depth, aliased)
	default:
		c.scalar(n, y)
	}
	return n
}

func (c *converter) scalar(n *Node, y *yaml.Node) {
	n.Kind, n.Text = Scalar, y.Value
	switch {
	case y.Style&yaml.SingleQuotedStyle != 0:
		n.Style = Single
	case y.Style&yaml.DoubleQuotedStyle != 0:
		n.Style = Double
	case y.Style&yaml.LiteralStyle != 0:
		n.Style = Literal
	case y.Style&yaml.FoldedStyle != 0:
		n.Style = Folded
	default:
		if y.Tag == "!!null" {
			n.Kind, n.Text = Null, ""
		}
	}
}

// tagged refuses tags. YAML reads `!has(email)` as a tag, and would drop its value silently.
func (c *converter) tagged(y *yaml.Node) bool {
	w := walk(c.file, y.Line, y.Column)
	if w.peek() == '&' {
		for r := w.peek(); r != ' ' && r != '\n' && r != 0; r = w.peek() {
			w.next()
		}
		w.blank()
	}
	if w.peek() != '!' {
		return false
	}
	before, _ := strings.CutSuffix(c.file.line(w.line), w.rest)
	value := upToValueEnd(w.rest, inFlow(before))
	tag, _, _ := strings.Cut(value, " ")
	remedy := "remove it, or put a text that begins with ! in quotes"
	if after := strings.TrimLeft(value[1:], " "); after != "" && !strings.HasPrefix(after, "!") {
		key := before[strings.LastIndexAny(before, ",{")+1:]
		if key = strings.TrimLeft(key, " -"); strings.HasPrefix(key, "when:") || strings.ContainsAny(after, "()<=>") {
			remedy = "write " + key + "not " + after
		}
	}
	c.faults = append(c.faults, c.file.fault(w.line, w.column, utf8.RuneCountInString(value),
		fmt.Sprintf("`%s` is a tag to YAML, not an expression", tag), remedy))
	return true
}

// pairs converts a mapping: its own keys, without duplicates, then the keys that `<<` merges in and that it does not have.
func (c *converter) pairs(n *Node, y *yaml.Node, depth int, aliased bool) {
	seen := map[string]*Node{}
	var merged []*Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		yk, yv := y.Content[i], y.Content[i+1]
		if yk.Kind == yaml.AliasNode && yk.Alias.Kind == yaml.ScalarNode {
			yk = yk.Alias
		}
		if yk.Kind == yaml.ScalarNode && yk.Tag == "!!merge" {
			merged = append(merged, c.merged(yv, depth+1, aliased)...)
			continue
		}
		if yk.Kind != yaml.ScalarNode {
			c.wantsQuotes(yk)
			continue
		}
		key := &Node{At: Position{c.file.name, yk.Line, yk.Column}, file: c.file}
		if c.tagged(yk) {
			continue
		}
		if c.scalar(key, yk); key.Kind == Null {
			key.Kind, key.Text = Scalar, yk.Value
		}
		if first := seen[key.Text]; first != nil {
			c.faults = append(c.faults, key.Fault(fmt.Sprintf("`%s` is written twice here", key.Text), fmt.Sprintf("it is also on line %d: keep one", first.At.Line)))
			continue
		}
		seen[key.Text] = key
		if value := c.node(yv, depth+1, aliased); value != nil {
			n.addPair(key, value)
		}
	}
	for _, m := range merged {
		for _, p := range m.Pairs {
			if seen[p.Key.Text] == nil {
				seen[p.Key.Text] = p.Key
				n.addPair(p.Key, p.Value)
			}
		}
	}
}

// merged returns the mappings that `<<` names: one, or a list of them.
func (c *converter) merged(y *yaml.Node, depth int, aliased bool) []*Node {
	n := c.node(y, depth, aliased)
	switch {
	case n == nil:
		return nil
	case n.Kind == Mapping:
		return []*Node{n}
	case n.Kind == List:
		for _, item := range n.Items {
			if item.Kind != Mapping {
				c.fault(y, 1, "`<<` can only merge mappings", "write <<: *name, with &name before a mapping")
				return nil
			}
		}
		return n.Items
	}
	c.fault(y, 1, "`<<` can only merge mappings", "write <<: *name, with &name before a mapping")
	return nil
}

// wantsQuotes explains a key that is not a text, such as in `text: {{ nps_score }}`, which is a mapping within a mapping.
func (c *converter) wantsQuotes(key *yaml.Node) {
	line := c.file.line(key.Line)
	if fault, ok := c.file.braces(key.Line, line); ok {
		c.faults = append(c.faults, fault)
		return
	}
	c.fault(key, 1, "a key must be a single word or text", "put quotes around it")
}
