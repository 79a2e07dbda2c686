package connectors

import (
	"encoding/json"
	"strconv"
	"strings"
)

// PlainText is a value of a mapping as one text, for products whose fields are no more than that: numbers without a
// needless fraction, the items of a list with commas between them. False says that it is an object, which is none.
func PlainText(v any) (text string, ok bool) {
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
		return strings.Join(items, ", "), true
	}
	return "", false
}
