package expression

import (
	"encoding/json"
	"strconv"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// export gives a value to a connector. What is absent, also within a list, is left out.
func (f *frame) export(v value) (out any, present bool) {
	switch v.kind {
	case number:
		if v.str != "" {
			return json.Number(v.str), f.bytes(len(v.str))
		}
		return v.num, f.bytes(perScalar)
	case text:
		return v.str, f.room(v.str) && f.bytes(perScalar)
	case boolean:
		return v.yes, f.bytes(perScalar)
	case list:
		t := f.open(&v)
		if t == nil || !f.exports(t) {
			return nil, false
		}
		items := make([]any, 0, len(t.items))
		for _, item := range t.items {
			if one, ok := f.export(item); ok {
				items = append(items, one)
			}
		}
		return items, true
	case object:
		t := f.open(&v)
		if t == nil || !f.exports(t) {
			return nil, false
		}
		members := make(Object, 0, len(t.items))
		for i, item := range t.items {
			if one, ok := f.export(item); ok {
				members = append(members, Member{Key: t.keys[i], Value: one})
			}
		}
		return members, true
	}
	return nil, false
}

// perScalar is about what a number, a word or the quotes of a text take in JSON.
const perScalar = 4

// exports pays for a list or an object that is written out.
func (f *frame) exports(t *tree) bool {
	keys := 0
	for _, key := range t.keys {
		keys += spelt(key) + len(`"":`)
	}
	return f.spend(perItem*len(t.items)+keys/16) && f.bytes(keys+len(t.items)+len(`[]`))
}

// appendText writes a value into a hole: a list's items with commas between them, an object as JSON.
func (f *frame) appendText(b []byte, v *value) []byte {
	switch v.kind {
	case number:
		f.bytes(max(len(v.str), perScalar))
		if v.str != "" {
			return append(b, v.str...)
		}
		return appendNumber(b, v.num)
	case text:
		if !f.room(v.str) {
			return b
		}
		return append(b, v.str...)
	case boolean:
		f.bytes(perScalar)
		return strconv.AppendBool(b, v.yes)
	case list:
		t := f.open(v)
		if t == nil {
			return b
		}
		first := true
		for i := range t.items {
			if t.items[i].kind == absent {
				continue
			}
			if !first {
				b = append(b, ", "...)
			}
			first = false
			if b = f.appendText(b, &t.items[i]); f.err != nil || !f.spend(perItem) || !f.bytes(len(", ")) {
				return b
			}
		}
	case object:
		left := 0
		if f.build != nil {
			left = f.build.Bytes
		}
		if out, ok := f.export(*v); ok {
			if j, err := marshal(out); err == nil {
				if f.build != nil { // its quotes are escaped in the JSON around it
					f.build.Bytes = left
					f.room(textOf(j))
				}
				b = append(b, j...)
			}
		}
	}
	return b
}

// numberOf reads a number. Digits that a double cannot hold are kept beside it, for where it is written out.
func numberOf(r jsonpath.Result) value {
	raw := r.Raw()
	if n, ok := smallNumber(raw); ok {
		return numberValue(n)
	}
	n, ok := r.Number()
	if !ok {
		return value{}
	}
	v := numberValue(n)
	if len(raw) > 15 {
		v.str = digitsOf(textOf(raw), n)
	}
	return v
}
