package source

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// timeText formats a time for events.
func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// number parses a JSON number, also from a text. It refuses infinity, NaN, hexadecimal and commas.
func number(text string) (float64, bool) {
	if text == "" || len(text) > 400 {
		return 0, false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9', c == '.', c == '-', c == '+', c == 'e', c == 'E':
		default:
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// truth parses a yes or a no. Ambiguous words are neither, because consent must not be guessed.
func truth(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "y", "on", "accepted", "agreed", "granted":
		return true, true
	case "false", "0", "no", "n", "off", "declined", "refused", "dismissed", "denied":
		return false, true
	}
	return false, false
}

// noTime reports whether a text is the platform's placeholder for an absent time.
func (p *Profile) noTime(text string) bool { return p.NoTime != nil && p.NoTime.MatchString(text) }
