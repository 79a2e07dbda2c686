package source

import (
	"fmt"
	"maps"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// use is a setting of a profile that reads a request. Its places are alternatives: the first with a value counts.
type use struct {
	what   string // a description for messages
	at     *document.Node
	places []part
	typ    bool // it determines the type, for which hints are allowed
}

// uses returns all settings of a profile that read a request. node is the profile's file, or nil.
func (p *Profile) uses(node *document.Node) []use {
	var all []use
	add := func(what string, at *document.Node, paths ...Path) {
		u := use{what: what, at: at}
		for _, path := range paths {
			if !path.IsZero() {
				u.places = append(u.places, part{what: fromBody, path: path})
			}
		}
		if len(u.places) > 0 {
			all = append(all, u)
		}
	}
	addType := func(what string, at *document.Node, path Path) {
		if add(what, at, path); !path.IsZero() {
			all[len(all)-1].typ = true
		}
	}
	fills := func(at *document.Node, fills []fill) {
		for _, f := range fills {
			add("`"+f.field.Name+"`", at, f.from.Paths...)
		}
	}
	all = append(all, p.Dedupe.uses("the dedupe key", node.Key("dedupe"))...)
	for _, typ := range sortedTypes(p.DedupeByType) {
		all = append(all, p.DedupeByType[typ].uses("the dedupe key of "+string(typ), node.Key("dedupe_by_type"))...)
	}
	add("the event's id", node.Key("id"), p.ID...)
	add("the event's time", node.Key("time"), p.Time...)
	addType("the event's type", node.Key("type"), p.Type.Path)
	for i := range p.Type.Rules {
		addType("the event's type", item(node.Key("type").Key("rules"), i), p.Type.Rules[i].When.Path)
	}
	for i := range p.Handshake {
		if when := p.Handshake[i].When; when != nil {
			add("a handshake", item(node.Key("handshake"), i), when.Path)
		}
	}
	fills(node.Key("map"), p.fields)
	for _, typ := range sortedTypes(p.byType) {
		fills(node.Key("map_by_type"), p.byType[typ])
	}
	add("`respondent.params`", node.Key("params"), p.Params...)
	for i := range p.Answers {
		a, at := &p.Answers[i], item(node.Key("answers"), i)
		add("answers", at, a.From)
		if a.Where != nil {
			add("answers", at, a.Where.Path)
		}
		for _, d := range a.Defs {
			add("answers", at, d.From)
		}
	}
	for i := range p.Score {
		s, at := &p.Score[i], item(node.Key("score"), i)
		add("a score", at, s.From...)
		if s.When != nil {
			add("a score", at, s.When.Path)
		}
	}
	if p.Leads != nil {
		add("leads", node.Key("leads"), p.Leads.From)
	}
	return all
}

// uses returns the groups of adjacent placeholders of a key; one placeholder of each group must have a value.
func (t Template) uses(what string, at *document.Node) []use {
	var all []use
	for i, p := range t.parts {
		if p.what == literal {
			continue
		}
		if i == 0 || t.parts[i-1].what == literal {
			all = append(all, use{what: what, at: at})
		}
		last := &all[len(all)-1]
		last.places = append(last.places, p)
	}
	return all
}

func sortedTypes[V any](m map[CanonicalType]V) []CanonicalType {
	types := make([]CanonicalType, 0, len(m))
	for typ := range m {
		types = append(types, typ)
	}
	slices.Sort(types)
	return types
}

// unproved returns the uses that read a place which the proof does not cover. With some set, a use is accepted if at least one of
// its places is covered: the others serve sources that check no signature.
func (p *Profile) unproved(node *document.Node, c cover, some bool) (faults []unprovedUse) {
	for _, u := range p.uses(node) {
		bad := slices.IndexFunc(u.places, func(place part) bool { return !c.proves(place) && !(u.typ && p.hint(place.path)) })
		if bad < 0 || some && slices.ContainsFunc(u.places, c.proves) {
			continue
		}
		faults = append(faults, unprovedUse{u, u.places[bad]})
	}
	return faults
}

type unprovedUse struct {
	use   use
	place part
}

// words returns the message and the remedy.
func (u unprovedUse) words(c cover) (message, remedy string) {
	name := u.place.path.text
	if u.place.what == fromHeader {
		name = "header:" + u.place.name
	}
	remedy = "read a signed part, or sign this part too"
	if u.use.typ {
		remedy = fmt.Sprintf("read a signed part, or write hints: [%s]: a hint may only determine the type", jsonpath.FirstKey(name))
	}
	return fmt.Sprintf("%s reads `%s`, which the signature does not cover: it covers %s, and anybody can change the rest", u.use.what, name, c.words()), remedy
}

// hint reports whether a path reads a field that the profile lists as a hint.
func (p *Profile) hint(path Path) bool { return slices.Contains(p.Hints, jsonpath.FirstKey(path.text)) }

// checkProof returns a fault for each setting of a profile that reads a place which its own proof does not cover.
func (p *Profile) checkProof(node *document.Node) document.Faults {
	var proofs []*signature.Verifier
	optional := true
	for i := range p.Verify {
		v, err := p.Verify[i].Compile()
		if err != nil {
			return nil // reported already
		}
		proofs = append(proofs, v)
		optional = optional && (v.Kind() != KindHMAC || v.Optional())
	}
	var faults document.Faults
	fault := func(at *document.Node, message, remedy string) {
		if at == nil {
			at = node
		}
		faults = append(faults, at.Fault(message, remedy))
	}
	c := coverOf(proofs)
	for _, u := range p.unproved(node, c, optional) {
		message, remedy := u.words(c)
		fault(u.use.at, message, remedy)
	}
	if len(p.Hints) == 0 {
		return faults
	}
	hints := node.Key("hints")
	if !c.partial() {
		fault(hints, "hints are fields that a signature does not cover, and this profile has no such signature", "remove hints")
	}
	for i, name := range p.Hints {
		if slices.Contains(c.fields, name) {
			fault(item(hints, i), fmt.Sprintf("`%s` is signed", name), "remove it from hints")
		}
	}
	// A hint is unsigned and determines the type. The type must therefore not affect the identity of an event or a response, and
	// must not be a test, because each request of a test is a new event.
	if len(p.DedupeByType) > 0 {
		fault(node.Key("dedupe_by_type"), "hints determine the type, so the dedupe key must not depend on it", "write one key in dedupe, from signed parts")
	}
	for _, typ := range sortedTypes(p.byType) {
		for _, f := range p.byType[typ] {
			if f.field.kind == kindID {
				fault(node.Key("map_by_type"), fmt.Sprintf("hints determine the type, so `%s` must not depend on it", f.field.Name), "write it in map")
			}
		}
	}
	const test, remedy = "a hint must not turn an event into a test, because each test is a new event", "read a signed part"
	for i := range p.Type.Rules {
		if rule := &p.Type.Rules[i]; rule.Type == "test" && p.hint(rule.When.Path) {
			fault(item(node.Key("type").Key("rules"), i), test, remedy)
		}
	}
	for _, own := range slices.Sorted(maps.Keys(p.Type.Map)) {
		if p.Type.Map[own] == "test" && p.hint(p.Type.Path) {
			fault(node.Key("type").Key("map"), test, remedy)
		}
	}
	if p.Type.Default == "test" {
		fault(node.Key("type").Key("default"), test, "write another default")
	}
	return faults
}
