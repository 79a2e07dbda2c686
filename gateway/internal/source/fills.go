package source

import (
	"maps"
	"slices"
)

// Fills returns the paths of the fields that the profile can fill, sorted. The gateway itself also derives response.completed from
// the type, full names from their parts, and the parts from full names.
func (p *Profile) Fills() []string {
	found := map[string]bool{}
	for _, f := range p.fields {
		found[f.field.fills()] = true
	}
	for _, fills := range p.byType {
		for _, f := range fills {
			found[f.field.fills()] = true
		}
	}
	for i := range p.Score {
		found[p.Score[i].Set.fills()] = true
	}
	for i := range p.Roles {
		found[p.Roles[i].Set.fills()] = true
	}
	if len(p.Params) > 0 {
		found["respondent.params"] = true
	}
	if len(p.Answers) > 0 {
		found["response.answers"] = true
	}
	if p.Leads != nil {
		found["response.leads"] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// constants returns the constant texts with which the profile fills a field; known is false if it also uses values of the body.
func (p *Profile) constants(path string) (texts []string, known bool) {
	known = true
	take := func(fills []fill) {
		for _, f := range fills {
			if f.field.fills() != path {
				continue
			}
			for _, from := range f.from.Paths {
				if known = known && from.fixed.Exists(); known {
					texts = append(texts, f.from.Prefix+from.fixed.Text())
				}
			}
		}
	}
	take(p.fields)
	for _, fills := range p.byType {
		take(fills)
	}
	answered := func(set Field) bool { return set.fills() == path }
	return texts, known && !slices.ContainsFunc(p.Roles, func(r Role) bool { return answered(r.Set) }) &&
		!slices.ContainsFunc(p.Score, func(s Score) bool { return answered(s.Set) })
}

// Constants returns all values that a field of the source's events can have; known is false if it can have any value.
func (s *Source) Constants(path string) (texts []string, known bool) {
	if path == "survey.title" && len(s.Surveys) > 0 || s.Free() || s.hasRole(path) {
		return nil, false
	}
	return s.Profile.constants(path)
}

// hasRole reports whether a role fills a field, in some survey.
func (s *Source) hasRole(path string) bool {
	sets := func(roles map[string]Field) bool {
		for _, f := range roles {
			if f.fills() == path {
				return true
			}
		}
		return false
	}
	if sets(s.Roles) {
		return true
	}
	for _, survey := range s.Surveys {
		if sets(survey.Roles) {
			return true
		}
	}
	return false
}

// fills returns the path in the event at which the field is stored.
func (f Field) fills() string {
	switch {
	case f.kind == kindResult:
		return "response.result"
	case f.kind == kindMillis:
		return "response.duration_s"
	}
	return f.Name
}

// Fills returns the paths of the fields that the source's events may have, sorted: filled by its profile or its roles, or derived
// by the gateway. Events of a Free source may have all other fields too.
func (s *Source) Fills() []string {
	found := map[string]bool{"response.completed": true, "warnings": true, "unread": true}
	for _, path := range s.Profile.Fills() {
		found[path] = true
	}
	for _, f := range s.Roles {
		found[f.fills()] = true
	}
	for _, survey := range s.Surveys {
		if survey.Name != "" {
			found["survey.title"] = true
		}
		for _, f := range survey.Roles {
			found[f.fills()] = true
		}
	}
	switch {
	case found["respondent.name"]:
		found["respondent.first_name"], found["respondent.last_name"] = true, true
	case found["respondent.first_name"], found["respondent.last_name"]:
		found["respondent.name"] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// Free reports whether the source takes events in surveygate's own format, whose senders may set any field and source.
func (s *Source) Free() bool { return s.Profile == own }
