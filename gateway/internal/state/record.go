package state

import (
	"encoding/binary"
	"errors"
)

// ErrCorrupt is the error of a record that does not read as it was written.
var ErrCorrupt = errors.New("record is corrupt")

// Codes is a closed set of words, each of which records store as a code of one byte: its index in the set plus 1. A word
// outside the set is stored as code 0 followed by its text. Stored records contain these codes, so words are only appended.
type Codes []string

// The sets that both engines use.
var (
	// StateCodes are all states. A new state is appended here and to stateLetters.
	StateCodes = Codes{string(Waiting), string(Delivered), string(Skipped), string(Dead), string(Dropped)}
	// OriginCodes leave out Test, which was added later and is stored as text.
	OriginCodes  = Codes{string(Rule), string(Webhook)}
	VerdictCodes = Codes{"delivered", "skipped", "retry", "rejected", "revoked", "continue"}
	HoldCodes    = Codes{string(HoldCircuit), string(HoldRate), string(HoldRevoked), string(HoldGone), string(HoldPaused)}
)

// stateLetters are the letters of StateCodes, in the same order. Redis stores them, because its scripts read them too.
const stateLetters = "WDSXP"

// Letter returns the letter of the state; 0: there is no such state.
func (s DeliveryState) Letter() byte {
	for i, word := range StateCodes {
		if word == string(s) {
			return stateLetters[i]
		}
	}
	return 0
}

// StateOfLetter returns the state with a letter; empty: there is none.
func StateOfLetter(letter byte) DeliveryState {
	for i := range len(stateLetters) {
		if stateLetters[i] == letter {
			return DeliveryState(StateCodes[i])
		}
	}
	return ""
}

// Append appends the code of a word.
func (c Codes) Append(b []byte, word string) []byte {
	for i, w := range c {
		if w == word {
			return append(b, byte(i+1))
		}
	}
	return AppendText(append(b, 0), word)
}

// AppendText appends a text or bytes, preceded by the length.
func AppendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// RecordReader reads a record: a version byte and then fields in order, numbers as varints, text and bytes preceded by their
// length. After the first fault it returns zero values, so that it is enough to check Err at the end.
type RecordReader[B []byte | string] struct {
	Rest B // not read yet
	bad  bool
}

// Fail marks the record as corrupt.
func (r *RecordReader[B]) Fail() {
	var none B
	r.bad, r.Rest = true, none
}

// Bad reports whether there was a fault so far.
func (r *RecordReader[B]) Bad() bool { return r.bad }

// Err returns ErrCorrupt if there was a fault.
func (r *RecordReader[B]) Err() error {
	if r.bad {
		return ErrCorrupt
	}
	return nil
}

// Take reads n bytes; like those of Bytes, they share memory with the record.
func (r *RecordReader[B]) Take(n int) B {
	if n < 0 || n > len(r.Rest) {
		r.Fail()
		return r.Rest
	}
	taken := r.Rest[:n]
	r.Rest = r.Rest[n:]
	return taken
}

// Byte reads one byte.
func (r *RecordReader[B]) Byte() byte {
	if len(r.Rest) == 0 {
		r.Fail()
		return 0
	}
	c := r.Rest[0]
	r.Rest = r.Rest[1:]
	return c
}

// Version reads the version byte; another version than v is a fault.
func (r *RecordReader[B]) Version(v byte) {
	if r.Byte() != v {
		r.Fail()
	}
}

// Uint reads what binary.AppendUvarint writes.
func (r *RecordReader[B]) Uint() (n uint64) {
	for i := range min(len(r.Rest), binary.MaxVarintLen64) {
		c := r.Rest[i]
		if c < 0x80 {
			if i == binary.MaxVarintLen64-1 && c > 1 {
				break // more than 64 bits
			}
			r.Rest = r.Rest[i+1:]
			return n | uint64(c)<<(7*i)
		}
		n |= uint64(c&0x7f) << (7 * i)
	}
	r.Fail()
	return 0
}

// Int reads what binary.AppendVarint writes.
func (r *RecordReader[B]) Int() int64 {
	n := r.Uint()
	return int64(n>>1) ^ -int64(n&1)
}

// Count reads the length of a list. Its items take at least a byte each, so that a corrupt length cannot force a huge
// allocation.
func (r *RecordReader[B]) Count() int {
	n := r.Uint()
	if n > uint64(len(r.Rest)) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Bytes reads bytes with their length.
func (r *RecordReader[B]) Bytes() B { return r.Take(r.Count()) }

// Text reads a text with its length.
func (r *RecordReader[B]) Text() string { return string(r.Bytes()) }

// Code reads a word that Codes.Append wrote.
func (r *RecordReader[B]) Code(set Codes) string {
	c := int(r.Byte())
	switch {
	case c == 0:
		return r.Text()
	case c <= len(set):
		return set[c-1]
	}
	r.Fail()
	return ""
}
