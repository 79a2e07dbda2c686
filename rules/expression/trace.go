package expression

import "slices"

// trace collects the reasons for an unknown result, during a second evaluation.
type trace struct {
	missing []string
	faults  []string
}

func (t *trace) addMissing(name string) {
	if !slices.Contains(t.missing, name) {
		t.missing = append(t.missing, name)
	}
}

// maxFaults is the largest number of faults in one result.
const maxFaults = 20

// traceMark returns a mark of the trace. dropMissing removes the missing fields since the mark if the part has a value in spite
// of them.
func (f *frame) traceMark() int {
	if f.trace == nil {
		return 0
	}
	return len(f.trace.missing)
}

func (f *frame) dropMissing(mark int, known bool) {
	if known && f.trace != nil && len(f.trace.missing) > mark {
		f.trace.missing = f.trace.missing[:mark]
		if mark == 0 {
			f.trace.missing = nil
		}
	}
}

// hasKind reports whether a value has a wanted kind. A value of another kind is a fault, unless it is absent.
func (f *frame) hasKind(n *node, v *value, want kinds) bool {
	if want.has(v.kind) {
		return true
	}
	f.kindFault(n, v, want)
	return false
}

func (f *frame) kindFault(n *node, v *value, want kinds) {
	if v.kind != absent {
		f.fault(n, v.kind.String()+" is not "+want.String())
	}
}

// fault records a value of the wrong type. Its part becomes unknown; it is never converted silently.
func (f *frame) fault(n *node, why string) {
	f.faulted = true
	if f.trace == nil {
		return
	}
	fault := "`" + clip(f.prog.source(n)) + "`: " + why
	if len(f.trace.faults) < maxFaults && !slices.Contains(f.trace.faults, fault) {
		f.trace.faults = append(f.trace.faults, fault)
	}
}
