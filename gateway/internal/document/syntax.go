package document

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// counted returns one byte per Read, so that its offset shows where the library stopped. The library's own errors name the
// line of the surrounding mapping, not that of the fault.
type counted struct {
	text []byte
	at   int
}

func (c *counted) Read(into []byte) (int, error) {
	if c.at >= len(c.text) || len(into) == 0 {
		return 0, io.EOF
	}
	into[0] = c.text[c.at]
	c.at++
	return 1, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)

// explain converts an error of the library to a fault with a remedy, by examining the lines around it.
func (f *file) explain(text []byte, err error) Fault {
	c := &counted{text: text}
	_, again := decode(c, f)
	problem, line := err.Error(), 1
	if again != nil {
		problem = again.Error()
	}
	if m := yamlLine.FindStringSubmatch(problem); m != nil {
		problem = problem[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	stopped := bytes.Count(text[:c.at], []byte("\n")) + 1
	line, stopped = min(line, len(f.lines)), min(stopped, len(f.lines))

	if name, ok := strings.CutPrefix(problem, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		return f.unknownAlias(name, stopped)
	}
	switch problem {
	case "mapping values are not allowed in this context", "found character that cannot start any token",
		"did not find expected alphabetic or numeric character", "found unknown escape character",
		"did not find expected whitespace or line break", "found unexpected end of stream":
		// The scanner's errors name the correct line.
	default:
		line = f.before(stopped, 0)
	}
	for _, n := range []int{line, f.before(stopped, 1), f.before(stopped, 2)} {
		if n < 1 || n > len(f.lines) {
			continue
		}
		for _, look := range []func(int, string) (Fault, bool){f.tab, f.dollar, f.quoted, f.braces, f.start, f.escape, f.colon} {
			if fault, ok := look(n, f.lines[n-1]); ok {
				return fault
			}
		}
		if n == line {
			if fault, ok := f.indented(stopped); ok {
				return fault
			}
		}
	}
	if fault, ok := f.unclosed(stopped); ok {
		return fault
	}
	column, width := content(f.lines[line-1])
	return f.fault(line, column, width, "this is not YAML: "+problem, "check the quotes, brackets and indentation of this line and the one above")
}

// before returns the number-th last line, up to this one, that is neither empty nor a comment.
func (f *file) before(line, number int) int {
	for ; line > 1; line-- {
		text := strings.TrimSpace(f.lines[line-1])
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if number == 0 {
			return line
		}
		number--
	}
	return 1
}

// content returns the column and width of a line's text.
func content(line string) (column, width int) {
	trimmed := strings.TrimLeft(line, " \t")
	column = utf8.RuneCountInString(line) - utf8.RuneCountInString(trimmed) + 1
	return column, max(1, utf8.RuneCountInString(strings.TrimRight(trimmed, " ")))
}

func columnAt(line string, offset int) int { return utf8.RuneCountInString(line[:offset]) + 1 }

func (f *file) unknownAlias(name string, stopped int) Fault {
	for n := stopped; n >= 1; n-- {
		if i := strings.Index(f.lines[n-1], "*"+name); i >= 0 {
			return f.fault(n, columnAt(f.lines[n-1], i), 1+utf8.RuneCountInString(name),
				fmt.Sprintf("`*%s` refers to `&%s`, which is not defined above", name, name), "put a text that begins with * in quotes")
		}
	}
	return f.fault(stopped, 1, 1, fmt.Sprintf("`*%s` refers to `&%s`, which is not defined above", name, name), "put a text that begins with * in quotes")
}

// tab finds a tab in the indentation.
func (f *file) tab(n int, line string) (Fault, bool) {
	blank := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	i := strings.IndexByte(blank, '\t')
	if i < 0 || strings.TrimSpace(line) == "" {
		return Fault{}, false
	}
	return f.fault(n, i+1, 1, "there is a tab in the indentation", "YAML needs spaces: use two for each level"), true
}

// opening matches the text before a quoted value: a key, a dash or a bracket.
var opening = regexp.MustCompile(`(?:^\s*(?:- +)*|[{,\[]\s*)(?:([A-Za-z0-9_.*-]+): +)?(["'])`)

// quoted finds a value whose quotes end before its end.
func (f *file) quoted(n int, line string) (Fault, bool) {
	for _, m := range opening.FindAllStringSubmatchIndex(line, -1) {
		start := m[4]
		quote := line[start]
		end := closing(line, start)
		if end < 0 {
			continue
		}
		flow := inFlow(line[:start])
		rest := strings.TrimLeft(line[end+1:], " ")
		switch {
		case rest == "" || rest[0] == '#' || rest[0] == ':':
			continue
		case flow && strings.IndexByte(",}]", rest[0]) >= 0:
			continue
		}
		if key, _, ok := strings.Cut(rest, ":"); ok && flow && setting.MatchString(key) {
			at := end + 1 + len(line[end+1:]) - len(rest)
			return f.fault(n, columnAt(line, at), utf8.RuneCountInString(key), "a comma is missing", "put one before "+key+":"), true
		}
		// If the rest has the same quote again, the quote was meant as part of the text.
		key := ""
		if m[2] >= 0 {
			key = line[m[2]:m[3]] + ": "
		}
		if last := strings.LastIndexByte(line, quote); last > end && (line[last:] == string(quote) || strings.Trim(line[last+1:], " ]},") == "") {
			inner := line[start+1 : last]
			hole := strings.Contains(inner, "{{")
			switch {
			case quote == '"' && hole:
				return f.fault(n, columnAt(line, end), utf8.RuneCountInString(line[end:last]), "the quotes of the text end here",
					"inside double quotes write single ones: "+key+`"`+strings.ReplaceAll(inner, `"`, `'`)+`"`), true
			case quote == '\'':
				return f.fault(n, columnAt(line, end), utf8.RuneCountInString(line[end:last]), "the quotes of the text end here",
					"inside single quotes write it twice: "+key+`'`+strings.ReplaceAll(inner, `'`, `''`)+`'`), true
			}
		}
		value := upToValueEnd(line[start:], flow)
		return f.fault(n, columnAt(line, start), utf8.RuneCountInString(line[start:end+1]), "the quotes end before the value",
			"put the whole value in quotes: "+key+quoteWhole(value)), true
	}
	return Fault{}, false
}

// closing returns the offset of the quote that closes the text which begins at start; -1 if it is not on this line.
func closing(line string, start int) int {
	quote := line[start]
	for i := start + 1; i < len(line); i++ {
		switch {
		case quote == '"' && line[i] == '\\':
			i++
		case line[i] == quote && quote == '\'' && i+1 < len(line) && line[i+1] == quote:
			i++
		case line[i] == quote:
			return i
		}
	}
	return -1
}

// quoteWhole quotes a text in the style that needs the fewest changes.
func quoteWhole(text string) string {
	if strings.Contains(text, "'") && !strings.ContainsAny(text, `"\`) {
		return `"` + text + `"`
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

// inFlow reports whether a bracket is open at the end of this part of a line.
func inFlow(before string) bool {
	before = strings.ReplaceAll(before, "{{", "")
	return strings.Count(before, "{") > strings.Count(before, "}") || strings.Count(before, "[") > strings.Count(before, "]")
}

// upToValueEnd cuts a text after its value: in flow style at the comma or bracket that ends it, otherwise at the end of the
// line or at a comment.
func upToValueEnd(text string, flow bool) string {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '#':
			if i > 0 && text[i-1] == ' ' {
				return strings.TrimRight(text[:i], " ")
			}
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; flow && depth < 0 {
				return strings.TrimRight(text[:i], " ")
			}
		case ',':
			if flow && depth <= 0 {
				return strings.TrimRight(text[:i], " ")
			}
		}
	}
	return strings.TrimRight(text, " ")
}

// bare matches a key and the value after it, up to the value's first character.
var bare = regexp.MustCompile(`(?:^\s*(?:- +)*|[{,]\s*)([A-Za-z0-9_.*-]+): +`)

// braces finds an unquoted text that begins with a hole, which YAML reads as a mapping.
func (f *file) braces(n int, line string) (Fault, bool) {
	for _, m := range bare.FindAllStringSubmatchIndex(line, -1) {
		value := upToValueEnd(line[m[1]:], inFlow(line[:m[1]]))
		if value == "" || strings.ContainsAny(value[:1], `"'|>#`) || !strings.Contains(value, "{{") {
			continue
		}
		if list := value[0] == '[' || value[0] == '{'; list && !strings.HasPrefix(value, "{{") {
			continue // the text is nested deeper
		}
		if !strings.HasPrefix(value, "{{") && !inFlow(line[:m[1]]) {
			continue
		}
		quoted := `"` + value + `"`
		if strings.ContainsAny(value, `"\`) {
			quoted = quoteWhole(value)
		}
		return f.fault(n, columnAt(line, m[1]), utf8.RuneCountInString(value), "`{{` opens a mapping in YAML, not a hole in a text",
			"put the text in quotes: "+line[m[2]:m[3]]+": "+quoted), true
	}
	return Fault{}, false
}

// variable matches a ${NAME} without quotes in a list or mapping in brackets.
var variable = regexp.MustCompile(`(?:[{,\[]\s*(?:[A-Za-z0-9_.-]+: +)?)(\$\{[^}]*\}?)`)

// dollar finds a ${NAME} whose brace YAML reads as a mapping's.
func (f *file) dollar(n int, line string) (Fault, bool) {
	for _, m := range variable.FindAllStringSubmatchIndex(line, -1) {
		if inFlow(line[:m[2]]) {
			return f.fault(n, columnAt(line, m[2]), utf8.RuneCountInString(line[m[2]:m[3]]), "within brackets a `{` opens a mapping in YAML",
				`put it in quotes: "`+line[m[2]:m[3]]+`"`), true
		}
	}
	return Fault{}, false
}

// starting matches a value that begins with a character that YAML reserves.
var starting = regexp.MustCompile("(?:^\\s*(?:- +)*|[{,\\[]\\s*)(?:([A-Za-z0-9_.-]+): +)?([@`%*&!|>])")

// start finds a value that begins with a character that YAML reserves.
func (f *file) start(n int, line string) (Fault, bool) {
	for _, m := range starting.FindAllStringSubmatchIndex(line, -1) {
		value := upToValueEnd(line[m[4]:], inFlow(line[:m[4]]))
		if value == "" {
			continue
		}
		if first := value[0]; (first == '|' || first == '>' || first == '&' || first == '!') && len(value) > 1 && value[1] != ' ' && first != '!' {
			continue
		}
		if value[0] == '*' && len(value) > 1 && value[1] != '.' && !strings.ContainsAny(value[:1], "@`%") {
			continue
		}
		key := ""
		if m[2] >= 0 {
			key = line[m[2]:m[3]] + ": "
		}
		return f.fault(n, columnAt(line, m[4]), utf8.RuneCountInString(value),
			fmt.Sprintf("a value cannot begin with `%c` in YAML", value[0]), "put it in quotes: "+key+`"`+strings.ReplaceAll(value, `"`, `'`)+`"`), true
	}
	return Fault{}, false
}

var escaped = regexp.MustCompile(`\\[^0abtnvfre "/\\N_LPxuU\t]`)

// escape finds a backslash escape that is invalid in double quotes, such as in a regular expression.
func (f *file) escape(n int, line string) (Fault, bool) {
	for _, m := range opening.FindAllStringSubmatchIndex(line, -1) {
		start := m[4]
		end := closing(line, start)
		if end < 0 || line[start] != '"' {
			continue
		}
		if at := escaped.FindStringIndex(line[start:end]); at != nil {
			return f.fault(n, columnAt(line, start+at[0]), 2, fmt.Sprintf("`%s` is not a valid escape within double quotes", line[start+at[0]:start+at[1]]),
				"put the value in single quotes, where a backslash is literal: '"+strings.ReplaceAll(line[start+1:end], "'", "''")+"'"), true
		}
	}
	return Fault{}, false
}

var setting = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// colon finds an unquoted value that contains a colon and a space, which YAML reads as another key.
func (f *file) colon(n int, line string) (Fault, bool) {
	for _, m := range bare.FindAllStringSubmatchIndex(line, -1) {
		value := upToValueEnd(line[m[1]:], inFlow(line[:m[1]]))
		if value == "" || strings.ContainsAny(value[:1], `"'|>#{[&*`) {
			continue
		}
		i := strings.Index(value+" ", ": ")
		if i < 0 {
			continue
		}
		remedy := "put the whole value in quotes: " + line[m[2]:m[3]] + ": " + quoteWhole(value)
		if word := value[strings.LastIndexByte(value[:i], ' ')+1 : i]; inFlow(line[:m[1]]) && len(word) < i && setting.MatchString(word) {
			remedy = "put a comma before " + word + ", or " + remedy
		}
		return f.fault(n, columnAt(line, m[1]+i), 1, "a colon and a space begin a new key in YAML", remedy), true
	}
	return Fault{}, false
}
