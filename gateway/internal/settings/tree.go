package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

// parseTree reads one JSON value, with numbers as they are written.
func parseTree(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return v, nil
}

// writeTree writes a value as JSON with sorted keys.
func writeTree(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // a tree that was parsed can be written
		panic(fmt.Sprintf("write a document: %v", err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// mergePatch applies a merge patch: https://www.rfc-editor.org/rfc/rfc7396#section-2
func mergePatch(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	into, ok := target.(map[string]any)
	if !ok {
		into = map[string]any{}
	}
	into = maps.Clone(into)
	for key, value := range changes {
		if value == nil {
			delete(into, key)
			continue
		}
		into[key] = mergePatch(into[key], value)
	}
	return into
}

// texts calls do for every text below v with its path, and puts the result in its place. An error ends it, and so does a mask as
// a key.
func texts(v any, path []string, do func(path []string, text string) (string, error)) (any, error) {
	switch v := v.(type) {
	case string:
		return do(path, v)
	case []any:
		for i := range v {
			each, err := texts(v[i], append(slices.Clip(path), strconv.Itoa(i)), do)
			if err != nil {
				return nil, err
			}
			v[i] = each
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if isMask(key) {
				return nil, &MaskError{document.JoinPath(path)}
			}
			each, err := texts(v[key], append(slices.Clip(path), key), do)
			if err != nil {
				return nil, err
			}
			v[key] = each
		}
	}
	return v, nil
}

// place puts a value at a path, and makes the lists and mappings on the way.
func place(into any, steps []string, value any) any {
	if len(steps) == 0 {
		return value
	}
	if i, err := strconv.Atoi(steps[0]); err == nil {
		list, ok := into.([]any)
		if ok || into == nil {
			for len(list) <= i {
				list = append(list, nil)
			}
			list[i] = place(list[i], steps[1:], value)
			return list
		}
	}
	m, ok := into.(map[string]any)
	if !ok {
		m = map[string]any{}
	}
	m[steps[0]] = place(m[steps[0]], steps[1:], value)
	return m
}

// differing returns the paths at which two values differ, down to the leaves of mappings.
func differing(a, b any, path []string) []string {
	x, isX := a.(map[string]any)
	y, isY := b.(map[string]any)
	if !isX || !isY {
		if bytes.Equal(writeTree(a), writeTree(b)) {
			return nil
		}
		return []string{document.JoinPath(path)}
	}
	keys := map[string]bool{}
	for key := range x {
		keys[key] = true
	}
	for key := range y {
		keys[key] = true
	}
	var all []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		below := append(slices.Clip(path), key)
		value, inX := x[key]
		other, inY := y[key]
		if inX != inY {
			all = append(all, document.JoinPath(below))
			continue
		}
		all = append(all, differing(value, other, below)...)
	}
	return all
}
