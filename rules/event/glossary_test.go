package event

import (
	"slices"
	"strings"
	"testing"
)

// The glossary has exactly one entry for every name of the language, under its usual form.
func TestGlossaryHoldsEveryName(t *testing.T) {
	t.Parallel()
	told := GroupNames()
	for _, n := range Glossary() {
		told = append(told, n.Name)
		if n.Path != "" {
			told = append(told, n.Path)
		}
		if n.Alias != "" {
			told = append(told, n.Alias)
		}
		if !strings.HasSuffix(n.About, ".") || strings.Contains(n.About, "\n") {
			t.Errorf("%s: %q is no sentence", n.Name, n.About)
		}
		if kind, ok := KindOf(n.Name); ok && kind != n.Kind {
			t.Errorf("%s is %s, and said to be %s", n.Name, kind, n.Kind)
		}
	}
	slices.Sort(told)
	if !slices.Equal(told, Names()) {
		t.Errorf("told: %v\nknown: %v", told, Names())
	}
	if len(about) != len(Glossary()) {
		t.Errorf("%d texts for %d names", len(about), len(Glossary()))
	}
	for score := range 11 {
		if g := NPSGroup(float64(score)); !slices.Contains(NPSGroups, g) {
			t.Errorf("%d is %s", score, g)
		}
	}
}
