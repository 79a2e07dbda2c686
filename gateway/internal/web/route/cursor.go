package route

import (
	"crypto/sha256"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// The kinds of the cursors of this package: of a list that is sorted by name, and of a list of all tenants.
const (
	byName    = 'n'
	ofTenants = 't'
)

// checked is the length of a checksum in bytes.
const checked = 4

// Next returns the cursor that continues a list sorted by name after a name.
func Next(name string) string { return writeCursor(byName, name) }

// After returns the name that a cursor of Next continues after, which may be deleted by now; empty without a cursor. Earlier versions had
// the name itself as the cursor: it counts if it is a name of the list.
func After(cursor string, is func(name string) bool) (string, error) {
	name, err := readCursor(cursor, byName)
	if err != nil && is(cursor) {
		return cursor, nil
	}
	return name, err
}

// writeCursor makes a cursor: its kind, a checksum, by which other text is refused, and the place.
func writeCursor(kind byte, place string) string {
	sum := sha256.Sum256([]byte(place))
	return state.EncodeCursor(slices.Concat([]byte{kind}, sum[:checked], []byte(place)))
}

func readCursor(cursor string, kind byte) (string, error) {
	if cursor == "" {
		return "", nil
	}
	b, err := state.DecodeCursor(cursor, kind)
	if err != nil || len(b) <= checked {
		return "", NoCursor()
	}
	place := string(b[checked:])
	if sum := sha256.Sum256(b[checked:]); string(sum[:checked]) != string(b[:checked]) {
		return "", NoCursor()
	}
	return place, nil
}

// NoCursor is the answer to a cursor that a list did not make.
func NoCursor() error {
	return answer.Invalid("this is no cursor of this list: take the `next` of the page before", "cursor")
}
