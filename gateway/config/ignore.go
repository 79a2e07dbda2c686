package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules/event"
)

// ignored is a code that a comment ignores: `# surveygate: ignore SG1101, SG1301`, and after the last code the reason.
type ignored struct {
	code string
	// from and to are the lines that it applies to.
	from, to int
	at       func(message, remedy string) document.Fault
	used     bool
}

func (i *ignored) covers(f document.Fault) bool {
	return f.Code == i.code && f.Line >= i.from && f.Line <= i.to
}

const ignoreMark = "surveygate:"

var ignoreComment = regexp.MustCompile(`^\s*surveygate:\s*ignore\b`)

// ignoresIn returns what the comments of a file ignore, and the faults of those that are not understood. An item is the first and last
// line of an object, to all of which a comment above it applies.
func ignoresIn(root *document.Node, comments []document.Comment, items map[int]int) (all []*ignored, faults document.Faults) {
	for _, c := range comments {
		begin := ignoreComment.FindStringIndex(c.Text)
		if begin == nil {
			continue
		}
		from := c.Line
		if c.Alone {
			from = c.Below()
		}
		to := root.EndOf(from)
		if last, ok := items[from]; ok && c.Alone {
			to = max(to, last)
		}
		at, found := begin[1], false
		for part := range strings.SplitSeq(c.Text[begin[1]:], ",") {
			words := strings.Fields(part)
			if len(words) == 0 {
				break
			}
			code, offset := strings.TrimRight(words[0], ":;."), at+strings.Index(part, words[0])
			at += len(part) + 1
			found = true
			fault := func(message, remedy string) document.Fault { return c.FaultAt(offset, len(code), message, remedy) }
			if _, known := checks.Find(code); known {
				all = append(all, &ignored{code: code, from: from, to: to, at: fault})
			} else {
				remedy := "the codes are explained in " + checks.Page
				if near := event.Nearest(strings.ToUpper(code), checks.Codes()); near != "" {
					remedy = "did you mean " + near + "?"
				}
				f := fault(fmt.Sprintf("`%s` is not a code of a warning", code), remedy)
				f.Code = string(checks.UnknownCode)
				faults = append(faults, f)
			}
			if len(words) > 1 { // what follows is the reason
				break
			}
		}
		if !found {
			f := c.FaultAt(begin[0], begin[1], "this comment names no code", "write the code that the warning shows in brackets")
			f.Code = string(checks.UnknownCode)
			faults = append(faults, f)
		}
	}
	return all, faults
}

// without returns the warnings that are not ignored.
func without(warnings document.Faults, all []*ignored) document.Faults {
	return slices.DeleteFunc(warnings, func(f document.Fault) bool {
		hit := false
		for _, i := range all {
			if i.covers(f) {
				i.used, hit = true, true
			}
		}
		return hit
	})
}

// ignore removes the warnings that comments of the files ignore, and warns of comments that have no effect.
func (l *loader) ignore() {
	for _, f := range l.files {
		if f.Node == nil {
			continue
		}
		comments := f.Node.Comments(ignoreMark)
		if len(comments) == 0 {
			continue
		}
		items := map[int]int{}
		for _, w := range l.written {
			if w.node.At.File == f.Node.At.File {
				first, last := w.node.Lines()
				first = min(first, w.item.At.Line)
				items[first] = max(items[first], last)
			}
		}
		all, faults := ignoresIn(f.Node, comments, items)
		var mine, others document.Faults
		for _, w := range l.config.Warnings {
			if w.File == f.Node.At.File {
				mine = append(mine, w)
			} else {
				others = append(others, w)
			}
		}
		l.config.Warnings = append(others, append(without(mine, all), faults...)...)
		if l.options.Lint {
			l.warnOfSuperfluous(all)
		}
	}
}

func (l *loader) warnOfSuperfluous(all []*ignored) {
	for _, i := range all {
		if c, _ := checks.Find(i.code); !i.used && !c.Changing {
			l.warning(checks.Superfluous, i.at(fmt.Sprintf("`%s` is not reported here", i.code), "remove it, or move the comment to the line, or above the rule, that has the warning"))
		}
	}
}
