package source

import (
	"fmt"
	"slices"
	"strings"
)

// Warnings tell a person what of a body could not be used. They name places and fields, never what a respondent
// wrote, because they are shown and logged where answers are masked.
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

// shown cuts a name that a platform sent to what fits into a warning.
func shown(text string) string { return clippedTo(strings.ToValidUTF8(text, "\uFFFD"), maxShown) }

// clippedTo cuts a text to so many bytes, between characters.
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
