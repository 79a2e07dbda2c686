package document

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/surveygate/surveygate/rules/event"
)

// free binds a mapping with arbitrary keys.
func (b *binder) free(n *Node, v reflect.Value, name string) {
	if n.Kind == Null {
		return
	}
	if n.Kind != Mapping {
		b.fault(b.wrongKind(n, name, "a mapping"))
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, len(n.Pairs))
	for _, p := range n.Pairs {
		out = reflect.Append(out, b.entry(p, v.Type().Elem()))
	}
	v.Set(out)
}

func (b *binder) entry(p Pair, t reflect.Type) reflect.Value {
	e := reflect.New(t).Elem()
	e.FieldByName("Name").SetString(p.Key.Text)
	e.FieldByName("Key").Set(reflect.ValueOf(p.Key))
	e.FieldByName("Node").Set(reflect.ValueOf(p.Value))
	b.bind(p.Value, e.FieldByName("Value"), p.Key.Text)
	return e
}

func (b *binder) list(n *Node, v reflect.Value, name string) {
	if n.Kind == Null {
		return
	}
	if n.Kind != List {
		b.fault(b.wrongKind(n, name, "a list"))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
	for i, item := range n.Items {
		b.bind(item, out.Index(i), name)
	}
	v.Set(out)
}

func (b *binder) mapping(n *Node, v reflect.Value, name string) {
	if n.Kind == Null {
		return
	}
	if n.Kind != Mapping {
		b.fault(b.wrongKind(n, name, "a mapping"))
		return
	}
	t := v.Type()
	out := reflect.MakeMapWithSize(t, len(n.Pairs))
	for _, p := range n.Pairs {
		key := reflect.New(t.Key()).Elem()
		before := len(b.faults)
		if b.bind(p.Key, key, p.Key.Text); len(b.faults) > before {
			continue
		}
		value := reflect.New(t.Elem()).Elem()
		b.bind(p.Value, value, p.Key.Text)
		out.SetMapIndex(key, value)
	}
	v.Set(out)
}

// structure binds a mapping to the settings of a struct.
func (b *binder) structure(n *Node, v reflect.Value, name string) {
	fields := Fields(v.Type())
	b.depth++
	defer func() { b.depth-- }()
	if n.Kind == Null {
		n = &Node{Kind: Mapping, At: n.At, file: n.file, parent: n.parent, index: n.index}
	}
	for _, f := range fields {
		if f.Self {
			v.FieldByIndex(f.Index).Set(reflect.ValueOf(n))
		}
	}
	if n.Kind != Mapping {
		b.fault(b.wrongKind(n, name, "a mapping"))
		return
	}
	for _, p := range n.Pairs {
		if b.full() {
			p.Value.concealAll() // which would not be found to be secret
			continue
		}
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == p.Key.Text && f.Name != "" })
		switch {
		case i >= 0 && b.options.Embedded && len(fields[i].Index) == 1:
		case i >= 0 && b.options.Rule && b.ofConnection(p, fields[i]):
		case i >= 0:
			b.bind(p.Value, v.FieldByIndex(fields[i].Index), p.Key.Text)
		case b.options.Embedded:
		case b.rest(fields, p, v):
		default:
			if secretly.MatchString(p.Key.Text) || meansSecret(p.Key.Text, fields) {
				p.Value.concealAll()
			}
			b.unknown(p.Key, fields, v)
		}
	}
	if !b.options.Partial || b.depth > 1 {
		b.faults = append(b.faults, Missing(v.Addr().Interface(), n, name)...)
	}
}

// ofConnection refuses settings in a rule that only a connection may have: credentials and addresses.
func (b *binder) ofConnection(p Pair, f Field) bool {
	t := f.Type
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	switch {
	case t == secretType, EmbedsSecret(t):
		p.Value.concealAll()
		b.fault(p.Key.Fault(fmt.Sprintf("`%s` is a secret, and rules may not contain secrets", f.Name), "move it to the connection"))
	case t == urlType, t == baseType:
		b.fault(p.Key.Fault(fmt.Sprintf("`%s` belongs to the connection, not to a rule", f.Name), "move it to the connection"))
	default:
		return false
	}
	return true
}

// rest adds a key that no field names to the inline Map, if the struct has one.
func (b *binder) rest(fields []Field, p Pair, v reflect.Value) bool {
	for _, f := range fields {
		if f.Rest {
			into := v.FieldByIndex(f.Index)
			into.Set(reflect.Append(into, b.entry(p, into.Type().Elem())))
			return true
		}
	}
	return false
}

// meansSecret reports whether a misspelt key may mean a secret, so that its value is not shown: within one edit for three
// letters, which is wider than event.Nearest.
func meansSecret(key string, fields []Field) bool {
	limit := max(1, len(key)/3) + 1
	return slices.ContainsFunc(fields, func(f Field) bool {
		return holdsSecrets(f.Type) && event.Distance(key, f.Name, limit) < limit
	})
}

// unknown adds the fault of an unknown key, with the most similar key as its remedy.
func (b *binder) unknown(key *Node, fields []Field, v reflect.Value) {
	message := fmt.Sprintf("`%s` is not a setting here", key.Text)
	own, _ := reflect.TypeAssert[Misnamer](v.Addr())
	for _, m := range []Misnamer{own, b.options.Misnamed} {
		if m == nil {
			continue
		}
		if remedy := m.Misnamed(key.Text); remedy != "" {
			b.fault(key.Fault(message, remedy))
			return
		}
	}
	b.fault(key.Fault(message, DidYouMean(key.Text, append(Names(fields), b.options.Known...))))
}
