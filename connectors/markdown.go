package connectors

import "strings"

// Markdown is the set of characters that have a meaning in a product's Markdown, all of them ASCII. A backslash before such a
// character makes it plain, and the backslash itself belongs to every set.
type Markdown string

// Escape puts a backslash before each character of the set, so that the product shows a respondent's text and does not
// interpret it.
func (m Markdown) Escape(text string) string {
	if !strings.ContainsAny(text, string(m)) {
		return text
	}
	b := make([]byte, 0, len(text)+16)
	for i := range len(text) {
		if strings.IndexByte(string(m), text[i]) >= 0 {
			b = append(b, '\\')
		}
		b = append(b, text[i])
	}
	return string(b)
}

// Clip shortens escaped text as the function Clip does, and never between a backslash and the character that it escapes.
func (m Markdown) Clip(text string, limit int) string {
	clipped := Clip(text, limit)
	if clipped == text || clipped == "" {
		return clipped
	}
	kept := strings.TrimSuffix(clipped, "…")
	if before := strings.TrimRight(kept, `\`); (len(kept)-len(before))%2 == 1 {
		kept = kept[:len(kept)-1]
	}
	return kept + "…"
}
