package source

import (
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Limits of the list of unread places: their number, and the bytes of each.
const (
	maxPlaces    = 20
	maxPlaceSize = 128
)

// unread lists the places of the body with a value that is neither read nor declared as unmapped.
func (r *run) unread(typ string) []string {
	l := listing{run: r, on: r.on | always, places: slices.Clip(r.in.outside)}
	for _, name := range r.in.beside {
		mark := l.enter([]byte(name), true)
		l.add()
		l.at = l.at[:mark]
	}
	l.value(r.root, r.source.Profile.readsFor(typ))
	if l.more {
		l.places = append(l.places, andMore)
	}
	r.at = l.at[:0]
	return l.places
}

// outside lists the places outside the list whose elements are the events: paths of the profile cannot reach them.
func (s *Source) outside(in *content) []string {
	l := listing{run: &run{source: s, in: in, doc: &in.doc}, on: always}
	l.value(in.doc.Root(), s.Profile.beside)
	if l.more {
		l.places = append(l.places[:maxPlaces-1], andMore)
	}
	return l.places
}

const andMore = "and more"

// listing is one walk over a body.
type listing struct {
	*run
	on     when
	at     []byte // the current place
	places []string
	more   bool
}

// value lists the unread places below an object or a list.
func (l *listing) value(value jsonpath.Result, known *reads) {
	typ := ""
	object := value.Kind() == jsonpath.Object
	if object && known != nil && known.typed&l.on != 0 {
		typ = shared(l.doc.Child(value, "type"))
	}
	place := 0
	l.doc.Each(value, func(key []byte, member jsonpath.Result) bool {
		var next *reads
		switch {
		case object:
			if known != nil {
				next = known.child(key)
			}
		case known != nil:
			if next = known.every; known.places {
				if numbered := known.keys[strconv.Itoa(place)]; numbered != nil {
					next = numbered
				}
			}
			place++
		}
		if next != nil && next.all&l.on != 0 || empty(member) {
			return true
		}
		if object {
			if typ != "" && string(key) == typ {
				if !labelled(member) {
					return true
				}
				if next != nil {
					next = next.choice
				} else {
					next = labels
				}
			}
			if known != nil && len(known.asked) > 0 {
				if by := known.askedFor(key, l.on); by != nil {
					if by.parts == nil || member.Kind() != jsonpath.Object {
						return true
					}
					next = by.parts
				}
			}
		}
		inside := member.Kind() == jsonpath.Object || member.Kind() == jsonpath.Array
		if !inside && next != nil && next.leaf&l.on != 0 {
			return true
		}
		mark := l.enter(key, object)
		if inside {
			l.value(member, next)
		} else {
			l.add()
		}
		l.at = l.at[:mark]
		return !l.more
	})
}

// labelled reports whether a choice is an object of label and id, as typedValue reads it.
func labelled(value jsonpath.Result) bool {
	return value.Kind() == jsonpath.Object && (!empty(value.Child("label")) || !empty(value.Child("labels")))
}

// askedFor returns the entry of answers for which a key is a question; nil if there is none.
func (r *reads) askedFor(key []byte, on when) *askedBy {
	for i := range r.asked {
		if by := &r.asked[i]; by.when&on != 0 && by.answers.picks(key) {
			return by
		}
	}
	return nil
}

// picks reports whether a key of the object is a question.
func (a *Answers) picks(key []byte) bool {
	switch {
	case a.Skip != nil && a.Skip.Match(key):
		return false
	case a.Key == nil || a.Key.Match(key):
		return true
	}
	return a.Others && !a.known[string(key)]
}

// enter appends a member or an element to the current place, and returns the previous length of the place.
func (l *listing) enter(key []byte, object bool) (mark int) {
	mark = len(l.at)
	if l.at == nil {
		l.at = l.run.at[:0]
	}
	if mark > 0 {
		l.at = append(l.at, '.')
	}
	switch {
	case !object:
		l.at = append(l.at, '#')
	case len(key) > maxPlaceSize:
		l.at = append(l.at, shown(string(key))...)
	default:
		for _, c := range key {
			if c == '\\' || c == '.' || c == '#' {
				l.at = append(l.at, '\\')
			}
			l.at = append(l.at, c)
		}
	}
	return mark
}

// add adds the current place to the list, without duplicates.
func (l *listing) add() {
	if slices.ContainsFunc(l.places, func(place string) bool { return place == string(l.at) }) {
		return // the common case for elements of a list, without a copy
	}
	place := clippedTo(strings.ToValidUTF8(string(l.at), replacement), maxPlaceSize)
	switch {
	case slices.Contains(l.places, place):
	case len(l.places) == maxPlaces:
		l.more = true
	default:
		l.places = append(l.places, place)
	}
}
