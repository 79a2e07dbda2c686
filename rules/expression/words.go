package expression

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/surveygate/surveygate/rules/event"
)

// ordered are the kinds that < compares.
const ordered = numbers | texts

// canOrder adds a fault if the arguments of between can never be compared.
func (c *compiler) canOrder(n ast.Node, arguments []ast.Node, args []*node) {
	common := ordered
	for i, arg := range args {
		if arg.kinds&ordered == 0 {
			return // a fault already
		}
		if common &= arg.kinds; common == 0 {
			c.fault(n, fmt.Sprintf("`%s` is %s and `%s` is %s: they are never compared",
				c.show(arguments[0]), args[0].kinds, c.show(arguments[i]), arg.kinds), c.mixed(arguments[0], arguments[i], args[0], arg))
			return
		}
	}
	if low, high := args[1], args[2]; low.op == opLiteral && high.op == opLiteral && low.lit.kind == high.lit.kind &&
		(low.lit.kind == number && compareNumbers(&low.lit, &high.lit) > 0 || low.lit.kind == text && low.lit.str > high.lit.str) {
		remedy := "write the smaller one first"
		if from, to := high.lit.num+1, low.lit.num-1; c.show(arguments[0]) == event.NameHour && from <= to {
			remedy = fmt.Sprintf("for the hours over midnight write not between(%s, %s, %s)", event.NameHour, appendNumber(nil, from), appendNumber(nil, to))
		}
		c.fault(n, fmt.Sprintf("`%s` is more than `%s`: nothing is between them", c.show(arguments[1]), c.show(arguments[2])), remedy)
	}
}

// runBetween reports whether a value is at least the second and at most the third one.
func runBetween(f *frame, a []value) value {
	x, low, high := &a[0], &a[1], &a[2]
	if x.kind != low.kind || x.kind != high.kind {
		return value{}
	}
	if x.kind == number {
		return truthValue(truthOf(compareNumbers(x, low) >= 0 && compareNumbers(x, high) <= 0))
	}
	f.spend((len(x.str) + len(low.str) + len(high.str)) / 64)
	return truthValue(truthOf(low.str <= x.str && x.str <= high.str))
}

// canContain adds a fault if no item of the list of contains_any can be in its first argument.
func (c *compiler) canContain(arguments []ast.Node, args []*node) {
	in, list := args[0], args[1]
	if list.op != opList || in.kinds&(texts|lists) == 0 {
		return
	}
	if len(list.args) == 0 {
		c.fault(arguments[1], "the list is empty: nothing is found", `as in contains_any(feedback, ["slow", "late"])`)
		return
	}
	allowed := numbers | texts | booleans
	if in.kinds&lists == 0 {
		allowed = texts
	}
	if items, ok := arguments[1].(*ast.ArrayNode); ok {
		for i, item := range list.args {
			c.need(items.Nodes[i], item, allowed, fmt.Sprintf("`contains_any` looks for %s", allowed))
		}
	}
}

// runContainsAny reports whether a text contains one of several texts, or a list one of several items. As with `or`, one that is found
// decides; otherwise an absent one makes the result unknown.
func runContainsAny(f *frame, a []value) value {
	wanted := f.open(&a[1])
	if wanted == nil {
		return value{}
	}
	var in []value
	if a[0].kind == list {
		t := f.open(&a[0])
		if t == nil {
			return value{}
		}
		in = t.items
	}
	open := slices.ContainsFunc(in, func(v value) bool { return v.kind == absent })
	for i := range wanted.items {
		w := &wanted.items[i]
		switch {
		case w.kind == absent:
			open = true
		case a[0].kind == list:
			fits := len(in) == 0
			for j := range in {
				if in[j].kind != absent && f.same(&in[j], w) {
					return truthValue(True)
				}
				fits = fits || in[j].kind == w.kind
			}
			open = open || !fits // a text is never compared with a number
		case w.kind != text:
			open = true
		case !f.spend(perCall + len(a[0].str)/16):
			return value{}
		case strings.Contains(a[0].str, w.str):
			return truthValue(True)
		}
		if f.err != nil {
			return value{}
		}
	}
	if open {
		return value{}
	}
	return truthValue(False)
}

// anyAnswer compiles any_answer(text).
func (c *compiler) anyAnswer(n ast.Node, arguments []ast.Node) *node {
	if len(arguments) != 1 {
		c.fault(n, fmt.Sprintf("`any_answer` takes one text, not %d values", len(arguments)), "as in "+formOf["any_answer"])
		return c.unclear()
	}
	arg := c.node(arguments[0])
	c.need(arguments[0], arg, texts, "`any_answer` looks for a text")
	if arg.op == opLiteral && arg.lit.kind == text && strings.TrimSpace(arg.lit.str) == "" {
		c.fault(arguments[0], "every answer contains an empty text", "write what is looked for; answered(\"4\") asks whether there is an answer")
	}
	answers := &node{op: opSlot, kinds: lists, weight: 1, slot: c.scope.slot(slot{how: fromData, path: "response.answers"})}
	from, to := c.src.span(n)
	answers.from, answers.to, answers.key = int32(from), int32(to), "response.answers"
	return &node{op: opCall, fn: searchAnswers, kinds: booleans, args: []*node{answers, arg}}
}

// searchAnswers is any_answer with the list of answers as its first argument.
var searchAnswers = &function{name: "any_answer", takes: []kinds{lists, texts}, gives: booleans, run: func(f *frame, a []value) value {
	t := f.open(&a[0])
	if t == nil {
		return value{}
	}
	wanted := folded(a[1].str)
	for i := range t.items {
		if f.answerContains(&t.items[i], wanted) {
			return truthValue(True)
		}
		if f.err != nil {
			return value{}
		}
	}
	return truthValue(False)
}}

// answerContains reports whether the value or the comment of an answer contains a text, whatever the case. Of a list, each item is
// looked at.
func (f *frame) answerContains(answer *value, wanted string) bool {
	if answer.kind != object {
		return false
	}
	t := f.open(answer)
	if t == nil {
		return false
	}
	for i, key := range t.keys {
		if key == "value" || key == "comment" {
			if f.containsFolded(&t.items[i], wanted) {
				return true
			}
		}
	}
	return false
}

// folded returns a text in one case: capital letters first, because some small letters share one, such as σ and ς.
func folded(s string) string { return strings.ToLower(strings.ToUpper(s)) }

func (f *frame) containsFolded(v *value, wanted string) bool {
	switch v.kind {
	case text:
		return f.spend(perCall+len(v.str)/3) && strings.Contains(folded(v.str), wanted)
	case list:
		t := f.open(v)
		return t != nil && slices.ContainsFunc(t.items, func(item value) bool { return item.kind == text && f.containsFolded(&item, wanted) })
	}
	return false
}

// duration compiles duration("36h") to a number of seconds.
func (c *compiler) duration(n ast.Node, arguments []ast.Node) *node {
	const remedy = `as in duration("36h"), duration("90m") or duration("1d12h"); the units are w, d, h, m and s`
	if len(arguments) != 1 {
		c.fault(n, fmt.Sprintf("`duration` takes one fixed text, not %d values", len(arguments)), remedy)
		return c.unclear()
	}
	s, ok := arguments[0].(*ast.StringNode)
	if !ok {
		c.fault(arguments[0], "`duration` wants a fixed text in quotes", remedy)
		return c.unclear()
	}
	seconds, ok := parseDuration(s.Value)
	if !ok {
		c.fault(s, fmt.Sprintf("`%s` is not a duration", clip(s.Value)), remedy)
		return c.unclear()
	}
	return &node{op: opLiteral, kinds: numbers, lit: numberValue(seconds)}
}

// maxDuration bounds a duration, in seconds: a hundred years.
const maxDuration = 100 * 366 * 24 * 3600

// parseDuration reads whole numbers with units, such as 1d12h, and returns the seconds.
func parseDuration(s string) (seconds float64, ok bool) {
	units := map[byte]float64{'w': 7 * 24 * 3600, 'd': 24 * 3600, 'h': 3600, 'm': 60, 's': 1}
	last := math.Inf(1)
	for s != "" {
		end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
		if end < 1 {
			return 0, false
		}
		count, err := strconv.ParseFloat(s[:end], 64)
		unit := units[s[end]]
		if err != nil || unit == 0 || unit >= last { // each unit once, the longest first
			return 0, false
		}
		if seconds, last, s = seconds+count*unit, unit, s[end+1:]; seconds > maxDuration {
			return 0, false
		}
		ok = true
	}
	return seconds, ok
}

// percent compiles csat_percent(highest), and csat_percent(lowest, highest).
func (c *compiler) percent(n ast.Node, arguments []ast.Node) *node {
	const remedy = "as in csat_percent(5) for a scale from 1 to 5, or csat_percent(0, 10)"
	if len(arguments) < 1 || len(arguments) > 2 {
		c.fault(n, fmt.Sprintf("`csat_percent` takes the ends of the scale, not %d values", len(arguments)), remedy)
		return c.unclear()
	}
	ends := make([]*node, len(arguments))
	for i, argument := range arguments {
		ends[i] = c.node(argument)
		if !c.need(argument, ends[i], numbers, "an end of the scale is a number") {
			return c.unclear()
		}
		if ends[i].op != opLiteral || ends[i].lit.kind != number {
			c.fault(argument, "the ends of the scale are fixed numbers", remedy)
			return c.unclear()
		}
	}
	lowest, highest := 1.0, ends[len(ends)-1].lit.num
	if len(ends) == 2 {
		lowest = ends[0].lit.num
	}
	if lowest >= highest {
		c.fault(n, fmt.Sprintf("a scale from %s to %s has no range", appendNumber(nil, lowest), appendNumber(nil, highest)), remedy)
		return c.unclear()
	}
	from, to := c.src.span(n)
	score := &node{op: opSlot, kinds: numbers, weight: 1, slot: c.scope.slot(slot{how: fromData, path: event.Shortcuts["csat_score"]}), from: int32(from), to: int32(to), key: "csat_score"}
	literal := func(n float64) *node { return &node{op: opLiteral, kinds: numbers, weight: 1, lit: numberValue(n)} }
	return &node{op: opCall, fn: onScale, kinds: numbers, args: []*node{score, literal(lowest), literal(highest)}}
}

// onScale is csat_percent with the score as its first argument.
var onScale = &function{name: "csat_percent", takes: []kinds{numbers, numbers, numbers}, gives: numbers, why: "the score is not on this scale", run: func(_ *frame, a []value) value {
	score, lowest, highest := a[0].num, a[1].num, a[2].num
	if score < lowest || score > highest {
		return value{}
	}
	return numberValue((score - lowest) / (highest - lowest) * 100)
}}

// completionRate returns how many percent of the questions of an event are answered; absent if it has none.
func (f *frame) completionRate() value {
	answered, asked := 0, 0
	if v := &f.vals[f.scope.answers]; v.kind == list {
		t := f.open(v)
		if t == nil {
			return value{}
		}
		asked = len(t.items)
		for i := range t.items {
			if f.isAnswered(&t.items[i]) {
				answered++
			}
		}
	}
	if v := &f.vals[f.scope.cleared]; v.kind == list {
		t := f.open(v)
		if t == nil {
			return value{}
		}
		for i := range t.items {
			if t.items[i].kind == text && !isName(t.items[i].str) {
				asked++
			}
		}
	}
	if asked == 0 || f.err != nil {
		return value{}
	}
	return numberValue(float64(answered) / float64(asked) * 100)
}

// isName reports whether an entry of response.cleared is a field, and not the id of a question.
func isName(entry string) bool {
	_, ok := fields[entry]
	return ok
}

// isAnswered reports whether an answer has a value, neither an empty text nor an empty list, or a comment.
func (f *frame) isAnswered(answer *value) bool {
	if answer.kind != object {
		return false
	}
	t := f.open(answer)
	if t == nil {
		return false
	}
	if i := slices.Index(t.keys, "comment"); i >= 0 && t.items[i].str != "" {
		return true
	}
	i := slices.Index(t.keys, "value")
	if i < 0 {
		return false
	}
	switch v := &t.items[i]; v.kind {
	case absent:
		return false
	case text:
		return v.str != ""
	case list:
		t := f.open(v)
		return t != nil && len(t.items) > 0
	}
	return true
}
