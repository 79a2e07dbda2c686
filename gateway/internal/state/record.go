package state

import (
	"encoding/binary"
	"errors"
)

// ErrCorrupt is the error of a record that does not read as it was written.
var ErrCorrupt = errors.New("record is corrupt")

// Codes are the words of a closed set. A record has the code of a word in one byte: its place in the set, counted from 1. A
// word outside the set is written as code 0 and its text. Records on disk have these codes: words are only ever appended.
type Codes []string

// The sets that records of both engines have codes of.
var (
	// StateCodes are all states. A new state is appended here and to stateLetters.
	StateCodes = Codes{string(Waiting), string(Delivered), string(Skipped), string(Dead), string(Dropped)}
	// OriginCodes leave Test out: it is younger than the records, and is written as text.
	OriginCodes  = Codes{string(Rule), string(Webhook)}
	VerdictCodes = Codes{"delivered", "skipped", "retry", "rejected", "revoked", "continue"}
	HoldCodes    = Codes{string(HoldCircuit), string(HoldRate), string(HoldRevoked), string(HoldGone), string(HoldPaused)}
)

// stateLetters are the letters of StateCodes, in their order, for records that scripts read too.
const stateLetters = "WDSXP"

// Letter is the state's letter in records that scripts read; 0: there is no such state.
func (s DeliveryState) Letter() byte {
	for i, word := range StateCodes {
		if word == string(s) {
			return stateLetters[i]
		}
	}
	return 0
}

// StateOfLetter is the state with that letter; empty: there is none.
func StateOfLetter(letter byte) DeliveryState {
	for i := range len(stateLetters) {
		if stateLetters[i] == letter {
			return DeliveryState(StateCodes[i])
		}
	}
	return ""
}

// Append writes a word's code.
func (c Codes) Append(b []byte, word string) []byte {
	for i, w := range c {
		if w == word {
			return append(b, byte(i+1))
		}
	}
	return AppendText(append(b, 0), word)
}

// AppendText writes the length of a text or of bytes, and then those.
func AppendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// RecordReader reads a record: a version byte and then fields in order, numbers as varints, text and bytes with their
// length. It stops at the first fault and reads zero values behind it, so that one look at Err at the end is enough.
type RecordReader[B []byte | string] struct {
	Rest B // what is not read yet
	bad  bool
}

// Fail makes the record a corrupt one.
func (r *RecordReader[B]) Fail() {
	var none B
	r.bad, r.Rest = true, none
}

// Bad reports whether a fault was found so far.
func (r *RecordReader[B]) Bad() bool { return r.bad }

// Err is ErrCorrupt where a fault was found.
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
