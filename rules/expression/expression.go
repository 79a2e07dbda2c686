// Package expression is the language spoken about a survey event: conditions, values and texts with holes,
// compiled and type-checked when the configuration is loaded.
//
// The grammar is expr's: its parser reads the text, and this package is the only door to it. Names are
// resolved against the event, operators and functions are those the design lists, and every fault of a text
// is an Error at its byte offset. Evaluation is this package's own, because absent is unknown here, not nil:
// one evaluator serves events with and without the fields, spends a budget while it works, and never boxes a
// number. That it agrees with expr's own machine where nothing is absent is proved by a fuzz test.
package expression

import (
	"strings"

	"github.com/surveygate/surveygate/rules/event"
)

// Limits of one text. They bound what a rule may cost, whoever wrote it.
const (
	// MaxLength is the length of one expression in bytes.
	MaxLength = 4 << 10
	// MaxTextLength is the length of a text with holes, in bytes; each hole is an expression.
	MaxTextLength = 64 << 10
	// MaxNodes is the number of parts of one expression.
	MaxNodes = 500
	// MaxDepth is how deep an expression may nest.
	MaxDepth = 60
	// MaxPattern is the number of instructions one regular expression may compile to.
	MaxPattern = 2000

	// maxSteps bounds the work of one evaluation.
	maxSteps = event.MaxWork
	// maxMemory bounds what one evaluation makes: an element of a list is one, a text one per 16 bytes.
	maxMemory = 100_000
)

// Truth is what a condition comes to: absent is unknown, not false.
type Truth uint8

// The three truths. Unknown is the zero value.
const (
	Unknown Truth = iota
	False
	True
)

func (t Truth) String() string {
	switch t {
	case True:
		return "true"
	case False:
		return "false"
	}
	return "unknown"
}

// Result is what a condition said of an event.
type Result struct {
	Truth Truth
	// Missing names the absent fields that made it unknown, as the condition spells them.
	Missing []string
	// Faults are values whose type did not fit; each made its part unknown.
	Faults []string
	// Err says that the evaluation was given up: it took more work than a condition may.
	Err error
}

// Condition is a compiled condition. It is safe for concurrent use. The zero value is no condition:
// it matches every event.
type Condition struct {
	text string
	prog *program
}

// CompileCondition reads a condition. An error is Errors.
func CompileCondition(text string) (*Condition, error) {
	c := new(Condition)
	if err := c.UnmarshalText([]byte(text)); err != nil {
		return nil, err
	}
	return c, nil
}

// UnmarshalText compiles the condition. An error is Errors.
func (c *Condition) UnmarshalText(text []byte) error {
	k := newCompiler(string(text), 0, asCondition, new(scope))
	root := k.compile()
	if len(k.faults) > 0 {
		return k.faults.sorted()
	}
	k.scope.seal()
	c.text = string(text)
	c.prog = k.program(root)
	return nil
}

// String is the condition as it was written.
func (c *Condition) String() string { return c.text }

// IsZero says that nothing was compiled.
func (c *Condition) IsZero() bool { return c == nil || c.prog == nil }

// Match asks the condition of one event.
func (c *Condition) Match(ev *event.Event) (res Result) {
	if c.IsZero() {
		return Result{Truth: True}
	}
	f := c.prog.scope.begin(ev)
	defer f.end()
	defer rescue(&res.Err)
	f.work = newPot(2*maxSteps, 1) // it may be asked twice
	return f.match(c.prog)
}

// decide evaluates a condition with its part of the work.
func (f *frame) decide(p *program) (Truth, error) {
	f.enter(p, f.work.take())
	f.spend(int(p.weight))
	truth := f.truth(p.roots[0])
	f.work.give(f.steps)
	if f.err != nil {
		return Unknown, f.err
	}
	return truth, nil
}

// match runs fast, and once more with its eyes open when there is something to tell.
func (f *frame) match(p *program) Result {
	truth, err := f.decide(p)
	if err != nil || truth != Unknown && !f.faulted {
		return Result{Truth: truth, Err: err}
	}
	trace := new(trace)
	f.enter(p, f.work.take())
	f.trace = trace
	f.truth(p.roots[0])
	f.trace = nil
	f.work.give(f.steps)
	return Result{Truth: truth, Missing: trace.missing, Faults: trace.faults, Err: f.err}
}

// Value is a compiled expression, a text with holes or a constant: what a mapping's value is. It is safe for
// concurrent use. The zero value is absent.
type Value struct {
	text string
	prog *program
	hole *Text // a string with {{ }}
	word any   // a YAML number or boolean
}

// CompileValue reads a value written as a string. An error is Errors.
func CompileValue(text string) (Value, error) {
	var v Value
	err := v.UnmarshalText([]byte(text))
	return v, err
}

// Constant is a value that is itself: a number or a boolean of the configuration.
func Constant(v any) Value { return Value{word: v} }

// UnmarshalText compiles the value: a text where it has {{ }}, else an expression. An error is Errors.
func (v *Value) UnmarshalText(text []byte) error {
	s := new(scope)
	out, err := compileValue(string(text), s)
	if err != nil {
		return err
	}
	s.seal()
	*v = out
	return nil
}

func compileValue(s string, in *scope) (Value, error) {
	if strings.Contains(s, "{{") {
		t, err := compileText(s, in)
		if err != nil {
			return Value{}, err
		}
		return Value{text: s, hole: &t}, nil
	}
	k := newCompiler(s, 0, asValue, in)
	root := k.compile()
	if len(k.faults) > 0 {
		return Value{}, k.faults.sorted()
	}
	return Value{text: s, prog: k.program(root)}, nil
}

// String is the value as it was written.
func (v Value) String() string {
	if v.word != nil {
		return formatAny(v.word)
	}
	return v.text
}

// IsZero says that there is no value.
func (v Value) IsZero() bool { return v.prog == nil && v.hole == nil && v.word == nil }

// Of evaluates the value for an event. present is false where it is absent (unknown), which leaves its field
// out. It is a float64, a json.Number of more digits than that holds, string, bool, []any or Object; a
// constant is returned as it was given.
func (v Value) Evaluate(ev *event.Event) (out any, present bool, err error) {
	p := v.prog
	if v.hole != nil {
		p = v.hole.prog
	}
	if p == nil {
		return v.of(&frame{build: event.NewBudget()}, nil)
	}
	f, err := p.scope.building(ev)
	if err != nil {
		return nil, false, err
	}
	defer f.end()
	defer rescue(&err)
	return v.of(f, nil)
}

// of evaluates the value in a frame of its scope; one without expressions needs no more than its budget.
func (v *Value) of(f *frame, escape []func(string) string) (out any, present bool, err error) {
	switch {
	case v.word != nil:
		return v.word, true, nil
	case v.hole != nil:
		s, err := v.hole.of(f, escape)
		return s, err == nil, err
	case v.prog == nil:
		return nil, false, nil
	}
	before := f.builds(v.prog)
	out, present = f.export(f.eval(v.prog.roots[0]))
	if f.err == nil && len(escape) > 0 && v.prog.roots[0].op != opLiteral {
		out = f.escaped(out, escape)
	}
	if err := f.built(before); err != nil {
		return nil, false, err
	}
	return out, present, nil
}

// escaped is a value with its texts escaped, those in lists and objects too.
func (f *frame) escaped(v any, escape []func(string) string) any {
	switch v := v.(type) {
	case string:
		f.build.Bytes += spelt(v) // what comes out counts instead
		for _, e := range escape {
			v = e(v)
		}
		f.room(v)
		return v
	case []any:
		for i := 0; i < len(v) && f.err == nil; i++ {
			v[i] = f.escaped(v[i], escape)
		}
	case Object:
		for i := 0; i < len(v) && f.err == nil; i++ {
			v[i].Value = f.escaped(v[i].Value, escape)
		}
	}
	return v
}

// Missing names the absent fields that leave the value absent or a hole of it empty.
func (v Value) Missing(ev *event.Event) []string {
	switch {
	case v.hole != nil:
		return v.hole.Missing(ev)
	case v.prog == nil:
		return nil
	}
	return v.prog.missing(ev)
}
