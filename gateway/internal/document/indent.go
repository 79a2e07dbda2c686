package document

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// keyed matches a line that is a key, with or without a value.
var keyed = regexp.MustCompile(`^([A-Za-z0-9_.*-]+):( |$)`)

// glued matches a key whose value follows without a space.
var glued = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_-]*):([^ /].*)$`)

// level is an indentation level: a column, from 0, of keys or dashes.
type level struct {
	column int
	dashes bool // the column contains the dashes of a list
	open   bool // its last key has no value yet, so a list may follow in the same column
}

// indented finds the first line, up to the one where parsing stopped, that matches no open indentation level, is deeper than
// the line above allows, or mixes keys and dashes.
func (f *file) indented(stopped int) (Fault, bool) {
	var levels []level
	top := func() *level { return &levels[len(levels)-1] }
	above, block := "", -1
	for n := 1; n <= min(stopped, len(f.lines)); n++ {
		line := strings.TrimRight(f.lines[n-1], " ")
		text := strings.TrimLeft(line, " ")
		if text == "" || text[0] == '#' || text[0] == '\t' {
			continue
		}
		indent := len(line) - len(text)
		if block >= 0 && indent > block { // within | or >
			continue
		}
		block = -1
		column, width := content(line)
		fault := func(message, remedy string) (Fault, bool) {
			return f.fault(n, column, width, message, remedy), true
		}
		if m := keyed.FindStringSubmatch(above); len(levels) > 0 && indent > top().column && m != nil && above != m[1]+":" && keyed.MatchString(text) {
			return fault("this line is indented deeper than the one above, which already has a value",
				fmt.Sprintf("begin it in column %d, or remove the value of `%s`", top().column+1, m[1]))
		}
		for len(levels) > 0 && top().column > indent {
			if levels = levels[:len(levels)-1]; len(levels) == 0 || top().column < indent {
				return fault("this line is between two levels of indentation", "begin it in the column of the lines it belongs to")
			}
		}
		dash := strings.HasPrefix(text, "- ") || text == "-"
		switch {
		case len(levels) == 0 || top().column < indent:
			levels = append(levels, level{column: indent, dashes: dash})
		case top().dashes && !dash:
			return fault("this key is in the column of a list's dashes",
				fmt.Sprintf("to make it part of the entry above, begin it in column %d; otherwise begin it further left", indent+3))
		case !top().dashes && dash && !top().open:
			return fault("this entry of a list is in the column of keys", "add a key for the list above it")
		}
		for strings.HasPrefix(text, "- ") {
			rest := strings.TrimLeft(text[2:], " ")
			indent += len(text) - len(rest)
			levels, text = append(levels, level{column: indent}), rest
		}
		if m := glued.FindStringSubmatch(text); m != nil {
			return f.fault(n, utf8.RuneCountInString(line)-utf8.RuneCountInString(text)+1, utf8.RuneCountInString(m[1])+1, fmt.Sprintf("`%s:` needs a space after the colon", m[1]),
				fmt.Sprintf("write %s: %s", m[1], m[2])), true
		}
		if !dash && !keyed.MatchString(text) && !strings.ContainsAny(text, ":{}[]\"'") {
			return fault(fmt.Sprintf("`%s` is neither a key nor an entry of a list", text), fmt.Sprintf("write %s: and its value, or put - before it", text))
		}
		if !dash {
			value, _, _ := strings.Cut(text, " #")
			top().open = strings.HasSuffix(strings.TrimRight(value, " "), ":")
		}
		if blockHead.MatchString(text) {
			block = indent
		}
		above = text
	}
	return Fault{}, false
}

// blockHead matches the line before a block scalar.
var blockHead = regexp.MustCompile(`[:-] [|>][-+0-9]*$`)

// unclosed finds the quote or bracket that was open where parsing stopped.
func (f *file) unclosed(stopped int) (Fault, bool) {
	type open struct {
		line, column int
		bracket      rune
	}
	var stack []open
	for n := 1; n <= min(stopped, len(f.lines)); n++ {
		line := f.lines[n-1]
		column, quote := 0, rune(0)
		var quotedAt int
		last := ' '
	scan:
		for _, r := range line {
			column++
			switch {
			case quote != 0:
				if r == quote && (quote == '\'' || last != '\\') {
					quote = 0
				}
			case r == '#' && (last == ' ' || last == '\t'):
				break scan
			case (r == '"' || r == '\'') && strings.ContainsRune(" [{,(", last):
				quote, quotedAt = r, column
			case r == '{' || r == '[':
				if len(stack) > 0 || last == ' ' || last == '{' || last == '[' {
					stack = append(stack, open{n, column, r})
				}
			case (r == '}' || r == ']') && len(stack) > 0:
				stack = stack[:len(stack)-1]
			}
			last = r
		}
		if quote != 0 && !strings.ContainsRune(strings.Join(f.lines[n:min(n+3, len(f.lines))], "\n"), quote) {
			return f.fault(n, quotedAt, 1, fmt.Sprintf("the quote `%c` is not closed", quote), fmt.Sprintf("put %c at the end of the text", quote)), true
		}
	}
	if len(stack) == 0 {
		return Fault{}, false
	}
	o := stack[len(stack)-1]
	closes := map[rune]string{'{': "}", '[': "]"}[o.bracket]
	return f.fault(o.line, o.column, 1, fmt.Sprintf("`%c` is not closed, or a comma is missing within it", o.bracket),
		fmt.Sprintf("put %s at its end and commas between its entries", closes)), true
}
