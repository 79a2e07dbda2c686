package observe

import (
	"testing"
	"time"
)

// TestTitles: a title is kept; that none was found is kept for some minutes, and of one tenant alone.
func TestTitles(t *testing.T) {
	t.Parallel()
	var all titles
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	key := surveyKey{tenant: "acme", name: "forms/s1"}
	later := surveyKey{tenant: "acme", since: now, name: "forms/s1"}
	for _, step := range []struct {
		do    func()
		key   surveyKey
		at    time.Duration
		text  string
		known bool
	}{
		{nil, key, 0, "", false},
		{func() { all.putNone(key, now) }, key, noTitleFor - 1, "", true},
		{nil, key, noTitleFor, "", false},
		{nil, later, 0, "", false},
		{func() { all.put(key, "Onboarding") }, key, time.Hour, "Onboarding", true},
	} {
		if step.do != nil {
			step.do()
		}
		if text, known := all.of(step.key, now.Add(step.at)); text != step.text || known != step.known {
			t.Errorf("%+v after %v: %q, %v", step.key, step.at, text, known)
		}
	}
}
