package event

import "errors"

const (
	// MaxWork bounds the work of all rules and webhooks of one event, and that of building one request, in steps. A step
	// takes 10 ns at most, and mostly half of that.
	MaxWork = 1_000_000
	// MaxRequestBytes bounds one request in bytes: its body, its address and its headers.
	MaxRequestBytes = 4 << 20
)

// Errors of a Budget that is used up.
var (
	ErrWork = errors.New("it takes more work than one request may; ask less of lists within lists")
	ErrSize = errors.New("it is larger than the 4 MiB that one request may have; send less of the event")
)

// Budget is what may be built from an event, or from several for one request: steps of work, and bytes as they stand
// in JSON. Who evaluates texts and values spends it. It belongs to one goroutine.
type Budget struct {
	Work  int
	Bytes int
	over  bool
}

// NewBudget is the budget of one request.
func NewBudget() *Budget { return &Budget{Work: MaxWork, Bytes: MaxRequestBytes} }

// Spend takes steps and bytes. What was used up once stays so.
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

// Exceeded says that more was asked for than there was.
func (b *Budget) Exceeded() bool { return b.over }

// budgeted is an event with a budget of its own, made in one piece.
type budgeted struct {
	Event
	own Budget
}

// WithBudget is the same event, of which no more may be built than a budget allows; nil is a new one, NewBudget's. It
// belongs to one goroutine, as the budget does.
func (e *Event) WithBudget(b *Budget) *Event {
	of := e
	if e.of != nil {
		of = e.of
	}
	w := new(budgeted)
	w.Header, w.Raw = of.Header, of.Raw
	w.envelope, w.dataAt, w.dataEnd, w.rawEnd = of.envelope, of.dataAt, of.dataEnd, of.rawEnd
	if w.of, w.budget = of, b; b == nil {
		w.own = Budget{Work: MaxWork, Bytes: MaxRequestBytes}
		w.budget = &w.own
	}
	return &w.Event
}

// Budget is what may be built from the event; nil where nothing was said.
func (e *Event) Budget() *Budget { return e.budget }
