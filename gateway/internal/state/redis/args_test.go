package redis

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var takes = regexp.MustCompile(`(?m)^ *local ([a-z_, \n]+?) = (?:take|numbers)\((\d+)\)$`)

// The names that a script gives to its arguments are those of its struct's fields, in the same order.
func TestScriptArguments(t *testing.T) {
	t.Parallel()
	for _, s := range allScripts {
		pack(nil, fill(reflect.New(s.args).Elem())) // each field is of a kind that pack knows
		var names []string
		for _, m := range takes.FindAllStringSubmatch(s.lua, -1) {
			some := strings.Split(strings.Join(strings.Fields(m[1]), ""), ",")
			if strconv.Itoa(len(some)) != m[2] {
				t.Errorf("%s: %v are not %s names", s.name, some, m[2])
			}
			names = append(names, some...)
		}
		if n := strings.Count(s.lua, "take(") + strings.Count(s.lua, "numbers("); n != len(takes.FindAllString(s.lua, -1)) {
			t.Errorf("%s: an argument is taken otherwise than by `local names = take(n)` or `numbers(n)`", s.name)
		}
		if strings.Contains(strings.ReplaceAll(s.lua, "ARGV[1]", ""), "ARGV[") {
			t.Errorf("%s: an argument has no name", s.name)
		}
		for _, run := range runs(s.args) {
			at := slices.IndexFunc(indexes(names), func(i int) bool {
				return i+len(run) <= len(names) && slices.Equal(names[i:i+len(run)], run)
			})
			if at < 0 {
				t.Errorf("%s: Lua has the names %v, and not %v in this order", s.name, names, run)
				continue
			}
			for i := range run {
				names[at+i] = ""
			}
		}
		if left := slices.DeleteFunc(names, func(name string) bool { return name == "" }); len(left) > 0 {
			t.Errorf("%s: Lua takes %v, which no struct has", s.name, left)
		}
	}
}

func indexes(all []string) []int {
	is := make([]int, len(all))
	for i := range is {
		is[i] = i
	}
	return is
}

// runs returns the names of a struct's fields as lists of those that follow each other. An embedded struct belongs to the
// list around it, every other struct has a list of its own; a list ends with the length of a slice.
func runs(of reflect.Type) (all [][]string) {
	seen := map[reflect.Type]bool{}
	var add func(of reflect.Type)
	add = func(of reflect.Type) {
		if seen[of] {
			return
		}
		seen[of] = true
		var run []string
		var inner []reflect.Type
		end := func() {
			if len(run) > 0 {
				all, run = append(all, run), nil
			}
		}
		var walk func(of reflect.Type)
		walk = func(of reflect.Type) {
			for f := range of.Fields() {
				name := strings.ToLower(f.Name)
				switch kind := f.Type.Kind(); {
				case kind == reflect.Struct && f.Anonymous:
					walk(f.Type)
				case kind == reflect.Struct:
					end()
					inner = append(inner, f.Type)
				case kind == reflect.Pointer:
					end()
					inner = append(inner, f.Type.Elem())
				case kind == reflect.Slice && f.Type.Elem().Kind() != reflect.Uint8:
					run = append(run, "n"+name)
					end()
					if item := f.Type.Elem(); item.Kind() == reflect.Struct {
						inner = append(inner, item)
					} else {
						all = append(all, []string{strings.TrimSuffix(name, "s")})
					}
				default:
					run = append(run, name)
				}
			}
		}
		walk(of)
		end()
		for _, t := range inner {
			add(t)
		}
	}
	add(of)
	return all
}

// fill gives the slices of a value items and its pointers targets.
func fill(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	}
	return v
}

// A slice is packed as its length and items, and a nil pointer as nothing.
func TestPack(t *testing.T) {
	t.Parallel()
	type item struct{ Key, Owner string }
	args := struct {
		Holder string
		Length int64
		Raw    []byte
		Items  []item
		Texts  []string
		More   *item
		None   *item
	}{"h", 5, []byte("raw"), []item{{"a", "b"}}, []string{"x", "y"}, &item{"c", "d"}, nil}
	var got []string
	for _, arg := range pack(nil, reflect.ValueOf(&args)) {
		v := reflect.Indirect(reflect.ValueOf(arg))
		if v.Kind() == reflect.Slice {
			got = append(got, string(v.Bytes()))
		} else {
			got = append(got, strings.TrimSpace(fmt.Sprint(v.Interface())))
		}
	}
	same(t, "arguments", got, []string{"h", "5", "raw", "1", "a", "b", "2", "x", "y", "c", "d"})
}
