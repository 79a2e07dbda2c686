package document

import (
	"encoding/binary"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
)

// Faults show lines of files, and must not show secrets. A file masks each secret by its place, and by its text wherever
// that appears again, for example in a comment.

// exposer is implemented by connectors.Secret and by types that embed it, such as the value of a header.
type exposer interface{ Expose() string }

// referenced is implemented by settings that are secret when they come from a ${…}, such as a webhook's URL.
type referenced interface {
	Referenced(text string)
	IsSecret() bool
}

// referenceUnmarshaler is implemented by settings that read the value of a ${…} differently from a literal value.
type referenceUnmarshaler interface {
	UnmarshalReference(written, text string) error
}

var (
	exposerType    = reflect.TypeFor[exposer]()
	referencedType = reflect.TypeFor[referenced]()
	secretType     = reflect.TypeFor[connectors.Secret]()
)

// IsSecret reports whether a type is a secret.
func IsSecret(t reflect.Type) bool { return t.Implements(exposerType) }

// EmbedsSecret reports whether a type is a secret with a form of its own, which embeds connectors.Secret.
func EmbedsSecret(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	field, ok := t.FieldByName(secretType.Name())
	return ok && field.Anonymous && field.Type == secretType
}

// mayBeSecret reports whether values of a type can be secrets.
func mayBeSecret(t reflect.Type) bool {
	return IsSecret(t) || reflect.PointerTo(t).Implements(referencedType)
}

// holdsSecrets reports whether a setting can be a secret, or a list or mapping of secrets.
func holdsSecrets(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer:
		return mayBeSecret(t.Elem())
	}
	return mayBeSecret(t)
}

// misplaced reports whether a node has another kind than its setting, so that nothing below it will be bound.
func misplaced(n *Node, t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	switch {
	case pointer.Implements(binderType): // reads a scalar or a mapping
		return n.Kind == List
	case pointer.Implements(textType) && n.Kind == Scalar:
		return false
	case t.Kind() == reflect.Slice && !t.Implements(freeType):
		return n.Kind != List
	case composite(t):
		return n.Kind != Mapping
	}
	return false
}

// reachesSecret reports whether a setting, or one at any depth below it, can be a secret.
func reachesSecret(t reflect.Type) bool {
	switch {
	case t.Implements(freeType) || mayBeSecret(t):
		return true
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer:
		return reachesSecret(t.Elem())
	case t.Kind() == reflect.Struct:
		return slices.ContainsFunc(Fields(t), func(f Field) bool { return f.Rest || !f.Self && reachesSecret(f.Type) })
	}
	return false
}

// secretly matches keys whose values are secrets, in files that cannot be bound.
var secretly = regexp.MustCompile(`(?i)(secret|token|passw|pwd|(api|private|access)_?key|^pat$|webhook|auth|bearer|credential|cookie)`)

// secretKey matches such a key on a line of a file that cannot be read; what follows it on the line is its value.
var secretKey = regexp.MustCompile(`(?i)(?:[\w.-]*(?:secret|token|passw|pwd|(?:api|private|access)[-_]?key|auth|bearer|credential|cookie)[\w.-]*|\bpat|\bwebhook|\bheaders)["']?\s*:`)

// words matches the words of a value: a ${NAME}, the next key, or text.
var words = regexp.MustCompile(`\$\{[^{}\s]*\}?|[^\s"',{}\[\]]+`)

// inURL matches user and password of a URL within a line.
var inURL = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://([^/@\s"']+)@`)

// guard masks what may be a secret in faults of a file that cannot be bound, so that no setting says which are secrets:
// on the line that is shown, and where message and remedy repeat it.
func (f *file) guard(faults Faults) Faults {
	for i := range faults {
		fault := &faults[i]
		if fault.Line < 1 || fault.Line > len(f.lines) {
			continue
		}
		line := f.lines[fault.Line-1]
		hide := func(from, to int) {
			text := line[from:to]
			f.masks = append(f.masks, mask{fault.Line, columnAt(line, from), utf8.RuneCountInString(text)})
			for _, text := range []string{text, strings.TrimLeft(text, "!%@*&`|>")} {
				if utf8.RuneCountInString(text) >= minRepeated {
					f.secrets = append(f.secrets, text)
				}
			}
		}
		for _, m := range inURL.FindAllStringSubmatchIndex(line, -1) {
			hide(m[2], m[3])
		}
		keys := secretKey.FindAllStringIndex(line, -1)
		if f.belowSecret(fault.Line) {
			keys = [][]int{{0, 0}}
		}
		for _, key := range keys {
			brackets := key[1] == 0 || strings.IndexAny(strings.TrimLeft(line[key[1]:], " "), "{[") == 0
			for _, m := range words.FindAllStringIndex(line[key[1]:], -1) {
				from, to := key[1]+m[0], key[1]+m[1]
				next := isKey(line, from, to)
				if next && !brackets && strings.HasSuffix(strings.TrimRight(line[:from], ` "'`), ",") {
					break // the value ends before the next key
				}
				if !next && !strings.HasPrefix(line[from:to], "${") {
					hide(from, to)
				}
			}
		}
		fault.Message, fault.Remedy = f.redacted(fault.Message), f.redacted(fault.Remedy)
	}
	return faults
}

// belowSecret reports whether a line belongs to a key above it that means a secret, by its indentation.
func (f *file) belowSecret(number int) bool {
	indented := func(line string) int {
		line = strings.ReplaceAll(line, "\t", "        ")
		return 2*(len(line)-len(strings.TrimLeft(line, " "))) + strings.Count(strings.TrimLeft(line, " ")[:1], "-") // an entry may stand right below its key
	}
	if strings.TrimSpace(f.lines[number-1]) == "" {
		return false
	}
	depth := indented(f.lines[number-1])
	for i := number - 2; i >= 0 && depth > 0; i-- {
		line := f.lines[i]
		if text := strings.TrimSpace(line); text == "" || text[0] == '#' || indented(line) >= depth {
			continue
		}
		if secretKey.MatchString(line) {
			return true
		}
		depth = indented(line)
	}
	return false
}

// isKey reports whether a word of a line is a key: a colon ends it, or stands behind its closing quote.
func isKey(line string, from, to int) bool {
	rest := strings.TrimLeft(line[to:], `"'`)
	return strings.HasSuffix(line[from:to], ":") && (rest == "" || rest[0] == ' ' || rest[0] == '\t') ||
		rest != line[to:] && strings.HasPrefix(rest, ":")
}

// Redacted masks secrets of the node's file that a text repeats. The node may be nil.
func (n *Node) Redacted(text string) string {
	if n == nil {
		return text
	}
	return n.file.redacted(text)
}

// fewSecrets is how many secrets are searched for one after the other.
const fewSecrets = 16

// redacted masks secrets that a text repeats.
func (f *file) redacted(text string) string {
	if len(f.secrets) > fewSecrets && len(text) > maxShown { // one pass, and not one for each
		secrets := slices.Clone(f.secrets)
		slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
		pairs := make([]string, 0, 2*len(secrets))
		for _, secret := range secrets {
			pairs = append(pairs, secret, strings.Repeat("*", utf8.RuneCountInString(secret)))
		}
		return strings.NewReplacer(pairs...).Replace(text)
	}
	for _, secret := range f.secrets {
		if strings.Contains(text, secret) {
			text = strings.ReplaceAll(text, secret, strings.Repeat("*", utf8.RuneCountInString(secret)))
		}
	}
	return text
}

// credentials matches user and password in a URL.
var credentials = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://([^/@]+)@`)

// reference matches a text that consists of ${…} alone.
var reference = regexp.MustCompile(`^(\$\{[^{}]*\})+$`)

// minRepeated is the length from which a secret is masked wherever its text appears: shorter texts are common words.
const minRepeated = 8

// conceal marks a scalar as a secret and masks it. A scalar that is written as ${NAME} stays visible.
func (n *Node) conceal() {
	if n.Kind != Scalar || n.secret {
		return
	}
	n.secret = true
	for line := range strings.SplitSeq(n.Text, "\n") {
		if line = strings.TrimSpace(line); utf8.RuneCountInString(line) >= minRepeated && !n.Unset {
			n.file.secrets = append(n.file.secrets, line)
		}
	}
	if !n.isReference() {
		n.file.masks = append(n.file.masks, n.extent()...)
	}
}

// concealAll conceals every scalar below.
func (n *Node) concealAll() {
	n.conceal()
	for _, item := range n.Items {
		item.concealAll()
	}
	for _, p := range n.Pairs {
		p.Value.concealAll()
	}
}

// concealByKey masks the values of keys that mean a secret, in a node that will not be bound.
func (n *Node) concealByKey() {
	for _, item := range n.Items {
		item.concealByKey()
	}
	for _, p := range n.Pairs {
		if secretly.MatchString(p.Key.Text) {
			p.Value.concealAll()
		}
		p.Value.concealByKey()
	}
}

// concealLine masks the rest of a line that lacks its secret: a secret that begins with # was read as a comment.
func (n *Node) concealLine() {
	n.file.masks = append(n.file.masks, mask{n.At.Line, n.At.Column, maxColumn})
}

// concealUser masks user and password of a URL. Such a URL is refused, and the fault must not show them.
func (n *Node) concealUser() {
	m := credentials.FindStringSubmatchIndex(n.Text)
	if m == nil || n.Kind != Scalar || n.spans != nil {
		return
	}
	line, column, width := n.locate(m[2], m[3]-m[2])
	n.file.masks = append(n.file.masks, mask{line, column, width})
}

// Conceal masks all values below an unknown key: its settings are unknown too, so any of them may be a secret.
func (p Pair) Conceal() { p.Value.concealAll() }

// isReference reports whether a scalar is written as ${…} alone.
func (n *Node) isReference() bool { return n.spans != nil && reference.MatchString(n.Written()) }

// HasReference reports whether part of a scalar comes from a ${…}.
func (n *Node) HasReference() bool {
	for _, s := range n.spans {
		if s.replaced {
			return true
		}
	}
	return false
}

// maxColumn stands for the end of a line.
const maxColumn = 1 << 30

// extent returns the positions of a scalar in the file, without its quotes.
func (n *Node) extent() []mask {
	if n.wide > 0 {
		if n.Style == Double {
			return []mask{{n.At.Line, n.At.Column + 1, int(n.wide) - 2}}
		}
		return []mask{{n.At.Line, n.At.Column, int(n.wide)}}
	}
	w := walk(n.file, n.At.Line, n.At.Column)
	w.anchor()
	switch n.Style {
	case Literal, Folded:
		lines := 0
		for line := range strings.SplitSeq(n.Written(), "\n") {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
		return n.file.block(w.line, lines)
	case Single, Double:
		quote := w.next()
		start := place{w.line, w.column}
		for r := w.peek(); r != 0; r = w.peek() {
			here := place{w.line, w.column}
			w.next()
			switch {
			case r == '\\' && quote == '"':
				w.next()
			case r == quote && quote == '\'' && w.peek() == '\'': // '' is a quote within the text
				w.next()
			case r == quote:
				return masks(start, here)
			}
		}
		return masks(start, place{w.line, w.column})
	}
	start := place{w.line, w.column}
	_, end := n.places()
	if end.line != start.line {
		end.column = maxColumn // where YAML folds lines, the column may be off
	}
	return masks(start, end)
}

// masks covers the characters from start up to end.
func masks(start, end place) []mask {
	var all []mask
	for line := start.line; line <= end.line; line++ {
		from, to := 1, maxColumn
		if line == start.line {
			from = start.column
		}
		if line == end.line {
			to = end.column
		}
		all = append(all, mask{line, from, to - from})
	}
	return all
}

// indentation matches the head of a block scalar that says how far its lines are indented.
var indentation = regexp.MustCompile(`[|>][+-]?[1-9]`)

// block masks the lines of a block scalar below the line of its head: at least so many lines that are not blank, and all
// that are indented as the first. If the head states the indentation, the first line may be indented further than the rest.
func (f *file) block(head, least int) []mask {
	var all []mask
	indent := 0
	for line := head + 1; line <= len(f.lines); line++ {
		text := f.lines[line-1]
		trimmed := strings.TrimLeft(text, " ")
		own := len(text) - len(trimmed)
		switch {
		case strings.TrimSpace(trimmed) == "":
			continue
		case indent == 0:
			if indent = own; indentation.MatchString(f.lines[head-1]) {
				first := f.lines[head-1]
				indent = len(first) - len(strings.TrimLeft(first, " ")) + 1
			}
		case own < indent && len(all) >= least:
			return all
		}
		all = append(all, mask{line, own + 1, maxColumn})
	}
	return all
}

// Sum writes a canonical form of a stored document into a hash. In addition to what Digest leaves out, the order of keys and the
// quotes of texts do not count, because a store may write JSON anew.
func (n *Node) Sum(w io.Writer) {
	switch n.Kind {
	case Scalar:
		switch {
		case n.secret && !n.isReference():
			writeDigest(w, "h", "")
		case n.IsNumber():
			writeDigest(w, "i", n.Written())
		case n.IsBool():
			writeDigest(w, "b", strings.ToLower(n.Written()))
		default:
			writeDigest(w, "s", n.Written())
		}
	case List:
		writeDigest(w, "l", "")
		for _, item := range n.Items {
			item.Sum(w)
		}
		writeDigest(w, "e", "")
	case Mapping:
		writeDigest(w, "m", "")
		pairs := slices.SortedFunc(slices.Values(n.Pairs), func(a, b Pair) int { return strings.Compare(a.Key.Text, b.Key.Text) })
		for _, p := range pairs {
			writeDigest(w, "k", p.Key.Text)
			p.Value.Sum(w)
		}
		writeDigest(w, "e", "")
	default:
		writeDigest(w, "n", "")
	}
}

// Digest writes a canonical form of the tree into a hash. Comments, layout and quoting style do not count, and of a secret
// only its ${NAME} does.
func (n *Node) Digest(w io.Writer) {
	switch n.Kind {
	case Scalar:
		text, kind := n.Written(), "s"
		switch {
		case n.secret && !n.isReference():
			text, kind = "", "h"
		case n.Style != Plain:
			kind = "q" // "3" is a text, and 3 a number
		}
		writeDigest(w, kind, text)
	case List:
		writeDigest(w, "l", "")
		for _, item := range n.Items {
			item.Digest(w)
		}
		writeDigest(w, "e", "")
	case Mapping:
		writeDigest(w, "m", "")
		for _, p := range n.Pairs {
			writeDigest(w, "k", p.Key.Text)
			p.Value.Digest(w)
		}
		writeDigest(w, "e", "")
	default:
		writeDigest(w, "n", "")
	}
}

func writeDigest(w io.Writer, kind, text string) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(text)))
	_, _ = io.WriteString(w, kind) // writing to a hash cannot fail
	_, _ = w.Write(length[:])
	_, _ = io.WriteString(w, text)
}
