package page

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
)

// marks are texts that templates write in place of what each answer has of its own, because functions of templates know no request.
type marks struct{ nonce, base, below, once string }

func newMarks() marks {
	return marks{nonce: newMark(), base: newMark(), below: newMark(), once: newMark()}
}

func newMark() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it cannot fail
	return "m" + hex.EncodeToString(random[:])
}

func (m *marks) replace(page []byte, r *Request) []byte {
	page = bytes.ReplaceAll(page, []byte(m.nonce), []byte(r.nonce))
	page = bytes.ReplaceAll(page, []byte(m.base), []byte(r.Base()))
	page = bytes.ReplaceAll(page, []byte(m.below), []byte(r.site.below()))
	return bytes.ReplaceAll(page, []byte(m.once), []byte(r.showing()))
}
