package console

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// yaml writes the settings of a document as the editor shows them.
func (k *editable) yaml(spec json.RawMessage) string {
	node, _ := document.ParseStored(k.Kind, spec)
	if node == nil || len(node.Pairs) == 0 {
		return ""
	}
	slices.SortStableFunc(node.Pairs, func(a, b document.Pair) int { return k.rank(a.Key.Text) - k.rank(b.Key.Text) })
	return node.YAML(0)
}

func (k *editable) rank(key string) int {
	if i := slices.Index(k.keys, key); i >= 0 {
		return i
	}
	return len(k.keys)
}

// parsed is a text that is YAML or JSON.
type parsed struct {
	node *document.Node
	text string
}

// parse reads the text. If it cannot be read, the faults say why.
func (e *editor) parse() bool {
	if e.parsed != nil && e.parsed.text == e.Text {
		return true
	}
	node, faults := document.ParseStored(e.Kind, []byte(e.Text))
	if node == nil {
		e.parsed, e.Faults = nil, texts(faults)
		return false
	}
	e.parsed = &parsed{node, e.Text}
	return true
}

// texts are faults as `check` prints them.
func texts(faults document.Faults) []string {
	var all []string
	for _, f := range faults.Sorted() {
		all = append(all, f.String())
	}
	return all
}

// json is the document as the API takes it.
func (p *parsed) json() json.RawMessage { return p.node.JSON() }

// events are the types that the document names.
func (p *parsed) events() []string {
	var all []string
	if list := p.node.Key("events"); list != nil {
		for _, item := range list.Items {
			all = append(all, item.Text)
		}
	}
	return all
}

// refused returns the faults that the API found, at their places in the text. prefix is the path that leads to the document.
func (p *parsed) refused(details []view.Detail, prefix ...string) []string {
	var all document.Faults
	for _, d := range details {
		loc := d.Loc
		if len(loc) >= len(prefix) && slices.Equal(loc[:len(prefix)], prefix) {
			loc = loc[len(prefix):]
		}
		all = append(all, p.node.FaultOf(loc, d.At, d.Msg, ""))
	}
	return texts(all)
}

// problems returns those of a document that is not in use.
func (p *parsed) problems(problems []view.SettingProblem) []string {
	var all document.Faults
	for _, each := range problems {
		f := p.node.FaultOf(each.Loc, nil, each.Msg, each.Remedy)
		f.Code = each.Code
		all = append(all, f)
	}
	return texts(all)
}

// inFile returns the document as a part of a file, with its comments where its lines can be moved as they are.
func (p *parsed) inFile(e *editor) string {
	name := strings.TrimSuffix(document.Title(e.Kind, e.Name).YAML(0), "\n")
	if e.Name == "" {
		name = "NAME"
	}
	lines := indented(p.text, "    ")
	if first := strings.TrimSpace(p.text); first == "" || strings.HasPrefix(first, "{") || strings.HasPrefix(first, "---") || strings.Contains(p.text, "\t") {
		lines = p.node.YAML(4)
	}
	if strings.TrimSpace(lines) == "{}" {
		lines = ""
	}
	head := "  " + name + ":\n"
	if e.isListed() {
		head = "  - name: " + name + "\n"
	}
	if owner := e.Setting; owner != nil && owner.Tenant != access.DefaultTenant {
		head += "    tenant: " + document.Title(e.Kind, owner.Tenant).YAML(0)
	}
	return e.collection() + ":\n" + head + lines
}

// indented moves all lines to the right.
func indented(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		if strings.TrimSpace(line) != "" {
			b.WriteString(by)
		}
		b.WriteString(line)
	}
	return b.String()
}

// changedLine is a line of one of two texts, or of both. Sign is +, - or a space.
type changedLine struct{ Sign, Text string }

// maxCompared bounds the work of a comparison: the product of the numbers of lines.
const maxCompared = 4 << 20

// compareLines returns the lines of two texts in one list. Texts that are too long are shown one after the other.
func compareLines(from, to string) []changedLine {
	a, b := strings.Split(strings.TrimRight(from, "\n"), "\n"), strings.Split(strings.TrimRight(to, "\n"), "\n")
	var out []changedLine
	if len(a)*len(b) > maxCompared {
		for _, line := range a {
			out = append(out, changedLine{"-", line})
		}
		for _, line := range b {
			out = append(out, changedLine{"+", line})
		}
		return out
	}
	// common[i][j] is the length of the longest common sequence of lines of a[i:] and b[j:].
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i, own := range slices.Backward(a) {
		for j, other := range slices.Backward(b) {
			if own == other {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, changedLine{" ", a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, changedLine{"-", a[i]})
			i++
		default:
			out = append(out, changedLine{"+", b[j]})
			j++
		}
	}
	return out
}
