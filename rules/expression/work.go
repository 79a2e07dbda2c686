package expression

import (
	"errors"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/event"
)

// pot is work that several evaluations share. Half of it is divided equally, so that no evaluation is left without, and
// half is for whoever needs more: each may take a quarter of what is there, or more where fewer than four come after it,
// so that one which takes all that it gets leaves three quarters to the others. What an evaluation leaves of its part
// goes to those after it. The same evaluations in the same order always get the same.
type pot struct {
	share  int // of each
	pool   int
	coming int // evaluations that have not begun yet
}

func newPot(total, among int) pot {
	among = max(among, 1)
	share := total / 2 / among
	return pot{share: share, pool: total - share*among, coming: among}
}

// take is what the next evaluation may use.
func (p *pot) take() (steps int) {
	extra := p.pool / min(max(p.coming, 1), 4)
	p.pool -= extra
	p.coming--
	return p.share + extra
}

// left is what nobody has taken.
func (p *pot) left() int { return p.pool + p.share*max(p.coming, 0) }

// give returns what it left.
func (p *pot) give(left int) { p.pool += max(left, 0) }

// Prices in steps, of what costs more than its part in the expression; measured so that no step takes longer than
// some 10 ns.
const (
	perItem    = 4  // an item of a list that is made
	perCall    = 6  // a function that makes a text
	perNumber  = 12 // number(text), and as much again for its digits
	perPower   = 8
	perPattern = 40 // of matches, before the text and the pattern count
)

// perByte is the part of a step that reading one byte of the event takes.
const perByte = 64

// building begins to build from an event, within the event's budget or one of its own. Whatever is built comes through
// here.
func (s *scope) building(ev *event.Event) (*frame, error) {
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

// builds begins one text or value; built ends it.
func (f *frame) builds(p *program) (before int) {
	before = min(f.build.Work, maxSteps)
	f.enter(p, before)
	f.spend(int(p.weight))
	return before
}

func (f *frame) built(before int) error {
	switch err := f.build.Spend(before-f.steps, 0); {
	case err != nil:
		return err
	case errors.Is(f.err, errWork): // what one evaluation makes at a time is bounded too
		return event.ErrWork
	}
	return f.err
}

// room takes bytes from what may be built, as JSON spells a text; false ends the evaluation.
func (f *frame) room(s string) bool {
	if f.build == nil {
		return true
	}
	if !f.spend(len(s) / 16) {
		return false
	}
	return f.bytes(spelt(s))
}

func (f *frame) bytes(n int) bool {
	if f.build != nil && f.err == nil {
		f.err = f.build.Spend(0, n)
	}
	return f.err == nil
}

// spelt is the length of a text in JSON, without its quotes.
func spelt(s string) int {
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
