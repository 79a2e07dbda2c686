package redis

import "sync"

// pass is a sequence of calls of Trim, until one has nothing more to do. Rounds have different lengths, so that they hardly ever
// end in the same call: a pass ends when each round that is in it has been over all its names once. The rounds go on meanwhile,
// as another part may have more to do for a long time. The zero value is a pass that begins.
type pass struct {
	mu     sync.Mutex
	rounds map[string]inPass
}

// inPass is how far a round is in a pass.
type inPass int

const (
	notBegun inPass = iota // it is in the middle of a round that began before the pass
	begun
	complete
)

// begins notes that a call is at the begin of a round.
func (p *pass) begins(round string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rounds == nil {
		p.rounds = map[string]inPass{}
	}
	p.rounds[round] = max(p.rounds[round], begun)
}

// looked notes whether a call came to the end of a round, and reports whether the pass has all of it.
func (p *pass) looked(round string, ended bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ended && p.rounds[round] == begun {
		p.rounds[round] = complete
	}
	return p.rounds[round] == complete
}

// end makes the next call begin a pass.
func (p *pass) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.rounds)
}
