package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// Records on disk have these codes and letters: each word keeps its own.
func TestCodesStay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ got, want Codes }{
		"states":   {StateCodes, Codes{"waiting", "delivered", "skipped", "dead", "dropped"}},
		"origins":  {OriginCodes, Codes{"rule", "webhook"}},
		"verdicts": {VerdictCodes, Codes{"delivered", "skipped", "retry", "rejected", "revoked", "continue"}},
		"holds":    {HoldCodes, Codes{"circuit", "rate", "revoked", "gone", "paused"}},
	} {
		for i, word := range c.want {
			if i >= len(c.got) || c.got[i] != word {
				t.Errorf("%s: code %d is not %q: %q", name, i+1, word, c.got)
			}
		}
	}
	for state, letter := range map[DeliveryState]byte{Waiting: 'W', Dead: 'X', Delivered: 'D', Skipped: 'S', Dropped: 'P', "": 0, "other": 0} {
		if got := state.Letter(); got != letter {
			t.Errorf("%q has letter %q, want %q", state, got, letter)
		}
		if letter != 0 && StateOfLetter(letter) != state {
			t.Errorf("%q is %q", letter, StateOfLetter(letter))
		}
	}
	if len(stateLetters) != len(StateCodes) || StateOfLetter('?') != "" {
		t.Errorf("%d letters of %d states; ? is %q", len(stateLetters), len(StateCodes), StateOfLetter('?'))
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	b := []byte{7}
	b = binary.AppendUvarint(b, math.MaxUint64)
	b = binary.AppendVarint(b, math.MinInt64)
	b = AppendText(b, "text")
	b = AppendText(b, []byte{0, 1})
	b = StateCodes.Append(b, string(Dead))
	b = StateCodes.Append(b, "a word of a later version")
	b = append(b, "rest"...)

	read := func(t *testing.T, r *RecordReader[string], version byte) {
		t.Helper()
		r.Version(version)
		if n, i := r.Uint(), r.Int(); n != math.MaxUint64 || i != math.MinInt64 {
			t.Errorf("%d, %d", n, i)
		}
		if s, u := r.Text(), r.Bytes(); s != "text" || u != "\x00\x01" {
			t.Errorf("%q, %q", s, u)
		}
		if s, u := r.Code(StateCodes), r.Code(StateCodes); s != "dead" || u != "a word of a later version" {
			t.Errorf("%q, %q", s, u)
		}
	}
	r := RecordReader[string]{Rest: string(b)}
	if read(t, &r, 7); r.Err() != nil || r.Take(4) != "rest" || r.Rest != "" {
		t.Errorf("%v, rest %q", r.Err(), r.Rest)
	}

	// A record that was cut off anywhere, or is of another version, is corrupt and asks for no more memory than it has.
	for n := range len(b) - 4 {
		r := RecordReader[[]byte]{Rest: b[:n]}
		r.Version(7)
		r.Uint()
		r.Int()
		r.Text()
		r.Bytes()
		r.Code(StateCodes)
		if r.Code(StateCodes); !r.Bad() || !errors.Is(r.Err(), ErrCorrupt) || len(r.Rest) > 0 {
			t.Errorf("%d bytes: %v, rest %q", n, r.Err(), r.Rest)
		}
	}
	for name, corrupt := range map[string]func(r *RecordReader[[]byte]){
		"version":         func(r *RecordReader[[]byte]) { r.Version(1) },
		"count":           func(r *RecordReader[[]byte]) { r.Count() },
		"take":            func(r *RecordReader[[]byte]) { r.Take(100) },
		"take less":       func(r *RecordReader[[]byte]) { r.Take(-1) },
		"code":            func(r *RecordReader[[]byte]) { r.Code(StateCodes) },
		"number too long": func(r *RecordReader[[]byte]) { r.Rest = bytes.Repeat([]byte{0x80}, 20); r.Uint() },
		"number too big":  func(r *RecordReader[[]byte]) { r.Rest = append(bytes.Repeat([]byte{0x80}, 9), 2); r.Uint() },
	} {
		r := RecordReader[[]byte]{Rest: []byte{99, 1, 2}}
		if corrupt(&r); r.Err() == nil {
			t.Errorf("%s: no fault", name)
		}
	}
}

// Numbers read as package binary reads them.
func FuzzRecordReaderNumbers(f *testing.F) {
	f.Add([]byte{0x80, 0x80, 1})
	f.Add(binary.AppendVarint(nil, math.MinInt64))
	f.Fuzz(func(t *testing.T, b []byte) {
		want, size := binary.Uvarint(b)
		r := RecordReader[string]{Rest: string(b)}
		if got := r.Uint(); r.Bad() != (size <= 0) || size > 0 && (got != want || r.Rest != string(b[size:])) {
			t.Errorf("% x: %d, bad %t, want %d in %d bytes", b, got, r.Bad(), want, size)
		}
		signed, size := binary.Varint(b)
		i := RecordReader[[]byte]{Rest: b}
		if got := i.Int(); size > 0 && got != signed {
			t.Errorf("% x: %d, want %d", b, got, signed)
		}
	})
}
