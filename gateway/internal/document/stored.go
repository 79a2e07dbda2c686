package document

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// A stored document is the text of one object in the store, in JSON or YAML. It is named by its key in the store instead of by
// a file, its faults have a path beside line and column, and its secrets are kept beside the text and put into the tree by Put.

// maxStoredLine bounds a line of a stored document in YAML, in bytes: positions are found by walking through the line.
const maxStoredLine = 4 << 10

// ParseStored parses a stored document in JSON or YAML. name is its name in faults. If there are faults, the node is nil. Aliases
// are refused: a stranger could make a few lines expand to many.
func ParseStored(name string, text []byte) (*Node, Faults) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	f := newFile(name, string(text))
	f.stored = true
	if isJSON(text) {
		return readJSON(f, string(text))
	}
	for i, line := range f.lines {
		if len(line) > maxStoredLine {
			return nil, Faults{At(name, fmt.Sprintf("line %d is longer than %d KiB, and this is not JSON", i+1, maxStoredLine>>10), "check the quotes and brackets, or write shorter lines")}
		}
	}
	return parse(f, text)
}

// Title returns a scalar that is written in no file, such as the name under which a document is stored. Faults at it are faults of
// the whole document.
func Title(name, text string) *Node {
	return &Node{Kind: Scalar, Text: text, At: Position{File: name}, placed: true, file: &file{name: name, stored: true}}
}

// Prepend returns a mapping with a further pair before the others. The value keeps its own position.
func (n *Node) Prepend(key string, value *Node) *Node {
	with := n.With(func(string) bool { return true })
	with.Pairs = slices.Insert(with.Pairs, 0, Pair{Title(n.At.File, key), value})
	return with
}

// Put sets the value at a path to a secret, which then counts as written ${PATH}: it is masked, and its value is no part of
// digests. It is read as if it stood in the document: a value with {{ }} has its holes. Steps of the path are separated by full stops, and a full stop within a key is written `\.`. Where the path leads to
// a list, a step is a place in it, from 0. Lists and mappings on the way are made if they are absent. It must be called before
// the tree is bound.
func (n *Node) Put(path string, secret connectors.Secret) Faults {
	steps := SplitPath(path)
	at := n
	for i, step := range steps {
		child := at.step(step)
		if i == len(steps)-1 {
			value := &Node{
				Kind: Scalar, Style: Double, At: at.At, file: n.file, placed: true, apart: true,
				Text:    secret.Expose(), //nolint:forbidigo // as the value of a ${…} stands in the text of a node
				written: "${" + strings.NewReplacer("{", "(", "}", ")").Replace(path) + "}", spans: []span{{0, 0, true}},
			}
			if child != nil {
				value.At = child.At
			}
			value.conceal()
			if !at.set(step, value) {
				return Faults{at.Fault("the secret `"+path+"` has no place here", "store the document again, with its secrets")}
			}
			return nil
		}
		if child == nil || child.Kind == Null {
			child = &Node{Kind: Mapping, At: at.At, file: n.file}
			if _, err := strconv.Atoi(steps[i+1]); err == nil {
				child.Kind = List
			}
			if !at.set(step, child) {
				return Faults{at.Fault("the secret `"+path+"` has no place here", "store the document again, with its secrets")}
			}
		}
		at = child
	}
	return nil
}

// SplitPath splits a path at its full stops. `\.` is a full stop within a key, `\\` a backslash.
func SplitPath(path string) []string {
	var steps []string
	var step strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path):
			i++
			step.WriteByte(path[i])
		case path[i] == '.':
			steps = append(steps, step.String())
			step.Reset()
		default:
			step.WriteByte(path[i])
		}
	}
	return append(steps, step.String())
}

// set replaces or adds a child; false if the node cannot have it.
func (n *Node) set(step string, child *Node) bool {
	switch n.Kind {
	case Mapping:
		for i, p := range n.Pairs {
			if p.Key.Text == step {
				n.Pairs[i].Value, child.parent, child.index = child, n, int32(i)
				return true
			}
		}
		n.addPair(&Node{Kind: Scalar, Text: step, At: n.At, file: n.file, placed: true}, child)
		return true
	case List:
		i, err := strconv.ParseInt(step, 10, 32)
		switch at := int(i); {
		case err != nil || at < 0 || at > len(n.Items):
			return false
		case at == len(n.Items):
			n.addItem(child)
		default:
			n.Items[at], child.parent, child.index = child, n, int32(i)
		}
		return true
	}
	return false
}

func (n *Node) addItem(child *Node) {
	child.parent, child.index = n, int32(len(n.Items))
	n.Items = append(n.Items, child)
}

func (n *Node) addPair(key, value *Node) {
	key.parent, key.index = n, int32(len(n.Pairs))
	value.parent, value.index = n, int32(len(n.Pairs))
	n.Pairs = append(n.Pairs, Pair{key, value})
}

// located adds the node's path to a fault of a stored document.
func (n *Node) located(f Fault) Fault {
	if n.file.stored {
		f.Loc = n.path()
	}
	return f
}

// FaultOfMissing returns a fault of a mapping that lacks a key. In a stored document its Loc ends with the key.
func (n *Node) FaultOfMissing(key, message, remedy string) Fault {
	f := n.Fault(message, remedy)
	if f.Loc != nil {
		f.Loc = append(f.Loc, key)
	}
	return f
}

// path returns the keys and places that lead from the root to a node.
func (n *Node) path() []any {
	path := []any{}
	for ; n.parent != nil; n = n.parent {
		switch up := n.parent; {
		case up.Kind == List:
			path = append(path, int(n.index))
		case int(n.index) < len(up.Pairs):
			path = append(path, up.Pairs[n.index].Key.Text)
		}
	}
	slices.Reverse(path)
	return path
}

// Clear returns the paths of the values that are, or may be, secrets and stand in the text of the document: Put placed none of them.
func (n *Node) Clear() []string { return n.clear(nil, nil) }

func (n *Node) clear(path, found []string) []string {
	if n.secret && !n.apart {
		found = append(found, JoinPath(path))
	}
	for i, item := range n.Items {
		found = item.clear(append(slices.Clip(path), strconv.Itoa(i)), found)
	}
	for _, p := range n.Pairs {
		found = p.Value.clear(append(slices.Clip(path), p.Key.Text), found)
	}
	return found
}

// Mark marks the values at paths as secrets, as binding does.
func (n *Node) Mark(paths []string) {
	for _, path := range paths {
		at := n
		for _, step := range SplitPath(path) {
			if at = at.step(step); at == nil {
				break
			}
		}
		if at != nil {
			at.conceal()
		}
	}
}

// ConcealTexts marks all texts below as secrets: what they are is not known, so that each may be one.
func (n *Node) ConcealTexts() {
	if n.Kind == Scalar && !n.IsNumber() && !n.IsBool() {
		n.conceal()
	}
	for _, item := range n.Items {
		item.ConcealTexts()
	}
	for _, p := range n.Pairs {
		p.Value.ConcealTexts()
	}
}

// Split returns a copy of a tree that was bound, without its secrets, and the secrets by their path, as Put takes them. Lists of
// secrets become empty, and a mapping of secrets stays a mapping.
func (n *Node) Split() (public *Node, secrets map[string]connectors.Secret) {
	secrets = map[string]connectors.Secret{}
	return n.split(nil, secrets), secrets
}

func (n *Node) split(path []string, secrets map[string]connectors.Secret) *Node {
	if n.secret {
		secrets[JoinPath(path)] = connectors.NewSecret(n.Text)
		return nil
	}
	c := &Node{Kind: n.Kind, Style: n.Style, At: n.At, Text: n.Text, file: n.file}
	if n.spans != nil { // as it was written: what Expand made of `$${` would be a ${…} when the text is read again
		c.Text = n.written
	}
	for i, item := range n.Items {
		if part := item.split(append(slices.Clip(path), strconv.Itoa(i)), secrets); part != nil {
			c.addItem(part)
		}
	}
	for _, p := range n.Pairs {
		if part := p.Value.split(append(slices.Clip(path), p.Key.Text), secrets); part != nil {
			c.addPair(&Node{Kind: Scalar, Text: p.Key.Text, At: p.Key.At, file: n.file}, part)
		}
	}
	return c
}

// JoinPath returns the path that Put and SplitPath read.
func JoinPath(steps []string) string {
	escaped := make([]string, len(steps))
	for i, step := range steps {
		escaped[i] = pathEscaper.Replace(step)
	}
	return strings.Join(escaped, ".")
}

var pathEscaper = strings.NewReplacer(`\`, `\\`, ".", `\.`)

// Detached returns a copy of the tree that does not keep the text of its file, and that may be bound again and again: binding
// marks secrets in the nodes, so nodes are bound by one goroutine only. Its faults have a position and no line.
func (n *Node) Detached() *Node {
	if n == nil {
		return nil
	}
	return n.detached(&file{name: n.At.File})
}

func (n *Node) detached(f *file) *Node {
	c := *n
	c.file, c.parent, c.Items, c.Pairs = f, nil, nil, nil
	for _, item := range n.Items {
		c.addItem(item.detached(f))
	}
	for _, p := range n.Pairs {
		c.addPair(p.Key.detached(f), p.Value.detached(f))
	}
	return &c
}
