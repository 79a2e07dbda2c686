package answer

import "testing"

// A name that has come to be since it was not found is not suggested in place of itself.
func TestNoSuchSuggestsAnother(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"acme": "no such tenant", "acmee": "no such tenant `acmee`; did you mean `acme`?", "x": "no such tenant",
	} {
		if got := NoSuch("tenant", name, []string{"acme"}).Detail[0].Msg; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
