package compat

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/internal/source"
)

// TestNamesAreTheProfiles: what is called SURVEY_COMPLETED here becomes what the profile makes of it, and back.
func TestNamesAreTheProfiles(t *testing.T) {
	t.Parallel()
	profile, ok := source.Builtin().Profile("pollarix")
	if !ok {
		t.Fatal("there is no profile")
	}
	want := map[string]string{}
	for name, canonical := range profile.Type.Map {
		want[string(canonical)] = name
	}
	if diff := cmp.Diff(want, webhook.PollarixEvents()); diff != "" {
		t.Errorf("(-profile +preset): %s", diff)
	}
	back := map[string]string{}
	for name, canonical := range ours {
		back[canonical] = name
	}
	if !maps.Equal(back, theirs) {
		t.Errorf("%v, %v", back, theirs)
	}
}
