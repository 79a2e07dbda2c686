package expression

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// errWork ends an evaluation that takes too much work.
var errWork = errors.New("it takes more work than an event may; ask less of each answer, and the cheap questions first, as in `nps_score <= 6 and any(…)`")

// origin is the source of a slot's value.
type origin uint8

const (
	fromData   origin = iota // a path of the event's data
	fromHeader               // an attribute
	fromGroup                // nps_group, of a slot with the score
	fromAnswer               // an answer by its key
	fromRaw                  // a gjson path of the raw body
	fromClock                // the hour or the weekday of the receipt
	fromRate                 // completion_rate
	fromType                 // is_complete, of a slot with response.completed, or of the type
)

// slot is one value of the event that an expression reads.
type slot struct {
	how  origin
	path string
	zone *time.Location // of fromClock; nil is UTC
}

// scope holds the event values that several expressions share. It is built while they are compiled, and then sealed.
type scope struct {
	slots   []slot
	index   map[slot]int32
	paths   jsonpath.Paths
	byPath  []int32 // the slot of this scope for each slot of paths
	answers int32   // the slot of response.answers if answer() or completion_rate is used, or -1
	cleared int32   // the slot of response.cleared if completion_rate is used, or -1
	score   int32   // the slot of the score if nps_group is used, or -1
	ended   int32   // the slot of response.completed if is_complete is used, or -1
	frames  sync.Pool
}

// slot returns the number of a value's slot, and adds the slot if it is new.
func (s *scope) slot(want slot) int32 {
	if at, ok := s.index[want]; ok {
		return at
	}
	if s.index == nil {
		s.index = map[slot]int32{}
	}
	at := int32(len(s.slots))
	s.slots = append(s.slots, want)
	s.index[want] = at
	return at
}

// seal ends the building of the scope.
func (s *scope) seal() {
	s.answers, s.cleared, s.score, s.ended = -1, -1, -1, -1
	for _, one := range slices.Clone(s.slots) {
		switch one.how {
		case fromAnswer:
			s.answers = s.slot(slot{how: fromData, path: "response.answers"})
		case fromGroup:
			s.score = s.slot(slot{how: fromData, path: one.path})
		case fromType:
			s.ended = s.slot(slot{how: fromData, path: "response.completed"})
		case fromRate:
			s.answers = s.slot(slot{how: fromData, path: "response.answers"})
			s.cleared = s.slot(slot{how: fromData, path: "response.cleared"})
		}
	}
	for i, one := range s.slots {
		if one.how != fromData {
			continue
		}
		at, err := s.paths.Add(one.path)
		if err != nil {
			continue // impossible, because the path consists of escaped keys; the value would be absent in every event
		}
		for len(s.byPath) <= at {
			s.byPath = append(s.byPath, -1)
		}
		s.byPath[at] = int32(i)
	}
	s.index = nil // needed while the scope is built
	s.frames.New = func() any {
		f := &frame{scope: s, vals: make([]value, len(s.slots)), loaded: make([]bool, len(s.slots))}
		f.sink = f.store
		return f
	}
}

// frame is the state of evaluating one event. It is used by one goroutine, and returned to its scope's pool.
type frame struct {
	scope   *scope
	ev      *event.Event
	prog    *program
	remap   []int32
	vals    []value
	loaded  []bool // of slots that are read at first use
	touched []int32
	sink    func(int, jsonpath.Result)

	items   []*value // the values of #, the innermost last
	temps   []value  // computed values
	args    []value  // arguments of the calls that are being evaluated
	answers []answer
	byKey   map[string]int32 // indexes of answers by id, or else by label; empty until it is needed
	read    bool             // answers is filled
	raw     rawState

	// work is shared by all evaluations of this reading. steps and memory are what the current evaluation may still use.
	work          workPool
	build         *event.Budget // the budget of texts and values; nil for conditions
	own           event.Budget  // the budget for an event without one
	steps, memory int
	faulted       bool
	err           error
	trace         *trace
}

type rawState uint8

const (
	rawUnread rawState = iota
	rawJSON
	rawOther
)

// answer holds one answer's key, label and value.
type answer struct {
	key, label string
	value      jsonpath.Result
}

// begin reads the scope's values of an event in one pass.
func (s *scope) begin(ev *event.Event) *frame {
	f := s.frames.Get().(*frame)
	f.ev = ev
	if len(s.byPath) > 0 {
		s.paths.Extract(ev.DataJSON(), f.sink)
	}
	return f
}

// end clears the frame and returns it to the pool.
func (f *frame) end() {
	for _, at := range f.touched {
		f.vals[at] = value{}
		f.loaded[at] = false
	}
	clear(f.answers)
	f.clear()
	f.touched, f.answers = f.touched[:0], f.answers[:0]
	clear(f.byKey)
	f.ev, f.prog, f.remap, f.trace, f.read, f.raw = nil, nil, nil, nil, false, rawUnread
	f.work, f.build = workPool{}, nil
	f.scope.frames.Put(f)
}

// enter begins the evaluation of one expression, with a limit on its steps.
func (f *frame) enter(p *program, steps int) {
	f.prog, f.remap = p, p.remap
	f.steps, f.memory = min(steps, maxSteps), maxMemory
	f.faulted, f.err = false, nil
	f.clear()
}

// clear removes what a finished or stopped evaluation left behind.
func (f *frame) clear() {
	clear(f.temps)
	clear(f.args)
	clear(f.items)
	f.temps, f.args, f.items = f.temps[:0], f.args[:0], f.items[:0]
}

func (f *frame) store(at int, r jsonpath.Result) {
	i := f.scope.byPath[at]
	f.vals[i] = valueOf(r)
	f.touched = append(f.touched, i)
}

// value returns a slot's value. Values that begin does not read are read at first use.
func (f *frame) value(at int32) *value {
	if f.remap != nil {
		at = f.remap[at]
	}
	if f.scope.slots[at].how != fromData && !f.loaded[at] {
		f.load(at)
	}
	return &f.vals[at]
}

func (f *frame) load(at int32) {
	f.loaded[at] = true
	f.touched = append(f.touched, at)
	switch one := f.scope.slots[at]; one.how {
	case fromHeader:
		f.vals[at] = header(f.ev, one.path)
	case fromGroup:
		if score := f.vals[f.scope.score]; score.kind == number {
			f.vals[at] = textValue(event.NPSGroup(score.num))
		}
	case fromAnswer:
		f.vals[at] = f.answer(one.path)
	case fromRaw:
		f.vals[at] = f.fromBody(one.path)
	case fromClock:
		f.vals[at] = clockOf(f.ev, one)
	case fromRate:
		f.vals[at] = f.completionRate()
	case fromType:
		if f.vals[at] = f.vals[f.scope.ended]; f.vals[at].kind == absent {
			if complete := event.IsComplete(f.ev.Type); complete != nil {
				f.vals[at] = truthValue(truthOf(*complete))
			}
		}
	}
	if f.err != nil { // the evaluation was stopped: other expressions must read the value again
		f.vals[at], f.loaded[at] = value{}, false
	}
}

func header(ev *event.Event, name string) value {
	s := ""
	switch name {
	case "type":
		s = ev.Type
	case "source":
		s = ev.Source
	case "tenant":
		s = ev.Tenant
	case "time":
		s = timeText(ev.Time)
	case "received":
		s = timeText(ev.Received)
	case event.NameAge:
		if days, ok := ev.AgeDays(); ok {
			return numberValue(float64(days))
		}
	}
	if s == "" {
		return value{}
	}
	return textValue(s)
}

// fromBody reads a path of the original body. In a body that is not JSON, all paths are absent.
func (f *frame) fromBody(path string) value {
	body := f.ev.Raw.Body
	if f.raw == rawUnread {
		if !f.spend(len(body) / 16) {
			return value{}
		}
		f.raw = rawOther
		if len(body) > 0 && jsonpath.Valid(body) {
			f.raw = rawJSON
		}
	}
	if f.raw != rawJSON || !f.spend(len(body)/32*(1+strings.Count(path, "@")+strings.Count(path, "#"))) {
		return value{}
	}
	return valueOf(jsonpath.Read(body, path))
}

// valueOf converts a JSON value. Text without escapes shares the event's bytes, which are never changed. null is absent.
func valueOf(r jsonpath.Result) value {
	switch r.Kind() {
	case jsonpath.String:
		raw := r.Raw()
		for _, c := range raw[1 : len(raw)-1] {
			if c == '\\' || c >= 0x80 {
				return textValue(r.Text())
			}
		}
		return textValue(textOf(raw[1 : len(raw)-1]))
	case jsonpath.Number:
		return numberOf(r)
	case jsonpath.Bool:
		yes, _ := r.Bool()
		return value{kind: boolean, yes: yes}
	case jsonpath.Array:
		return value{kind: list, str: textOf(r.Raw())}
	case jsonpath.Object:
		return value{kind: object, str: textOf(r.Raw())}
	}
	return value{}
}

// smallNumber parses short whole numbers, such as scores, without strconv.
func smallNumber(raw []byte) (float64, bool) {
	if len(raw) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return float64(n), len(raw) > 0
}

// textOf and bytesOf convert the event's bytes to text and back without a copy. The bytes are never changed.
func textOf(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the bytes of an event are never changed
}

func bytesOf(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // read only, by jsonpath
}

// open parses one level of a list or object, and keeps the result in the value. It returns nil if that exceeds a limit.
func (f *frame) open(v *value) *tree {
	if v.tree != nil {
		return v.tree
	}
	t := new(tree)
	whole := jsonpath.Parse(bytesOf(v.str))
	keyed := v.kind == object
	if !f.spend(len(v.str) / 16) {
		return nil
	}
	room := f.memory
	whole.Each(func(key []byte, r jsonpath.Result) bool {
		if keyed {
			t.keys = append(t.keys, string(key))
		}
		t.items = append(t.items, valueOf(r))
		return len(t.items) <= room
	})
	if !f.spendMemory(len(t.items)) || !f.spend(perItem*len(t.items)) {
		return nil
	}
	v.tree = t
	return t
}

// spend takes steps from the budget; false ends the evaluation.
func (f *frame) spend(steps int) bool {
	if f.steps -= steps; f.steps < 0 {
		f.err = errWork
	}
	return f.err == nil
}

// take takes memory from the budget; false ends the evaluation.
func (f *frame) spendMemory(items int) bool {
	if f.memory -= items; f.memory < 0 {
		f.err = errWork
	}
	return f.err == nil
}

// made returns the value of a computed text, and spends its memory.
func (f *frame) made(s string) value {
	f.spendMemory(1 + len(s)/16)
	f.spend(perCall + len(s)/8)
	return textValue(s)
}
