package explain

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
)

// Shortened is a text of a request that was shortened to a limit of the product.
type Shortened struct {
	// Field is where it is in a JSON body, such as `embeds[].description`; empty: in a body of another form.
	Field string
	// Length is how many characters are left of it.
	Length int
}

// ellipsis ends a shortened text. What is written behind it, in markup or as a mark, is not of the text.
const ellipsis = "…"

// shortenedIn returns the texts of a body that end in an ellipsis, in the order of their places, each place once. A caller knows from
// connectors.Shortened that one was shortened while it was built; a live delivery that did so at the same moment is told apart by the
// ellipsis.
func shortenedIn(body []byte) []Shortened {
	if !bytes.Contains(body, []byte(ellipsis)) {
		return nil
	}
	var v any
	if json.Unmarshal(body, &v) != nil {
		return []Shortened{{Length: utf8.RuneCount(body)}}
	}
	longest := map[string]int{}
	endingIn(v, nil, longest)
	if len(longest) == 0 {
		return nil
	}
	all := make([]Shortened, 0, len(longest))
	for _, field := range slices.Sorted(maps.Keys(longest)) {
		all = append(all, Shortened{field, longest[field]})
	}
	return all
}

// endingIn finds the texts below a value that end in an ellipsis, and how long the longest of each place is.
func endingIn(v any, path []string, longest map[string]int) {
	switch v := v.(type) {
	case string:
		text := v
		if at := strings.LastIndex(text, "<br>"+strings.TrimSuffix(connectors.NoteMark(""), "]")); at >= 0 {
			text = text[:at]
		}
		if strings.HasSuffix(text, ellipsis) {
			field := strings.ReplaceAll(strings.Join(path, "."), ".[]", "[]")
			longest[field] = max(longest[field], utf8.RuneCountInString(v))
		}
	case []any:
		for _, item := range v {
			endingIn(item, append(slices.Clip(path), "[]"), longest)
		}
	case map[string]any:
		for key, item := range v {
			endingIn(item, append(slices.Clip(path), key), longest)
		}
	}
}
