package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
)

// logBlock is the size of a log's blocks: after a damaged block reading can go on with the next one.
const logBlock = 32 << 10

var logName = regexp.MustCompile(`^(\d+)(-\d+)?\.log$`)

// copyFiles makes a folder that Pebble can open from the files of a store: links to them, and copies of damaged logs with only
// their readable records.
func (r *Repaired) copyFiles(from, to string) error {
	all, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, f := range all {
		name := f.Name()
		if f.IsDir() || name == "LOCK" {
			continue
		}
		source, target := filepath.Join(from, name), filepath.Join(to, name)
		if m := logName.FindStringSubmatch(name); m != nil {
			number, err := strconv.ParseUint(m[1], 10, 64)
			if err != nil {
				return err
			}
			whole, err := r.salvageLog(source, target, number)
			if err != nil {
				return err
			}
			if !whole {
				continue
			}
		}
		if err := os.Link(source, target); err != nil {
			if err := copyFile(source, target); err != nil {
				return err
			}
		}
	}
	return nil
}

// salvageLog writes the readable records of a damaged log into a new log. whole: the log is not damaged, and no new one was
// written. An end that was cut off by a crash is not damage.
func (r *Repaired) salvageLog(source, target string, number uint64) (whole bool, err error) {
	text, err := os.ReadFile(source)
	if err != nil {
		return false, err
	}
	var records [][]byte
	skipped, pending := 0, 0 // skipped blocks; pending ones have no readable record behind them so far
	damaged := false
	for at := 0; at < len(text); {
		in := logReader(record.NewReader, text[at:], number)
		var begins int64
		for {
			begins = in.Offset()
			var one io.Reader
			var data []byte
			if one, err = in.Next(); err == nil {
				data, err = io.ReadAll(one)
			}
			if err != nil {
				break
			}
			if len(data) >= batchHeader {
				skipped, pending = skipped+pending, 0
				records = append(records, data)
			}
		}
		if err == io.EOF { //nolint:errorlint // the reader returns it unwrapped at the end of the log
			break
		}
		damaged = damaged || errors.Is(err, record.ErrInvalidChunk) || errors.Is(err, record.ErrZeroedChunk)
		pending++
		at += (int(begins)/logBlock + 1) * logBlock
	}
	if skipped == 0 && !damaged {
		return true, nil
	}
	r.Damage = append(r.Damage, fmt.Sprintf("log %s: %d of its blocks of 32 KiB cannot be read, %d writes can", filepath.Base(source), max(skipped, 1), len(records)))
	f, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, err
	}
	out := record.NewWriter(f)
	for _, data := range records {
		if _, err := out.WriteRecord(data); err != nil {
			return false, errors.Join(err, f.Close())
		}
	}
	return false, errors.Join(out.Close(), f.Close())
}

// logReader makes a reader of a log. It is generic because the type of the number is internal to Pebble.
func logReader[N ~uint64](begin func(io.Reader, N) *record.Reader, text []byte, number uint64) *record.Reader {
	return begin(bytes.NewReader(text), N(number))
}

// batchHeader is the minimum size of a record in a log.
const batchHeader = 12

// salvage reads a store table by table, and skips what cannot be read.
type salvage struct {
	db     *pebble.DB
	report *Repaired
	holes  []hole // known so far
	seen   func(records int)
	reads  int // records that each has read
}

// hole is a range of keys that cannot be read.
type hole struct{ from, to []byte }

// unreadable reports whether an error is damage that can be skipped.
func unreadable(err error) bool {
	return pebble.IsCorruptionError(err) || errors.Is(err, syscall.EIO)
}

// get reads a value; nil: there is none, or it cannot be read.
func (s *salvage) get(key []byte) ([]byte, error) {
	for _, h := range s.holes {
		if bytes.Compare(key, h.from) >= 0 && bytes.Compare(key, h.to) < 0 {
			return nil, nil
		}
	}
	v, closer, err := s.db.Get(key)
	if isNotFound(err) || err != nil && unreadable(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v = append([]byte{}, v...)
	return v, closer.Close()
}

// each calls a function for all readable keys of a table, in order.
func (s *salvage) each(table byte, each func(key, value []byte) error) error {
	upper := []byte{table + 1}
	next := []byte{table}
	for {
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: next, UpperBound: upper})
		if err != nil {
			return err
		}
		var stop error
		for ok := it.First(); ok; ok = it.Next() {
			v, err := it.ValueAndErr()
			if err != nil {
				stop = err
				break
			}
			key := it.Key()
			if s.reads++; s.seen != nil && s.reads%tellEvery == 0 {
				s.seen(s.reads)
			}
			if err := each(key, v); err != nil {
				return errors.Join(err, it.Close())
			}
			next = append(append(make([]byte, 0, len(key)+1), key...), 0)
		}
		err = errors.Join(stop, it.Error())
		if closing := it.Close(); err == nil {
			err = closing // Close returns the error of the iterator again
		}
		if err == nil {
			return nil
		}
		if !unreadable(err) {
			return err
		}
		if next, err = s.skipHole(table, next, upper); err != nil {
			return err
		}
		if bytes.Compare(next, upper) >= 0 {
			return nil
		}
	}
}

// skipHole returns where to go on after a hole that begins at from.
func (s *salvage) skipHole(table byte, from, upper []byte) ([]byte, error) {
	for _, h := range s.holes {
		if bytes.Equal(h.from, from) {
			return h.to, nil
		}
	}
	to, err := s.holeEnd(from, upper)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(to, from) { // this time it can be read
		return append(append([]byte{}, from...), 0), nil
	}
	s.holes = append(s.holes, hole{from, to})
	s.noteHole(table, from, to)
	return to, nil
}

// readable reports whether the first key from key on can be read.
func (s *salvage) readable(key, upper []byte) (bool, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: key, UpperBound: upper})
	if err != nil {
		return false, err
	}
	it.First()
	err = it.Error()
	if closing := it.Close(); err == nil {
		err = closing
	}
	if err != nil && !unreadable(err) {
		return false, err
	}
	return err == nil, nil
}

// holeEnd returns the first key after a damaged block. It probes with growing steps until a key can be read, narrows the gap by
// halving it, and reads backwards from there to the damage. Probes that fail are expensive (Pebble looks for a flipped bit),
// so there are few of them. For this, keys are numbers, a few bytes longer than the key where the damage begins.
func (s *salvage) holeEnd(from, upper []byte) ([]byte, error) {
	const halvings = 12
	size := len(from) + 8
	number := func(key []byte) *big.Int {
		padded := make([]byte, size)
		copy(padded, key)
		return new(big.Int).SetBytes(padded)
	}
	key := func(n *big.Int) []byte { return n.FillBytes(make([]byte, size)) }
	low, high := number(from), number(upper)
	for step := big.NewInt(1); ; step.Lsh(step, 8) {
		n := new(big.Int).Add(low, step)
		if n.Cmp(high) >= 0 {
			break
		}
		ok, err := s.readable(key(n), upper)
		if err != nil {
			return nil, err
		}
		if ok {
			high = n
			break
		}
		low = n
	}
	for range halvings {
		n := new(big.Int).Add(low, high)
		if n.Rsh(n, 1); n.Cmp(low) <= 0 {
			break
		}
		ok, err := s.readable(key(n), upper)
		if err != nil {
			return nil, err
		}
		if ok {
			high = n
		} else {
			low = n
		}
	}
	return s.readBack(from, key(high), upper)
}

// readBack returns the first key of the readable run that ends before to, or to itself if there is none.
func (s *salvage) readBack(from, to, upper []byte) ([]byte, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	for ok := it.SeekLT(to); ok; ok = it.Prev() {
		to = append(to[:0:0], it.Key()...)
	}
	err = it.Error()
	if closing := it.Close(); err == nil {
		err = closing
	}
	if err != nil && !unreadable(err) {
		return nil, err
	}
	return to, nil
}

// noteHole adds a range that cannot be read to the report.
func (s *salvage) noteHole(table byte, from, to []byte) {
	text := "table " + tableNames[table] + ": a block cannot be read"
	switch table {
	case tabEvent, tabKept, tabOutcome, tabOwed:
		if len(from) >= 9 && len(to) >= 9 && to[0] == table {
			text = fmt.Sprintf("table %s: positions %d to %d cannot be read", tableNames[table], keyPos(from), keyPos(to))
		} else if len(from) >= 9 {
			text = fmt.Sprintf("table %s: nothing can be read behind position %d", tableNames[table], keyPos(from))
		}
	}
	s.report.Damage = append(s.report.Damage, text)
}

// tableNames are the names of the tables in reports.
var tableNames = map[byte]string{
	tabMeta: "meta", tabEvent: "events", tabKept: "kept events", tabOutcome: "outcomes", tabClaims: "claims", tabOwed: "deliveries",
	tabID: "ids", tabDedupe: "ids of former versions", tabTimeline: "timeline", tabHistory: "history", tabFailures: "failures",
	tabDeadEvent: "dead events", tabHold: "holds", tabOnce: "once keys", tabSetting: "settings", tabList: "lists",
	tabLastChange: "last changes of settings", tabListItem: "items of lists", tabLease: "leases", tabStats: "former statistics",
	tabCount: "statistics", tabCountUse: "bytes of statistics", tabCountName: "names of statistics", tabShare: "shares", tabRemovedID: "ids of removed events",
}
