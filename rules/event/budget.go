package event

import "errors"

const (
	// MaxWork bounds the work of all rules and webhooks on one event, and the work of building one request, in steps. A step
	// takes at most 10 ns, and usually half of that.
	MaxWork = 1_000_000
	// MaxRequestBytes bounds one request in bytes: its body, its URL and its headers.
	MaxRequestBytes = 4 << 20
)

// Errors of an exceeded Budget.
var (
	ErrWork = errors.New("it takes more work than one request may; ask less of lists within lists")
	ErrSize = errors.New("it is larger than the 4 MiB that one request may have; send less of the event")
)

// Budget bounds what may be built from one or more events for one request. Package expression spends it while it evaluates texts
// and values. A Budget must not be used by several goroutines at once.
type Budget struct {
	// Work is the number of steps that are left.
	Work int
	// Bytes is the number of bytes that are left, counted as JSON.
	Bytes int
	over  bool
}

// NewBudget returns a budget of MaxWork and MaxRequestBytes, for one request.
func NewBudget() *Budget { return &Budget{Work: MaxWork, Bytes: MaxRequestBytes} }

// Spend takes steps and bytes from the budget. It returns ErrSize or ErrWork if the budget is exceeded, and at every later call
// too.
func (b *Budget) Spend(work, bytes int) error {
	b.Work -= work
	b.Bytes -= bytes
	switch {
	case b.Bytes < 0:
		b.over = true
		return ErrSize
	case b.Work < 0:
		b.over = true
		return ErrWork
	}
	return nil
}

// Exceeded reports whether Spend has ever returned an error.
func (b *Budget) Exceeded() bool { return b.over }

// budgeted is an event together with its budget, so that both need only one allocation.
type budgeted struct {
	Event
	own Budget
}

// WithBudget returns the same event with a budget, which bounds what may be built from it; nil means a new budget (NewBudget).
// The result must not be used by several goroutines at once, because the budget must not.
func (e *Event) WithBudget(b *Budget) *Event {
	original := e
	if e.original != nil {
		original = e.original
	}
	w := new(budgeted)
	w.Header, w.Raw = original.Header, original.Raw
	w.envelope, w.dataAt, w.dataEnd, w.rawEnd = original.envelope, original.dataAt, original.dataEnd, original.rawEnd
	if w.original, w.budget = original, b; b == nil {
		w.own = Budget{Work: MaxWork, Bytes: MaxRequestBytes}
		w.budget = &w.own
	}
	return &w.Event
}

// Budget returns the event's budget; nil without one.
func (e *Event) Budget() *Budget { return e.budget }
