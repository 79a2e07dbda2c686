// Package expression compiles and evaluates the rule language: conditions (Condition), values (Value, Values) and texts with {{
// }} holes (Text). They are compiled and type-checked when the configuration is loaded. DocsURL explains the language.
//
// The grammar is that of github.com/expr-lang/expr: its parser reads the text. Names, operators and functions are restricted to
// those of the rule language, and every fault is an Error with its byte offset. The evaluator is this package's own, because
// logic here has three values: an absent field is unknown, not nil. It spends a budget while it works, and does not allocate for
// numbers. A fuzz test checks that it agrees with expr's evaluator if no field is absent.
package expression

import (
	"strings"

	"github.com/surveygate/surveygate/rules/event"
)

// Limits of one text. They bound the cost of a rule.
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
	// maxMemory bounds the memory of one evaluation: an item of a list counts as 1, a text as 1 per 16 bytes.
	maxMemory = 100_000
)

// Truth is the result of a condition. A condition that depends on an absent field is unknown, not false.
type Truth uint8

// The three results. Unknown is the zero value.
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

// Result is the result of a condition for an event, with the reasons.
type Result struct {
	Truth Truth
	// Missing are the absent fields that made it unknown, in the condition's spelling.
	Missing []string
	// Faults describe values with a wrong type; each made its part unknown.
	Faults []string
	// Err is set if the evaluation was stopped because it took too much work.
	Err error
}

// Condition is a compiled condition. It is safe for concurrent use. The zero value, and nil, match every event.
type Condition struct {
	text string
	prog *program
}

// CompileCondition compiles a condition. The error is of type Errors.
func CompileCondition(text string) (*Condition, error) {
	c := new(Condition)
	if err := c.UnmarshalText([]byte(text)); err != nil {
		return nil, err
	}
	return c, nil
}

// UnmarshalText compiles the condition. The error is of type Errors.
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

// String returns the condition as it was written.
func (c *Condition) String() string { return c.text }

// IsZero reports whether there is no condition.
func (c *Condition) IsZero() bool { return c == nil || c.prog == nil }

// Match evaluates the condition for one event. Use a Batch for many conditions.
func (c *Condition) Match(ev *event.Event) (res Result) {
	if c.IsZero() {
		return Result{Truth: True}
	}
	f := c.prog.scope.begin(ev)
	defer f.end()
	defer rescue(&res.Err)
	f.work = newWorkPool(2*maxSteps, 1) // it may be evaluated twice
	return f.match(c.prog)
}

// decide evaluates a condition with its share of the work.
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

// match evaluates without tracing, and repeats the evaluation with tracing if the result is unknown or faulted.
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

// Value is a value of the configuration that depends on the event: a compiled expression, a text with holes, or a constant. It is
// safe for concurrent use. The zero value is absent.
type Value struct {
	text     string
	prog     *program
	hole     *Text // a string with {{ }}
	constant any   // a YAML number or boolean
}

// CompileValue compiles a value that is written as a string. The error is of type Errors.
func CompileValue(text string) (Value, error) {
	var v Value
	err := v.UnmarshalText([]byte(text))
	return v, err
}

// Constant returns a constant value: a number or a boolean of the configuration.
func Constant(v any) Value { return Value{constant: v} }

// UnmarshalText compiles the value: a text if it contains {{ }}, or else an expression. The error is of type Errors.
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

// String returns the value as it was written.
func (v Value) String() string {
	if v.constant != nil {
		return formatAny(v.constant)
	}
	return v.text
}

// IsZero reports whether there is no value.
func (v Value) IsZero() bool { return v.prog == nil && v.hole == nil && v.constant == nil }

// Evaluate evaluates the value for an event. present is false if the value is absent (unknown); its field is then left out. out
// is a string, bool, float64, []any, Object, or a json.Number if a float64 does not represent the number exactly. A constant is
// returned with its own type. The error is that of an exceeded limit or event.Budget.
func (v Value) Evaluate(ev *event.Event) (out any, present bool, err error) {
	p := v.prog
	if v.hole != nil {
		p = v.hole.prog
	}
	if p == nil {
		return v.evaluate(&frame{build: event.NewBudget()}, nil)
	}
	f, err := p.scope.beginBuilding(ev)
	if err != nil {
		return nil, false, err
	}
	defer f.end()
	defer rescue(&err)
	return v.evaluate(f, nil)
}

// evaluate evaluates the value in a frame of its scope. A constant uses only the frame's budget.
func (v *Value) evaluate(f *frame, escape []func(string) string) (out any, present bool, err error) {
	switch {
	case v.constant != nil:
		return v.constant, true, nil
	case v.hole != nil:
		s, err := v.hole.render(f, escape)
		return s, err == nil, err
	case v.prog == nil:
		return nil, false, nil
	}
	before := f.beginBuild(v.prog)
	out, present = f.export(f.eval(v.prog.roots[0]))
	if f.err == nil && len(escape) > 0 && v.prog.roots[0].op != opLiteral {
		out = f.escaped(out, escape)
	}
	if err := f.endBuild(before); err != nil {
		return nil, false, err
	}
	return out, present, nil
}

// escaped returns a value with all its texts escaped, also those in lists and objects.
func (f *frame) escaped(v any, escape []func(string) string) any {
	switch v := v.(type) {
	case string:
		f.build.Bytes += jsonLength(v) // the escaped text counts instead
		for _, e := range escape {
			v = e(v)
		}
		f.spendText(v)
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

// Missing returns the absent fields that make the value absent, or a hole of it empty.
func (v Value) Missing(ev *event.Event) []string {
	switch {
	case v.hole != nil:
		return v.hole.Missing(ev)
	case v.prog == nil:
		return nil
	}
	return v.prog.missing(ev)
}
