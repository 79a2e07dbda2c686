package source

import "maps"

// reads records how a profile reads one place of a body, and the places below it. It is compiled with the profile, so that each
// body can be compared with it in one walk.
type reads struct {
	all    when // the value and everything inside it is read, or declared as unmapped
	leaf   when // the value is read if it is neither an object nor a list
	typed  when // an answer whose value is under the key that its `type` names
	keys   map[string]*reads
	every  *reads    // each element of a list
	asked  []askedBy // answers whose keys are the questions
	choice *reads    // replaces this for a value of typed that is an object with a label
	// places reports that keys contains numbers of list elements.
	places bool
	// few holds the entries of keys if there are few: scanning it is faster than a map. index fills it.
	few []memberReads
}

type memberReads struct {
	key   string
	reads *reads
}

const fewMembers = 8

// askedBy is an entry of answers whose object is at this place.
type askedBy struct {
	answers *Answers
	when    when
	parts   *reads // of an answer that is an object; nil where the whole value is the answer
}

// when is a set of conditions of a profile, one bit each: always, and those of answers (`where`) and scores (`when`). A place is
// read if one of them holds.
type when uint32

const always when = 1

// condition returns the bit of a condition; beyond 31 conditions, it is always.
func condition(n int) when {
	if n > 31 {
		return always
	}
	return 1 << n
}

// child returns the entry for a member; nil if it is not read.
func (r *reads) child(key []byte) *reads {
	if len(r.keys) > fewMembers {
		return r.keys[string(key)]
	}
	for i := range r.few {
		if r.few[i].key == string(key) {
			return r.few[i].reads
		}
	}
	return nil
}

// at returns the entry that steps lead to, and creates it if necessary.
func (r *reads) at(steps []step) *reads {
	for _, s := range steps {
		switch {
		case s.every:
			if r.every == nil {
				r.every = &reads{}
			}
			r = r.every
		default:
			next := r.keys[s.key]
			if next == nil {
				next = &reads{}
				if r.keys == nil {
					r.keys = map[string]*reads{}
				}
				r.keys[s.key] = next
				r.places = r.places || numeric(s.key)
			}
			r = next
		}
	}
	return r
}

// path adds a path, and returns the entries that it leads to, for paths below them.
func (r *reads) path(p Path, all bool, on when) (to []*reads) {
	if p.IsZero() || p.fixed.Exists() {
		return nil
	}
	for _, spot := range spots(p.text) {
		place := r.at(spot.steps)
		switch {
		case all && !spot.queried || spot.whole:
			place.all |= on
		default:
			place.leaf |= on
		}
		if !spot.whole {
			to = append(to, place)
		}
	}
	return to
}

// paths adds alternatives. If a query in one of them selects elements, none of them counts as reading everything below it.
func (r *reads) paths(paths Paths, all bool, on when) {
	for _, p := range paths {
		for _, spot := range spots(p.text) {
			all = all && !spot.queried
		}
	}
	for _, p := range paths {
		r.path(p, all, on)
	}
}

// list adds a path to a list, or to an object that counts as a list of one, and returns the entries of its elements.
func (r *reads) list(p Path, lone bool) (elements []*reads) {
	places := []*reads{r}
	if !p.IsZero() {
		places = nil
		for _, spot := range spots(p.text) {
			place := r.at(spot.steps)
			if spot.whole {
				place.all |= always
				continue
			}
			places = append(places, place)
		}
	}
	for _, place := range places {
		elements = append(elements, place.at([]step{{every: true}}))
		if lone {
			elements = append(elements, place)
		}
	}
	return elements
}

// settle completes the tree: an element of a list that is read by its number is also read as every element.
func (r *reads) settle() {
	if r == nil {
		return
	}
	if r.places && r.every != nil {
		for key, place := range r.keys {
			if numeric(key) {
				place.merge(r.every)
			}
		}
	}
	r.every.settle()
	r.index()
	for _, place := range r.keys {
		place.settle()
		if r.typed != 0 {
			place.choice = &reads{}
			place.choice.merge(place)
			place.choice.merge(labels)
			place.choice.settle()
		}
	}
}

func (r *reads) index() {
	r.few = nil
	if len(r.keys) > fewMembers {
		return
	}
	for key, place := range r.keys {
		r.few = append(r.few, memberReads{key, place})
	}
}

func (r *reads) merge(other *reads) {
	r.all |= other.all
	r.leaf |= other.leaf
	r.typed |= other.typed
	r.asked = append(r.asked, other.asked...)
	for key, place := range other.keys {
		r.at([]step{{key: key}}).merge(place)
	}
	if other.every != nil {
		r.at([]step{{every: true}}).merge(other.every)
	}
}

// compileReads compiles the reads of each type of event.
func (p *Profile) compileReads() {
	n := 0
	bit := func(c *Condition) when {
		if c == nil {
			return always
		}
		n++
		return condition(n)
	}
	for i := range p.Answers {
		p.Answers[i].on = bit(p.Answers[i].Where)
	}
	for i := range p.Score {
		p.Score[i].on = bit(p.Score[i].When)
	}
	p.reads = p.readsOf(nil)
	if !p.Split.IsZero() && p.Split.text != "@this" {
		p.beside = &reads{}
		p.beside.path(p.Split, true, always)
		p.beside.declared(p)
		p.beside.settle()
	}
	p.readsBy = map[CanonicalType]*reads{}
	for typ, fills := range p.byType {
		p.readsBy[typ] = p.readsOf(fills)
	}
	for i := range p.Answers {
		if a := &p.Answers[i]; a.Others {
			a.known = map[string]bool{}
			for _, r := range append([]*reads{p.reads}, values(p.readsBy)...) {
				for _, place := range r.list(a.From, true) {
					for key := range place.keys {
						a.known[key] = true
					}
				}
			}
		}
	}
}

func values[K comparable, V any](m map[K]V) (all []V) {
	for v := range maps.Values(m) {
		all = append(all, v)
	}
	return all
}

// readsOf returns the reads of a type with additional fills.
func (p *Profile) readsOf(more []fill) *reads {
	r := &reads{}
	for _, place := range [...]Paths{p.ID, p.Time, {p.Type.Path}} {
		r.paths(place, false, always)
	}
	for i := range p.Type.Rules {
		r.path(p.Type.Rules[i].When.Path, false, always)
	}
	for i := range p.Handshake {
		r.when(p.Handshake[i].When)
	}
	r.key(p.Dedupe)
	for _, key := range p.DedupeByType {
		r.key(key)
	}
	for _, fills := range [...][]fill{p.fields, more} {
		for _, f := range fills {
			r.paths(f.from.Paths, f.field.kind == kindResult, always)
		}
	}
	r.paths(p.Params, true, always)
	for i := range p.Answers {
		r.answers(&p.Answers[i])
	}
	for i := range p.Score {
		r.when(p.Score[i].When)
		r.paths(p.Score[i].From, false, p.Score[i].on)
	}
	if p.Leads != nil {
		for _, element := range r.list(p.Leads.From, true) {
			for _, from := range p.Leads.Each {
				element.paths(from, true, always)
			}
		}
	}
	r.declared(p)
	r.settle()
	return r
}

// declared adds the places that verification reads, and those that the profile declares as unmapped.
func (r *reads) declared(p *Profile) {
	for i := range p.Verify {
		r.proof(p.Verify[i].Field, p.Verify[i].Path)
	}
	for name := range p.Unmapped {
		for _, spot := range spots(name) {
			r.at(spot.steps).all |= always
		}
	}
}

func (r *reads) when(c *Condition) {
	if c != nil {
		r.path(c.Path, false, always)
	}
}

func (r *reads) key(t Template) {
	for i := range t.parts {
		r.path(t.parts[i].path, false, always)
	}
}

// proof adds the place of a proof in the body.
func (r *reads) proof(field, path string) {
	if field != "" {
		r.at([]step{{key: field}}).all |= always
	}
	if path != "" {
		r.path(Path{text: path}, true, always)
	}
}

func (r *reads) answers(a *Answers) {
	r.when(a.Where)
	for i := range a.Defs {
		def := &a.Defs[i]
		for _, element := range r.list(def.From, false) {
			for _, path := range [...]Path{def.ID, def.Question, def.Type} {
				element.path(path, false, always)
			}
			if def.Sub != nil {
				for _, part := range element.list(def.Sub.From, false) {
					part.path(def.Sub.ID, false, always)
					part.path(def.Sub.Question, false, always)
				}
			}
		}
	}
	if a.Shape != ShapeObject {
		for _, element := range r.list(a.From, true) {
			element.answer(a)
		}
		return
	}
	by := askedBy{answers: a, when: a.on}
	if len(a.Each) > 0 {
		by.parts = &reads{}
		by.parts.answer(a)
		by.parts.settle()
	}
	for i, place := range r.list(a.From, true) {
		if i%2 == 0 {
			continue // elements of a list, which an object does not have
		}
		if a.Key == nil && a.Skip == nil && by.parts == nil {
			place.all |= a.on
			continue
		}
		place.asked = append(place.asked, by)
	}
}

// answer adds the parts of one answer.
func (r *reads) answer(a *Answers) {
	for part, paths := range a.Each {
		r.paths(paths, part == PartValue || part == PartValueIDs, a.on)
	}
	r.path(a.Join, false, a.on)
	if a.ValueByType {
		r.typed |= a.on
		r.at([]step{{key: "type"}}).leaf |= a.on
	}
	if o := a.Options; o != nil {
		for i, from := range [...]Path{o.From, o.Columns, o.Rows} {
			if from.IsZero() {
				continue
			}
			for _, option := range r.list(from, false) {
				option.path(o.ID, false, a.on)
				option.path(o.Text, i < 2, a.on) // the text of a row becomes a key
			}
		}
	}
}

// labels are the reads of a choice that is an object of label and id.
var labels = func() *reads {
	r := &reads{}
	for _, name := range []string{"label", "labels", "id", "ids", "other"} {
		r.at([]step{{key: name}}).all = always
	}
	r.index()
	return r
}()

// readsFor returns the reads of a type of event.
func (p *Profile) readsFor(typ string) *reads {
	if r, ok := p.readsBy[CanonicalType(typ)]; ok {
		return r
	}
	return p.reads
}
