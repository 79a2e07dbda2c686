package deletion_test

import (
	"slices"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/deletion"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// What the gateway keeps about a deleted tenant goes with it, such as the tokens of its connections: they must not serve a later tenant of
// the same id. What belongs to files and to other tenants stays.
func TestRemains(t *testing.T) {
	t.Parallel()
	s, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: clock.System()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	of := []struct{ tenant, kind, name string }{
		{"acme", "capture", "popsee"},
		{"acme", "token-used", "t1"},
		{"*", "notice", "acme"},
		{"acme", "portal-link", "pl_x"},
		{"acme", "token-planted", "crm"},
		{"acme", "token-fetched", "crm"},
		{"acme", "source", "popsee"},
		{"other", "token-planted", "crm"},
		{"other", "portal-link", "pl_x"},
		{"*", "notice", "other"},
	}
	for _, p := range of {
		if _, err := s.Put(t.Context(), p.tenant, p.kind, p.name, []byte("{}"), 0); err != nil {
			t.Fatal(err)
		}
	}
	there := func() (there []int) {
		for i, p := range of {
			if _, err := s.Get(t.Context(), p.tenant, p.kind, p.name); err == nil {
				there = append(there, i)
			}
		}
		return there
	}
	for _, c := range []struct {
		inFile bool
		want   []int
	}{{true, []int{4, 5, 6, 7, 8, 9}}, {false, []int{6, 7, 8, 9}}, {false, []int{6, 7, 8, 9}}} {
		if err := deletion.Remains(t.Context(), s, "acme", c.inFile); err != nil {
			t.Fatal(err)
		}
		if got := there(); !slices.Equal(got, c.want) {
			t.Errorf("in a file: %t: %v are left, want %v", c.inFile, got, c.want)
		}
	}
}
