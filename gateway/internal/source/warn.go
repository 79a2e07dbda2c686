package source

import (
	"fmt"
	"slices"
	"strings"
)

// Warnings describe the parts of a body that could not be used. They name places and fields, but never quote a respondent,
// because they are shown and logged where answers are masked.
const (
	maxWarnings = 20
	maxShown    = 64
)

type warnings []string

func (w *warnings) add(format string, args ...any) {
	if len(*w) > maxWarnings {
		return
	}
	if len(*w) == maxWarnings {
		*w = append(*w, "and more")
		return
	}
	if text := fmt.Sprintf(format, args...); !slices.Contains(*w, text) {
		*w = append(*w, text)
	}
}

// shown shortens a platform's name for a warning.
func shown(text string) string { return clippedTo(strings.ToValidUTF8(text, "\uFFFD"), maxShown) }

// clippedTo shortens a text to at most this many bytes, at a character boundary.
func clippedTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && text[cut]&0xC0 == 0x80 {
		cut--
	}
	return text[:cut] + "…"
}
