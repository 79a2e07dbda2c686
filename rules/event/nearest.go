package event

import "strings"

// Nearest returns the one of names that word was probably meant to be, or "". It allows one edit for three letters, and four at
// most: further apart, words only look alike.
func Nearest(word string, names []string) string {
	best, least := "", max(1, min(len(word)/3, 4))+1
	for _, name := range names {
		if d := Distance(word, name, least); d < least {
			best, least = name, d
		}
	}
	return best
}

// Distance counts the insertions, deletions, changes and swaps of neighbours that make b of a, whatever the case. It stops at
// limit, and returns limit for texts of more than 64 bytes.
func Distance(a, b string, limit int) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if len(a) > 64 || len(b) > 64 || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
