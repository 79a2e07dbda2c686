package source

import (
	"maps"
	"slices"
)

// unsurveyed returns the types whose events have a response id but no survey id, although other types of the profile have both.
// A response is identified by survey and response id, so their events count as events of other responses.
func (p *Profile) unsurveyed() []string {
	var with, without []string
	for typ := range p.types() {
		switch {
		case !p.fills(typ, "response.id"):
		case p.fills(typ, "survey.id"):
			with = append(with, string(typ))
		default:
			without = append(without, string(typ))
		}
	}
	if len(with) == 0 {
		return nil // no type has a survey id
	}
	slices.Sort(without)
	return without
}

// types returns the canonical types that the profile can produce.
func (p *Profile) types() map[CanonicalType]bool {
	all := map[CanonicalType]bool{}
	for typ := range maps.Values(p.Type.Map) {
		all[typ] = true
	}
	for _, rule := range p.Type.Rules {
		all[rule.Type] = true
	}
	if p.Type.Default != "" {
		all[p.Type.Default] = true
	}
	return all
}

// fills reports whether a field is filled for a type.
func (p *Profile) fills(typ CanonicalType, field string) bool {
	named := func(f fill) bool { return f.field.Name == field }
	return slices.ContainsFunc(p.byType[typ], named) || slices.ContainsFunc(p.fields, named)
}
