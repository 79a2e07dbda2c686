package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Checked is the result of reading a whole store.
type Checked struct {
	// Events, Outcomes, Deliveries and Settings count records.
	Events, Outcomes, Deliveries, Settings int
	// Records and Bytes count all records, including their keys.
	Records int
	Bytes   int64
	// Unreadable counts events whose record cannot be decoded.
	Unreadable int
}

// tellEvery is after how many records the progress is told.
const tellEvery = 1000

// Check reads everything in a folder, with all checksums, and changes nothing. It reads the newest log up to the first
// unreadable record: damage there cannot be told apart from the end of a log that a crash cut off. If the store is damaged,
// the error says what is, and the counts up to there are returned too. Check fails while a gateway has the folder open. seen (may be
// nil) is told now and then how many records were read.
func Check(dir string, seen func(records int)) (*Checked, error) {
	folder := filepath.Join(dir, "events")
	if _, err := os.Stat(filepath.Join(folder, "LOCK")); err != nil {
		return nil, fmt.Errorf("%s holds no store of the embedded engine: want the data folder of a gateway: %w", dir, err)
	}
	lock, err := lockFolder(folder, vfs.Default)
	if err != nil {
		return nil, fmt.Errorf("check store %s: %w", dir, err)
	}
	defer func() { _ = lock.Close() }()
	db, err := pebble.Open(folder, &pebble.Options{
		ReadOnly: true, Lock: lock, Logger: quietLogger{}, FormatMajorVersion: pebble.FormatNewest,
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}, BackgroundError: func(error) {}}, // errors are returned
	})
	if err != nil {
		return &Checked{}, damaged(dir, err)
	}
	c := &Checked{}
	err = between(db, nil, nil, func(key, value []byte) error {
		c.Records++
		if seen != nil && c.Records%tellEvery == 0 {
			seen(c.Records)
		}
		c.Bytes += int64(len(key) + len(value))
		switch key[0] {
		case tabEvent, tabKept:
			c.Events++
			if _, _, _, err := readEvent(value); err != nil {
				c.Unreadable++
			}
		case tabOutcome:
			c.Outcomes++
		case tabOwed:
			c.Deliveries++
		case tabSetting:
			c.Settings++
		}
		return nil
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return c, damaged(dir, err)
	}
	return c, nil
}

// damaged returns the error for a store that cannot be read, with what to do about it.
func damaged(dir string, err error) error {
	return fmt.Errorf("the store in %s is damaged, or its disk is: copy the folder as it is before anything else, look at the disk (dmesg, smartctl), "+
		"then put the newest backup of the folder in its place; without one, `surveygate store repair` makes a new store of what can be read "+
		"and keeps the damaged one: %w", dir, err)
}

// quietLogger drops Pebble's messages: Check returns its errors.
type quietLogger struct{}

func (quietLogger) Infof(string, ...any)  {}
func (quietLogger) Errorf(string, ...any) {}
func (quietLogger) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
