package connectors

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// PlainText converts an evaluated value (see expression.Value) to text, for products whose fields hold text only. A number has no
// needless fraction, the items of a list are joined with commas, and nil is empty. ok is false for an object.
func PlainText(v any) (text string, ok bool) { return JoinedText(v, ", ") }

// JoinedText is PlainText with another separator between the items of a list, such as `;` for products whose field for several
// choices holds `a;b`.
func JoinedText(v any, separator string) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return strings.TrimSpace(v), true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	case float64:
		return number(v), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case []any:
		items := make([]string, 0, len(v))
		for _, item := range v {
			text, ok := PlainText(item)
			if !ok {
				return "", false
			}
			if text != "" {
				items = append(items, text)
			}
		}
		return strings.Join(items, separator), true
	}
	return "", false
}

// Clip shortens text to at most limit runes. A shortened text ends in `…`, which counts as one of them.
func Clip(text string, limit int) string {
	if len(text) <= limit || utf8.RuneCountInString(text) <= limit {
		return text
	}
	shortened.Add(1)
	if limit <= 0 {
		return ""
	}
	kept := 0
	for at := range text {
		if kept == limit-1 {
			return text[:at] + "…"
		}
		kept++
	}
	return text
}

// shortened counts the texts that were shortened.
var shortened atomic.Uint64

// Shortened returns how many texts Clip, and what is made of it, has shortened so far in the whole process. A Build between two calls
// that return the same number has shortened none.
func Shortened() uint64 { return shortened.Load() }

// NoteShortened counts a text that a connector shortens without Clip, because its limit is not one of characters.
func NoteShortened() { shortened.Add(1) }
