package source

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Unread is a place of a body that does not affect the resulting events.
type Unread struct {
	// Path is the place; # is every element of a list.
	Path string `json:"path"`
	// Why is the profile's reason, or that another alternative took precedence; empty if the profile does not mention the place.
	Why string `json:"why,omitempty"`
}

const (
	maxUnread   = 2000 // places of one body that are examined
	alternative = "read only if the alternatives before it are empty"
	absent      = "it is empty"
)

// Unread finds the places of a body that are not used, for authors of profiles. It changes each place in turn; if the events stay
// the same, the place was not read. It normalises the body several times for each place, and asks stop before each; nil: it never
// stops. It returns false if it stopped: then places are missing, and a place of a list may be read in an element that was not examined.
func (s *Source) Unread(req *Request, received time.Time, stop func() bool) (unread []Unread, complete bool, err error) {
	var in content
	if err := s.decode(req, &in); err != nil {
		return nil, false, err
	}
	elements := []jsonpath.Result{in.doc.Root()}
	if found := jsonpath.Read(in.doc.JSON(), s.Profile.Split.text); found.Kind() == jsonpath.Array {
		elements = elements[:0]
		found.Each(func(_ []byte, element jsonpath.Result) bool {
			elements = append(elements, element)
			return len(elements) < MaxEvents
		})
	}
	var order []string
	read, filled := map[string]bool{}, map[string]bool{}
	complete = true
	for _, element := range elements {
		if element.Kind() != jsonpath.Object {
			continue
		}
		var places []string
		eachPlace(element, func(place string, first, full bool) {
			if first {
				places = append(places, place)
			}
			filled[place] = filled[place] || full
		})
		before, err := s.without(req, received, &in, element.Raw())
		if err != nil {
			return nil, false, err
		}
		for _, place := range places {
			if complete = complete && (stop == nil || !stop()); !complete {
				break
			}
			if _, known := read[place]; !known {
				order = append(order, place)
			}
			for _, probe := range probes {
				if read[place] {
					break
				}
				after, err := s.without(req, received, &in, replaced(element, place, probe))
				read[place] = err != nil || after != before
			}
		}
	}
	for _, place := range order {
		if read[place] {
			continue
		}
		why := s.Profile.reason(place)
		switch {
		case why != "":
		case !filled[place]:
			why = absent
		case s.Profile.mentions(place):
			why = alternative
		}
		unread = append(unread, Unread{place, why})
	}
	return unread, complete, nil
}

// probes are the replacements for a value: if the value is read, one of them changes the event.
var probes = []string{"null", `"surveygate-probe"`, "7.25"}

// without returns the event of a body as text, without the body itself. Other parts of the request are those of whole.
func (s *Source) without(req *Request, received time.Time, whole *content, body []byte) (string, error) {
	ev, err := s.renormaliseBody(req, received, whole, body)
	if err != nil {
		return "", err
	}
	made := *ev.Data()
	made.Unread = nil // listing a place as unread does not count as using it
	data, err := json.Marshal(made)
	return strings.Join([]string{ev.Type, ev.OrigType, ev.OrigID, ev.DedupeKey, timeText(ev.Time), string(data)}, "\n"), err
}

// renormaliseBody builds the event of another body, in JSON. Other parts of the request are those of whole.
func (s *Source) renormaliseBody(req *Request, received time.Time, whole *content, body []byte) (*event.Event, error) {
	same := *req
	same.Verified = Verified{Kind: KindNone}
	in := content{hints: whole.hints}
	if err := in.doc.Check(body, maxDepth); err != nil {
		return nil, err
	}
	return s.one(&same, received, &in, in.doc.Root(), event.Raw{ContentType: "application/json", SHA256: hash(nil)}, false)
}

// kindOf returns a value's kind; an empty object or list counts as Absent, so that it is treated like a scalar.
func kindOf(value jsonpath.Result) jsonpath.Kind {
	if kind := value.Kind(); kind != jsonpath.Object && kind != jsonpath.Array || !empty(value) {
		return kind
	}
	return jsonpath.Absent
}

// places returns the places of scalars and empty values below a value, without duplicates, in order.
func places(value jsonpath.Result) (all []string) {
	eachPlace(value, func(place string, first, _ bool) {
		if first {
			all = append(all, place)
		}
	})
	return all
}

// eachPlace calls f for each scalar and empty value below a value: first reports that it is the first at its place, full that it
// is not empty.
func eachPlace(value jsonpath.Result, f func(place string, first, full bool)) {
	seen := map[string]bool{}
	var walk func(at string, value jsonpath.Result)
	walk = func(at string, value jsonpath.Result) {
		switch kindOf(value) {
		case jsonpath.Object:
			value.Each(func(key []byte, member jsonpath.Result) bool {
				walk(join(at, keyName.Replace(string(key))), member)
				return true
			})
		case jsonpath.Array:
			value.Each(func(_ []byte, element jsonpath.Result) bool {
				walk(join(at, "#"), element)
				return true
			})
		default:
			if !seen[at] && len(seen) == maxUnread {
				return
			}
			f(at, !seen[at], !empty(value))
			seen[at] = true
		}
	}
	walk("", value)
}

// keyName escapes a key for use in a place.
var keyName = strings.NewReplacer(`\`, `\\`, ".", `\.`, "#", `\#`)

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// replaced replaces a place of a value by a probe, in every element of lists on the way.
func replaced(value jsonpath.Result, place, probe string) []byte {
	var out []byte
	var walk func(at string, value jsonpath.Result)
	list := func(open, close byte, each func(first *bool)) {
		out = append(out, open)
		first := true
		each(&first)
		out = append(out, close)
	}
	comma := func(first *bool) {
		if !*first {
			out = append(out, ',')
		}
		*first = false
	}
	walk = func(at string, value jsonpath.Result) {
		if at != "" && at != place && !strings.HasPrefix(place, at+".") {
			out = append(out, value.Raw()...)
			return
		}
		switch kindOf(value) {
		case jsonpath.Object:
			list('{', '}', func(first *bool) {
				value.Each(func(key []byte, member jsonpath.Result) bool {
					comma(first)
					out = append(append(out, quote(string(key))...), ':')
					walk(join(at, keyName.Replace(string(key))), member)
					return true
				})
			})
		case jsonpath.Array:
			list('[', ']', func(first *bool) {
				value.Each(func(_ []byte, element jsonpath.Result) bool {
					comma(first)
					walk(join(at, "#"), element)
					return true
				})
			})
		default:
			if at == place {
				out = append(out, probe...)
			} else {
				out = append(out, value.Raw()...)
			}
		}
	}
	walk("", value)
	return out
}

// leads reports whether a path leads to a place or below it.
func leads(path, place string) bool { return path == place || strings.HasPrefix(path, place+".") }

// mentions reports whether the profile has a plain path to a place, as an alternative that was not needed.
func (p *Profile) mentions(place string) bool {
	has := func(paths Paths) bool {
		return slices.ContainsFunc(paths, func(path Path) bool { return leads(path.text, place) })
	}
	fills := slices.Clone(p.fields)
	for _, more := range p.byType {
		fills = append(fills, more...)
	}
	for _, f := range fills {
		if has(f.from.Paths) {
			return true
		}
	}
	for i := range p.Answers {
		a := &p.Answers[i]
		prefix := ""
		if !a.From.IsZero() {
			prefix = a.From.text + "."
		}
		for _, paths := range a.Each {
			if slices.ContainsFunc(paths, func(path Path) bool {
				return leads(prefix+path.text, place) || leads(prefix+"#."+path.text, place)
			}) {
				return true
			}
		}
	}
	return has(p.ID) || has(p.Time) || has(p.Params)
}
