package expression

import (
	"errors"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/event"
)

// workPool divides the steps of several evaluations:
//
//   - Half of the steps is divided equally, so that every evaluation has a share.
//   - The other half is a pool. Each evaluation may use a quarter of what the pool has left, or more if fewer than four evaluations
//     remain, so that an expensive evaluation leaves three quarters to the others.
//   - The steps that an evaluation does not use go back to the pool.
//
// The division is deterministic: the same evaluations in the same order always get the same steps.
type workPool struct {
	share     int // the share of each evaluation
	pool      int
	remaining int // evaluations that have not begun yet
}

func newWorkPool(total, among int) workPool {
	among = max(among, 1)
	share := total / 2 / among
	return workPool{share: share, pool: total - share*among, remaining: among}
}

// take returns the steps that the next evaluation may use.
func (p *workPool) take() (steps int) {
	extra := p.pool / min(max(p.remaining, 1), 4)
	p.pool -= extra
	p.remaining--
	return p.share + extra
}

// left returns the steps that have not been taken.
func (p *workPool) left() int { return p.pool + p.share*max(p.remaining, 0) }

// give returns the steps that an evaluation did not use.
func (p *workPool) give(left int) { p.pool += max(left, 0) }

// Costs in steps of operations that cost more than one step. They are measured so that no step takes longer than about 10 ns.
const (
	perItem    = 4  // an item of a computed list
	perCall    = 6  // a function that computes a text
	perNumber  = 12 // number(text), and the same again for its digits
	perPower   = 8
	perPattern = 40 // matches, in addition to the cost of the text and the pattern
)

// perByte is the number of bytes of the event that are read in one step.
const perByte = 64

// beginBuilding returns a frame to build texts and values from an event, with the event's budget or a new one. All evaluations of
// texts and values use it.
func (s *scope) beginBuilding(ev *event.Event) (*frame, error) {
	f := s.begin(ev)
	if f.build = ev.Budget(); f.build == nil {
		f.own = *event.NewBudget()
		f.build = &f.own
	}
	work := 0
	if len(s.byPath) > 0 {
		work = len(ev.DataJSON()) / perByte
	}
	if err := f.build.Spend(work, 0); err != nil {
		f.end()
		return nil, err
	}
	return f, nil
}

// beginBuild begins the evaluation of one text or value; endBuild ends it and spends its work.
func (f *frame) beginBuild(p *program) (before int) {
	before = min(f.build.Work, maxSteps)
	f.enter(p, before)
	f.spend(int(p.weight))
	return before
}

func (f *frame) endBuild(before int) error {
	switch err := f.build.Spend(before-f.steps, 0); {
	case err != nil:
		return err
	case errors.Is(f.err, errWork): // the memory of one evaluation is bounded too
		return event.ErrWork
	}
	return f.err
}

// spendText spends the length of a text in JSON from the build budget; false ends the evaluation.
func (f *frame) spendText(s string) bool {
	if f.build == nil {
		return true
	}
	if !f.spend(len(s) / 16) {
		return false
	}
	return f.spendBytes(jsonLength(s))
}

func (f *frame) spendBytes(n int) bool {
	if f.build != nil && f.err == nil {
		f.err = f.build.Spend(0, n)
	}
	return f.err == nil
}

// jsonLength returns the length of a text in JSON, without its quotes.
func jsonLength(s string) int {
	n := len(s)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			n++
		case c < ' ':
			n += len(`\u0000`) - 1
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
				n += len(`\u0000`) - size
			}
			i += size - 1
		}
	}
	return n
}
