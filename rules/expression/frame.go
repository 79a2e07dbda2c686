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

// errWork ends an evaluation that would otherwise burn the gateway's time.
var errWork = errors.New("it takes more work than an event may; ask less of each answer, and the cheap questions first, as in `nps_score <= 6 and any(…)`")

// how says where a slot's value comes from.
type how uint8

const (
	fromData   how = iota // a path of the event's data
	fromHeader            // an attribute
	fromGroup             // nps_group, of a slot with the score
	fromAnswer            // an answer by its key
	fromRaw               // a gjson path of the raw body
)

// slot is one value of the event that an expression asks for.
type slot struct {
	how  how
	path string
}

// scope is the event values that some expressions share. It is built while they are compiled, then sealed.
type scope struct {
	slots   []slot
	index   map[slot]int32
	paths   jsonpath.Paths
	byPath  []int32 // from a slot of paths to ours
	answers int32   // the slot of response.answers where answer() is used, else -1
	score   int32   // the slot of the score where nps_group is used, else -1
	frames  sync.Pool
}

// slot gives the place of a value, and makes one for it.
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

// seal ends the building.
func (s *scope) seal() {
	s.answers, s.score = -1, -1
	for _, one := range slices.Clone(s.slots) {
		switch one.how {
		case fromAnswer:
			s.answers = s.slot(slot{how: fromData, path: "response.answers"})
		case fromGroup:
			s.score = s.slot(slot{how: fromData, path: one.path})
		}
	}
	for i, one := range s.slots {
		if one.how != fromData {
			continue
		}
		at, err := s.paths.Add(one.path)
		if err != nil {
			continue // cannot be: the path was made of escaped keys; then it is absent in every event
		}
		for len(s.byPath) <= at {
			s.byPath = append(s.byPath, -1)
		}
		s.byPath[at] = int32(i)
	}
	s.frames.New = func() any {
		f := &frame{scope: s, vals: make([]value, len(s.slots)), loaded: make([]bool, len(s.slots))}
		f.sink = f.store
		return f
	}
}

// frame is one event being looked at. It belongs to one goroutine, and goes back to its scope's pool.
type frame struct {
	scope   *scope
	ev      *event.Event
	prog    *program
	remap   []int32
	vals    []value
	loaded  []bool // of slots that are read at first use
	touched []int32
	sink    func(int, jsonpath.Result)

	items   []*value // what # is, the innermost last
	temps   []value  // values worked out on the way
	args    []value  // arguments of calls under way
	answers []answer
	byKey   map[string]int32 // places in answers, of ids before labels; empty until it is needed
	read    bool             // answers are filled
	raw     rawState

	// work is what all evaluations of this reading share; steps and memory are what the present one may still take.
	work          pot
	build         *event.Budget // of what is built; nil for conditions
	own           event.Budget  // where the event brings none
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

// answer is one answer's key, label and value.
type answer struct {
	key, label string
	value      jsonpath.Result
}

// begin reads what the scope wants of an event in one pass.
func (s *scope) begin(ev *event.Event) *frame {
	f := s.frames.Get().(*frame)
	f.ev = ev
	if len(s.byPath) > 0 {
		s.paths.Extract(ev.DataJSON(), f.sink)
	}
	return f
}

// end gives the frame back with nothing of the event left in it.
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
	f.work, f.build = pot{}, nil
	f.scope.frames.Put(f)
}

// enter begins one expression that may take so many steps.
func (f *frame) enter(p *program, steps int) {
	f.prog, f.remap = p, p.remap
	f.steps, f.memory = min(steps, maxSteps), maxMemory
	f.faulted, f.err = false, nil
	f.clear()
}

// clear drops what a finished or given-up evaluation left.
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

// value gives a slot's value, read at first use where it takes more than the one pass.
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
	}
	if f.err != nil { // given up: absent for nobody else who asks
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
		if !ev.Time.IsZero() {
			s = ev.Time.UTC().Format(time.RFC3339Nano)
		}
	}
	if s == "" {
		return value{}
	}
	return textValue(s)
}

// fromBody reads the bytes that the event came from. A body that is not JSON has nothing at any path.
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

// valueOf takes a value over from JSON. Text without escapes shares the event's bytes, which are never
// changed; null is absent.
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

// smallNumber reads the whole numbers that scores are.
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

// textOf and bytesOf see the event's bytes as text and back without a copy. Nobody ever changes them.
func textOf(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the bytes of an event are never changed
}

func bytesOf(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // read only, by jsonpath
}

// open takes a list or object apart, one level, and remembers it. It is nil when that is too much.
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
	if !f.take(len(t.items)) || !f.spend(perItem*len(t.items)) {
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
func (f *frame) take(items int) bool {
	if f.memory -= items; f.memory < 0 {
		f.err = errWork
	}
	return f.err == nil
}

// made is a text that the evaluation produced.
func (f *frame) made(s string) value {
	f.take(1 + len(s)/16)
	f.spend(perCall + len(s)/8)
	return textValue(s)
}
