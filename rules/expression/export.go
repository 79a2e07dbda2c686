package expression

import (
	"encoding/json"
	"strconv"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// export converts a value for a connector. Absent values, also in lists, are left out.
func (f *frame) export(v value) (out any, present bool) {
	switch v.kind {
	case number:
		if v.str != "" {
			return json.Number(v.str), f.spendBytes(len(v.str))
		}
		return v.num, f.spendBytes(perScalar)
	case text:
		return v.str, f.spendText(v.str) && f.spendBytes(perScalar)
	case boolean:
		return v.yes, f.spendBytes(perScalar)
	case list:
		t := f.open(&v)
		if t == nil || !f.spendExport(t) {
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
		if t == nil || !f.spendExport(t) {
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

// perScalar is the approximate size in bytes of a number, a boolean or the quotes of a text in JSON.
const perScalar = 4

// spendExport spends the work and bytes of writing a list or an object; false ends the evaluation.
func (f *frame) spendExport(t *tree) bool {
	keys := 0
	for _, key := range t.keys {
		keys += jsonLength(key) + len(`"":`)
	}
	return f.spend(perItem*len(t.items)+keys/16) && f.spendBytes(keys+len(t.items)+len(`[]`))
}

// appendText writes a value into a hole: the items of a list are joined with commas, and an object is JSON.
func (f *frame) appendText(b []byte, v *value) []byte {
	switch v.kind {
	case number:
		f.spendBytes(max(len(v.str), perScalar))
		if v.str != "" {
			return append(b, v.str...)
		}
		return appendNumber(b, v.num)
	case text:
		if !f.spendText(v.str) {
			return b
		}
		return append(b, v.str...)
	case boolean:
		f.spendBytes(perScalar)
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
			if b = f.appendText(b, &t.items[i]); f.err != nil || !f.spend(perItem) || !f.spendBytes(len(", ")) {
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
				if f.build != nil { // its quotes will be escaped in the JSON around the text
					f.build.Bytes = left
					f.spendText(textOf(j))
				}
				b = append(b, j...)
			}
		}
	}
	return b
}

// numberOf reads a number. It keeps the digits of a number that a double does not represent exactly, for writing it.
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
