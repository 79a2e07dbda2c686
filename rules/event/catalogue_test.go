package event

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestCatalogue: every type is described, its example is an event of that type, and its fields are names of the glossary.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	var names []string
	for _, entry := range Glossary() {
		names = append(names, entry.Name)
	}
	all := Catalogue()
	if len(all) != len(Types)+len(NoticeTypes) {
		t.Errorf("%d entries, %d types, %d notices", len(all), len(Types), len(NoticeTypes))
	}
	seen := map[string]bool{}
	for i := range all {
		entry := &all[i]
		if !IsCanonical(entry.Name) || seen[entry.Name] || !strings.HasSuffix(entry.About, ".") {
			t.Errorf("%+v", entry)
		}
		seen[entry.Name] = true
		fields := entry.Fields()
		for _, field := range fields {
			if !slices.Contains(names, field) {
				t.Errorf("%s has %s, which is no name", entry.Name, field)
			}
		}
		if ofResponse := slices.Contains(fields, "nps_score"); ofResponse != slices.Contains(fields, "nps_group") || ofResponse != (entry.about == aboutResponse) {
			t.Errorf("%s has %v", entry.Name, fields)
		}
		if !slices.Contains(fields, "type") {
			t.Errorf("%s lacks its own type", entry.Name)
		}
		example, err := entry.Example()
		if err != nil {
			t.Fatal(err)
		}
		var ev struct {
			Type string
			Data struct{ Warnings []string }
		}
		if err := json.Unmarshal(example, &ev); err != nil || ev.Type != entry.Name || len(ev.Data.Warnings) > 0 {
			t.Errorf("%s: %v in %s", entry.Name, err, example)
		}
	}
}
