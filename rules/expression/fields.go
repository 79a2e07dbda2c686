package expression

import (
	"github.com/surveygate/surveygate/rules/event"
)

// field describes one name of the language.
type field struct {
	path    string // in the event's data; for an attribute, its name
	kinds   kinds
	open    bool // it may have any keys
	derived bool // an attribute or a computed value, not data
}

func (f field) slot() slot {
	switch {
	case f.path == "nps_group":
		return slot{how: fromGroup, path: event.Shortcuts["nps_score"]}
	case f.path == event.NameHour, f.path == event.NameWeekday:
		return slot{how: fromClock, path: f.path}
	case f.path == event.NameRate:
		return slot{how: fromRate, path: f.path}
	case f.path == event.NameComplete:
		return slot{how: fromType, path: f.path}
	case f.derived:
		return slot{how: fromHeader, path: f.path}
	}
	return slot{how: fromData, path: f.path}
}

// fields maps all complete names of the language, shortcuts and paths.
var fields = func() map[string]field {
	all := map[string]field{}
	for _, f := range event.Fields() {
		all[f.Path] = field{path: f.Path, kinds: kindsOf(f.Kind), open: f.Open}
	}
	for short, path := range event.Shortcuts {
		all[short] = all[path]
	}
	for _, name := range event.DerivedNames {
		all[name] = field{path: name, kinds: kindsOf(event.DerivedKind(name)), derived: true}
	}
	for alias, name := range event.Aliases {
		all[alias] = all[name]
	}
	return all
}()

func kindsOf(k event.Kind) kinds {
	switch k {
	case event.String:
		return texts
	case event.Number:
		return numbers
	case event.Bool:
		return booleans
	case event.Object:
		return objects
	case event.Array:
		return lists
	}
	return anything
}
