package expression

import (
	"reflect"
	"slices"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// timeText returns a time as texts of the language write it; empty for the zero time.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// clockOf returns the hour or the weekday of the receipt. It depends on the stored event and the zone alone, so that deciding again
// gives the same.
func clockOf(ev *event.Event, s slot) value {
	if ev.Received.IsZero() {
		return value{}
	}
	zone := s.zone
	if zone == nil {
		zone = time.UTC
	}
	at := ev.Received.In(zone)
	if s.path == event.NameHour {
		return numberValue(float64(at.Hour()))
	}
	return textValue(event.Weekdays[at.Weekday()])
}

// InZone returns a copy of settings in which received.hour and received.weekday are in a time zone, in every Condition, Value, Text and
// Values. Nothing of v is changed, because rules share the settings of a connection. A nil zone is UTC.
func InZone[T any](v T, zone *time.Location) T {
	setZone(reflect.ValueOf(&v).Elem(), zone)
	return v
}

// Zoned is a setting with expressions in fields that are not exported. InZone does for these what the function InZone does for
// exported ones.
type Zoned interface {
	InZone(zone *time.Location)
}

func setZone(v reflect.Value, zone *time.Location) {
	if v.Kind() != reflect.Interface && !holds(v.Type(), nil) {
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			own := reflect.New(v.Elem().Type()).Elem()
			own.Set(v.Elem())
			setZone(own, zone)
			v.Set(own)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			own := reflect.New(v.Type().Elem())
			own.Elem().Set(v.Elem())
			setZone(own.Elem(), zone)
			v.Set(own)
		}
	case reflect.Struct:
		switch x := v.Addr().Interface().(type) {
		case *Condition:
			*x = x.in(zone)
		case *Value:
			*x = x.in(zone)
		case *Text:
			*x = x.in(zone)
		case *Values:
			*x = x.in(zone)
		case Zoned:
			x.InZone(zone)
		default:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					setZone(v.Field(i), zone)
				}
			}
		}
	case reflect.Slice:
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		for i := range own.Len() {
			setZone(own.Index(i), zone)
		}
		if !v.IsNil() {
			v.Set(own)
		}
	case reflect.Map:
		own := reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, key := range v.MapKeys() {
			item := reflect.New(v.Type().Elem()).Elem()
			item.Set(v.MapIndex(key))
			setZone(item, zone)
			own.SetMapIndex(key, item)
		}
		if !v.IsNil() {
			v.Set(own)
		}
	}
}

// holds reports whether a type contains expressions. within are the types around it, which may contain themselves.
func holds(t reflect.Type, within []reflect.Type) bool {
	switch t {
	case reflect.TypeFor[Condition](), reflect.TypeFor[Value](), reflect.TypeFor[Text](), reflect.TypeFor[Values]():
		return true
	}
	if slices.Contains(within, t) {
		return false
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[Zoned]()) {
		return true
	}
	within = append(within, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return holds(t.Elem(), within)
	case reflect.Struct:
		for f := range t.Fields() {
			if f.IsExported() && holds(f.Type, within) {
				return true
			}
		}
	}
	return false
}

// hasClock reports whether a scope reads the clock.
func (s *scope) hasClock() bool {
	return s != nil && slices.ContainsFunc(s.slots, func(one slot) bool { return one.how == fromClock })
}

// in returns a sealed scope whose clock is in a zone. The slots keep their numbers.
func (s *scope) in(zone *time.Location) *scope {
	own := new(scope)
	for _, one := range s.slots {
		if one.how == fromClock {
			one.zone = zone
		}
		own.slot(one)
	}
	own.seal()
	return own
}

// over returns the program with another scope.
func (p *program) over(s *scope) *program {
	own := *p
	own.scope = s
	return &own
}

func (c Condition) in(zone *time.Location) Condition {
	if c.prog != nil && c.prog.scope.hasClock() {
		c.prog = c.prog.over(c.prog.scope.in(zone))
	}
	return c
}

func (t Text) in(zone *time.Location) Text {
	if t.prog != nil && t.prog.scope.hasClock() {
		t.prog = t.prog.over(t.prog.scope.in(zone))
	}
	return t
}

func (v Value) in(zone *time.Location) Value {
	switch {
	case v.hole != nil && v.hole.prog != nil && v.hole.prog.scope.hasClock():
		return v.over(v.hole.prog.scope.in(zone))
	case v.prog != nil && v.prog.scope.hasClock():
		return v.over(v.prog.scope.in(zone))
	}
	return v
}

// over returns the value with another scope.
func (v Value) over(s *scope) Value {
	if v.hole != nil && v.hole.prog != nil {
		hole := *v.hole
		hole.prog = hole.prog.over(s)
		v.hole = &hole
	}
	if v.prog != nil {
		v.prog = v.prog.over(s)
	}
	return v
}

func (v Values) in(zone *time.Location) Values {
	if !v.scope.hasClock() {
		return v
	}
	v.scope = v.scope.in(zone)
	v.members = membersOver(v.members, v.scope)
	return v
}

func membersOver(members []member, s *scope) []member {
	own := slices.Clone(members)
	for i := range own {
		m := &own[i]
		m.value = m.value.over(s)
		m.list, m.nested = membersOver(m.list, s), membersOver(m.nested, s)
	}
	return own
}
