package jsonpath

import (
	"errors"
	"testing"
)

// A byte order mark does not change any result, and is kept in copies.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"a":{"b":[1,{"c":"x"}],"b.c":7},"a.b":2,"a":3}`, " \n[1,[2,{\"a\":3}]]\r\n", `"text"`, "7", "null"} {
		plain, with := []byte(text), []byte(mark+text)
		if Check(plain, MaxDepth) != nil || Check(with, MaxDepth) != nil || !Valid(with) {
			t.Errorf("%s: with a mark it is not JSON", text)
		}
		if got, want := Parse(with), Parse(plain); got.Kind() != want.Kind() || string(got.Raw()) != string(want.Raw()) {
			t.Errorf("%s: Parse reads %s %q", text, got.Kind(), got.Raw())
		}
		var x Index
		if err := x.Check(with, MaxDepth); err != nil || string(x.Root().Raw()) != string(Parse(plain).Raw()) {
			t.Errorf("%s: the index is of %q, %v", text, x.Root().Raw(), err)
		}
		var paths Paths
		for _, path := range []string{"a.b.0", "1.0", "a"} {
			if _, err := paths.Add(path); err != nil {
				t.Fatal(err)
			}
		}
		found := func(json []byte) (all string) {
			paths.Extract(json, func(_ int, v Result) { all += string(v.Raw()) + " " })
			return all
		}
		if got, want := found(with), found(plain); got != want {
			t.Errorf("%s: Extract finds %q, want %q", text, got, want)
		}
		for _, path := range []string{"a.b.1.c", "a.b.#", "1.1.a", "#", "@this", "a.@keys", "#.#"} {
			if got, want := Read(with, path), Read(plain, path); string(got.Raw()) != string(want.Raw()) {
				t.Errorf("%s: %s is %q, want %q", text, path, got.Raw(), want.Raw())
			}
		}
		if HasDuplicateKey(with, "a") != HasDuplicateKey(plain, "a") || HasDuplicateKey(with, "a.#") != HasDuplicateKey(plain, "a.#") {
			t.Errorf("%s: a key stands twice with a mark and not without", text)
		}
		cut, err := Cut(with, []string{"a.b", "1.#.a"})
		want, _ := Cut(plain, []string{"a.b", "1.#.a"})
		if err != nil || string(cut) != mark+string(want) {
			t.Errorf("%s: Cut leaves %q, %v", text, cut, err)
		}
	}
	for _, text := range []string{mark, mark + " ", " " + mark + "{}", mark + mark + "{}", "{}" + mark, "\xEF\xBB{}"} {
		if Valid([]byte(text)) {
			t.Errorf("%q is JSON", text)
		}
	}
}

func TestUTF16(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"\xFF\xFE{\x00}\x00", "\xFE\xFF\x00{\x00}", "{\x00}\x00", "\x00{\x00}", "\xFF\xFE\x00\x00{\x00\x00\x00", "\x00\x00\xFE\xFF\x00\x00\x00{", "\x00\x00\x00{",
	} {
		if err := Check([]byte(text), MaxDepth); !errors.Is(err, ErrUTF16) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "{", "\x00", "x", "{]", "\x00\x00"} {
		if err := Check([]byte(text), MaxDepth); err == nil || errors.Is(err, ErrUTF16) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
