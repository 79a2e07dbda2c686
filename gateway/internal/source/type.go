package source

import (
	"slices"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// kind returns the canonical type and the platform's own name of the event. named reports that the body contains that name.
func (r *run) kind() (canonical, own string, named bool) {
	t := &r.source.Profile.Type
	own = t.Const
	if !t.Path.IsZero() {
		own = plain(r.readType(t.Path))
	}
	if len(own) > maxID {
		r.warn.add("the event's name is longer than %d bytes", maxID)
		own = ""
	}
	for i := range r.source.Profile.Handshake {
		if h := &r.source.Profile.Handshake[i]; h.When != nil && r.holds(h.When) {
			return event.TypeTest, own, true
		}
	}
	for i := range t.Rules {
		if when := &t.Rules[i].When; when.holds(r.readType(when.Path)) {
			return string(t.Rules[i].Type), own, true
		}
	}
	if canonical, ok := t.Map[own]; ok && own != "" {
		return string(canonical), own, t.Const == ""
	}
	if t.Default != "" {
		canonical = string(t.Default)
	} else {
		canonical = event.TypeUnknown
	}
	if canonical == event.TypeUnknown {
		switch {
		case own != "":
			r.warn.add("`%s` is no event of the profile %s", shown(own), r.source.Profile.Name)
		case !t.Path.IsZero():
			r.warn.add("the event's name is missing at `%s`", t.Path.text)
		default:
			r.warn.add("no rule of the profile %s says what this event is", r.source.Profile.Name)
		}
	}
	return canonical, own, false
}

// readType returns the value at a path that determines the type. It also reads hints.
func (r *run) readType(p Path) jsonpath.Result {
	if value := r.read(p); value.Exists() || r.in.hints == nil || p.IsZero() {
		return value
	}
	return jsonpath.Read(r.in.hints, p.text)
}

// holds reports whether a condition is true of the whole body.
func (r *run) holds(c *Condition) bool { return c.holds(r.read(c.Path)) }

// holds reports whether a condition is true of a value.
func (c *Condition) holds(value jsonpath.Result) bool {
	there := value.Exists() && value.Kind() != jsonpath.Null
	if c.Exists != nil && *c.Exists != there {
		return false
	}
	text := ""
	if there {
		text = plain(value)
	}
	switch {
	case c.Equals != nil && (!there || text != *c.Equals),
		len(c.In) > 0 && (!there || !slices.Contains(c.In, text)),
		c.Regex != nil && (!there || !c.Regex.MatchString(text)):
		return false
	}
	if c.Gt != nil {
		n, ok := number(text)
		return ok && n > *c.Gt
	}
	return true
}
