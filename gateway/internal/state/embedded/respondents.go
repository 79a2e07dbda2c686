package embedded

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// respondentKey reads the key for the hashes of respondents; the first start makes it.
func respondentKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, "respondents.key")
	key, err := os.ReadFile(path)
	if err == nil {
		if len(key) != 32 {
			return nil, fmt.Errorf("%s holds %d bytes, not the 32 of a key; without it, respondents cannot be looked up", path, len(key))
		}
		return key, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	key = make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	// Written to another file and renamed, so that a crash leaves a whole key or none.
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	return key, os.Rename(path+".new", path)
}

// metaRespondents has a hash of the key that respondents are indexed with, and since when that key is used.
var metaRespondents = metaKey("respondents")

// loadRespondents checks whether the key is the one that the index of respondents was made with. If the file was deleted or
// replaced, events accepted before are still kept, but are not found by their respondent.
func (s *store) loadRespondents(key []byte) error {
	kept, err := s.read(s.db, metaRespondents, nil)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(key)
	if len(kept) == 16 && bytes.Equal(kept[:8], sum[:8]) {
		s.respondentsSince = int64(binary.BigEndian.Uint64(kept[8:]))
		return nil
	}
	// Former versions did not store the hash: their key counts as unchanged, unless this start made it.
	if replaced := kept != nil || s.keyMade && s.w.counters.next > 1; replaced {
		s.respondentsSince = nanos(s.clock.look().wall)
	}
	value := binary.BigEndian.AppendUint64(bytes.Clone(sum[:8]), uint64(s.respondentsSince))
	if err := s.db.Set(metaRespondents, value, pebble.Sync); err != nil {
		return err
	}
	if s.respondentsSince != 0 {
		s.log.Warn("respondents.key was deleted or replaced: events accepted before now may not be found by their respondent; "+
			"to find them again, stop the gateway and put the former file back", "path", filepath.Join(s.opts.Dir, "respondents.key"))
	}
	return nil
}

// respondentsFrom is since when events are found by their respondent; zero: all kept events are.
func (s *store) respondentsFrom() (time.Time, error) {
	if s.respondentsSince == 0 {
		return time.Time{}, nil
	}
	oldest, c := int64(noTime), s.w.counters.snapshot()
	err := between(s.db, posKey(nil, tabEvent, c.first), []byte{tabEvent + 1}, func(_, value []byte) error {
		t, _, _, err := readEvent(value)
		oldest = t.received
		return errors.Join(err, errStop)
	})
	if err := ignoreStop(err); err != nil || oldest == noTime || oldest >= s.respondentsSince {
		return time.Time{}, err
	}
	return fromNanos(s.respondentsSince), nil
}

// respondentsWarning is the warning that look-ups by respondent do not find all events; empty: they do.
func (s *store) respondentsWarning() (string, error) {
	from, err := s.respondentsFrom()
	if err != nil || from.IsZero() {
		return "", err
	}
	return fmt.Sprintf("%s was deleted or replaced: events accepted before %s may not be found by their respondent; "+
		"to find them again, stop the gateway and put the former file back", filepath.Join(s.opts.Dir, "respondents.key"), from.UTC().Format(time.RFC3339)), nil
}
