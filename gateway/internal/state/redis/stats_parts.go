package redis

import (
	"strconv"
	"strings"
)

// A cell is kept in parts, because Redis packs no hash with a value longer than 64 bytes (hash-max-listpack-value), and cells of busy days
// are longer. The first part begins with the number of parts, so whoever changes that changes the first part too. It is the field
// of the unit; the others are unit.2 and so on. All parts of all units of a period are at most 128 fields (hash-max-listpack-entries),
// except where most minutes need more than two.
const (
	partSize = 64
	maxParts = 4 // the last one has the rest, however long it is
)

// splitCell returns the parts of a cell.
func splitCell(cell []byte) []string {
	n := min((len(cell)+partSize)/partSize, maxParts)
	b := append([]byte{byte(n)}, cell...)
	parts := make([]string, n)
	for i := range parts {
		size := len(b)
		if i < n-1 {
			size = partSize
		}
		parts[i], b = string(b[:size]), b[size:]
	}
	return parts
}

// partsOf returns how many parts a cell has, by its first one.
func partsOf(first string) int {
	if first == "" {
		return 0
	}
	return int(first[0])
}

// partField returns the field of a part, counted from 0.
func partField(unit, part int) string {
	if part == 0 {
		return strconv.Itoa(unit)
	}
	return strconv.Itoa(unit) + "." + strconv.Itoa(part+1)
}

// partFields returns the fields of all parts but the first.
func partFields(unit, parts int) []string {
	fields := make([]string, 0, maxParts)
	for i := 1; i < parts; i++ {
		fields = append(fields, partField(unit, i))
	}
	return fields
}

// joinCell returns a cell from its first part and the others; false: a part is missing.
func joinCell(first string, part func(i int) string) (string, bool) {
	n := partsOf(first)
	if n == 0 || n > maxParts {
		return "", false
	}
	if n == 1 {
		return first[1:], true
	}
	var cell strings.Builder
	cell.WriteString(first[1:])
	for i := 1; i < n; i++ {
		more := part(i)
		if more == "" {
			return "", false
		}
		cell.WriteString(more)
	}
	return cell.String(), true
}
