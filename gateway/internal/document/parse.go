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

// What a file may hold. Anchors let a few lines stand for many; beyond MaxAliased it is an attack.
const (
	MaxBytes   = 4 << 20
	MaxDepth   = 64
	MaxAliased = 50_000
)

// Parse reads one YAML document. Name is how faults call it. An empty file is an empty mapping. The node is nil
// where there are faults.
func Parse(name string, text []byte) (*Node, Faults) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if len(text) > MaxBytes {
		return nil, Faults{At(name, fmt.Sprintf("the file has more than %d MiB", MaxBytes>>20), "split it: a folder of files is read as one configuration")}
	}
	f := newFile(name, string(text))
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

// unreadable finds what is no text at all, which the YAML library tells without a place.
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
				return f.fault(i+1, column, 1, fmt.Sprintf("a control character (%U) stands here", r), "take it out; within double quotes it may be written as \\u"+fmt.Sprintf("%04x", r)), true
			}
		}
	}
	return At(f.name, "this is not UTF-8", "save the file as UTF-8"), true
}

// control is what YAML forbids, and the line ends that only YAML 1.1 knows, which would shift every line number.
func control(r rune) bool {
	switch r {
	case '\t', '\n', '\r':
		return false
	case 0x85, 0x2028, 0x2029, 0xfeff, 0xfffe, 0xffff:
		return true
	}
	return r < ' ' || (r >= 0x7f && r < 0xa0)
}

// decode reads the first document and refuses a second one. A panic of the library becomes an error: a file of
// any bytes must not stop a gateway that reloads.
func decode(r io.Reader, f *file) (root *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("this is not YAML that can be read (%v)", p)
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
	return nil, Faults{f.fault(second.Line, second.Column, 3, "a second document begins here", "one file is one document: take the `---` out, or make it a file of its own")}
}

// converter makes our tree of the library's.
type converter struct {
	file    *file
	faults  Faults
	aliased int // nodes that stand for others
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

// node converts a node; nil where the bounds were passed, which is a fault already.
func (c *converter) node(y *yaml.Node, depth int, aliased bool) *Node {
	if aliased {
		if c.aliased++; c.aliased > MaxAliased {
			if c.aliased == MaxAliased+1 {
				c.fault(y, 1, fmt.Sprintf("aliases stand for more than %d values", MaxAliased), "write out what they stand for, or split the file")
			}
			return nil
		}
	}
	if depth > MaxDepth {
		c.fault(y, 1, fmt.Sprintf("nested more than %d deep", MaxDepth), "an alias may stand inside what it stands for")
		return nil
	}
	if y.Kind == yaml.AliasNode {
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
				n.Items = append(n.Items, child)
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

// tagged refuses tags: `!has(email)` is one to YAML, and its value would be dropped silently.
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
	remedy := "take it out; a text that begins with ! wants quotes"
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

// pairs converts a mapping: its own keys, each once, then what `<<` merges in and its own keys do not say.
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
			c.faults = append(c.faults, key.Fault(fmt.Sprintf("`%s` stands here twice", key.Text), fmt.Sprintf("it is also on line %d: keep one", first.At.Line)))
			continue
		}
		seen[key.Text] = key
		if value := c.node(yv, depth+1, aliased); value != nil {
			n.Pairs = append(n.Pairs, Pair{key, value})
		}
	}
	for _, m := range merged {
		for _, p := range m.Pairs {
			if seen[p.Key.Text] == nil {
				seen[p.Key.Text] = p.Key
				n.Pairs = append(n.Pairs, p)
			}
		}
	}
}

// merged are the mappings that `<<` names: one, or a list of them.
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
				c.fault(y, 1, "`<<` merges mappings", "write <<: *name, where &name stands before a mapping")
				return nil
			}
		}
		return n.Items
	}
	c.fault(y, 1, "`<<` merges mappings", "write <<: *name, where &name stands before a mapping")
	return nil
}

// wantsQuotes explains a key that is no text: `text: {{ nps_score }}` is one, a mapping within a mapping.
func (c *converter) wantsQuotes(key *yaml.Node) {
	line := c.file.line(key.Line)
	if fault, ok := c.file.braces(key.Line, line); ok {
		c.faults = append(c.faults, fault)
		return
	}
	c.fault(key, 1, "a key is a single word or text", "put quotes around it")
}
