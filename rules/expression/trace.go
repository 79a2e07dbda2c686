package expression

import "slices"

// trace gathers, on a second run, why an evaluation came to unknown.
type trace struct {
	missing []string
	faults  []string
}

func (t *trace) miss(name string) {
	if !slices.Contains(t.missing, name) {
		t.missing = append(t.missing, name)
	}
}

// maxFaults bounds what one explanation tells.
const maxFaults = 20

// mark and settle forget what was missing in a part that came to a value all the same.
func (f *frame) mark() int {
	if f.trace == nil {
		return 0
	}
	return len(f.trace.missing)
}

func (f *frame) settle(mark int, known bool) {
	if known && f.trace != nil && len(f.trace.missing) > mark {
		f.trace.missing = f.trace.missing[:mark]
		if mark == 0 {
			f.trace.missing = nil
		}
	}
}

// fit says whether a value is of a kind that is wanted; where it is there and of another, that is a fault.
func (f *frame) fit(n *node, v *value, want kinds) bool {
	if want.has(v.kind) {
		return true
	}
	f.misfit(n, v, want)
	return false
}

func (f *frame) misfit(n *node, v *value, want kinds) {
	if v.kind != absent {
		f.mismatch(n, v.kind.String()+" is not "+want.String())
	}
}

// mismatch marks a type that does not fit. It is unknown then, and never silently something else.
func (f *frame) mismatch(n *node, why string) {
	f.faulted = true
	if f.trace == nil {
		return
	}
	fault := "`" + clip(f.prog.source(n)) + "`: " + why
	if len(f.trace.faults) < maxFaults && !slices.Contains(f.trace.faults, fault) {
		f.trace.faults = append(f.trace.faults, fault)
	}
}
