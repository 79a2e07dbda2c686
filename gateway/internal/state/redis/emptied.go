package redis

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// An emptied Redis looks like a new one. Two records tell them apart. A running replica knows the key of respondents that
// it read, which is random and so identifies the store. A note in the data folder has a hash of that key for the next start.
// The process that notices writes the time into the layout, so that all replicas and later starts warn.

// emptiedFor is how long warnings say that the store was emptied.
const emptiedFor = 24 * time.Hour

// note identifies the store between two runs of a gateway.
type note struct {
	// Place is a hash of the address, without user and password, and of the prefix.
	Place string `json:"place"`
	// Store is a hash of the store's identity.
	Store string `json:"store"`
}

// noteOf returns the note of a store with this key of respondents.
func (s *store) noteOf(key []byte) note {
	place := s.opts.URL
	if u, err := url.Parse(s.opts.URL); err == nil {
		place = u.Host + u.Path
	}
	return note{Place: shortHash(place + "\x00" + s.opts.Prefix), Store: shortHash(string(key))}
}

func shortHash(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:8])
}

// wasEmptied reports whether the layout in Redis differs from the one that this process or its note knows.
func (s *store) wasEmptied(layout map[string]string) bool {
	key := []byte(layout["respondents"])
	if s.key != nil {
		return !bytes.Equal(key, s.key)
	}
	if s.opts.Note == "" {
		return false
	}
	text, err := os.ReadFile(s.opts.Note)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("the note of the store in Redis cannot be read: an emptied Redis is not told from a new one", "err", err)
		}
		return false
	}
	var was note
	if err := json.Unmarshal(text, &was); err != nil {
		s.log.Warn("the note of the store in Redis cannot be read: an emptied Redis is not told from a new one", "path", s.opts.Note, "err", err)
		return false
	}
	now := s.noteOf(key)
	return was.Place == now.Place && was.Store != now.Store
}

// remember writes the note if it has changed. The store works without it, so an error is only logged.
func (s *store) remember() {
	if s.opts.Note == "" {
		return
	}
	text, err := json.Marshal(s.noteOf(s.key))
	if err != nil {
		return
	}
	if was, err := os.ReadFile(s.opts.Note); err == nil && bytes.Equal(was, text) {
		return
	}
	aside := s.opts.Note + ".new"
	if err = os.WriteFile(aside, text, 0o600); err == nil {
		err = os.Rename(aside, s.opts.Note)
	}
	if err != nil {
		s.log.Warn("the note of the store in Redis cannot be written: an emptied Redis will not be told from a new one", "err", err)
	}
}

// lookForLayout notices within a second that the store was emptied, also while no event is claimed.
func (s *store) lookForLayout(ctx context.Context) error {
	kept, err := s.client.HMGet(ctx, s.meta+"layout", "respondents", "emptied").Result()
	if err != nil {
		return s.fault(err)
	}
	s.layouts.Lock()
	known := asText(kept[0]) == string(s.key) && asText(kept[1]) == s.emptiedAt
	s.layouts.Unlock()
	if known {
		return nil
	}
	return s.layout(ctx)
}

// notice stores when the store was found empty, and tells the gateway if this process did not know it. The caller holds
// s.layouts.
func (s *store) notice(at string) {
	if at == "" || at == s.emptiedAt {
		return
	}
	first := s.emptiedAt == "" && s.shards == nil
	s.emptiedAt = at
	if first {
		return // at the start, when everything is written anyway
	}
	s.log.Error("the store in Redis was emptied while the gateway used it", "prefix", s.opts.Prefix)
	select {
	case s.emptied <- struct{}{}:
	default:
	}
}

// Emptied receives when the store was emptied while this process used it: the gateway must write its own settings again.
func (s *store) Emptied() <-chan struct{} { return s.emptied }

// emptiedWarning returns a warning if the store was emptied lately, else "".
func (s *store) emptiedWarning() string {
	s.layouts.Lock()
	defer s.layouts.Unlock()
	us, err := strconv.ParseInt(s.emptiedAt, 10, 64)
	if err != nil || s.clock.Now().Sub(fromMicro(us)) > emptiedFor {
		return ""
	}
	return fmt.Sprintf("the store in Redis was found empty at %s although it had been in use (FLUSHALL, FLUSHDB, or a Redis that came back without its file): "+
		"undelivered events, history, dead letters, holds, jobs, portal links, the audit and the recognition of duplicates were lost up to then; "+
		"check who may run FLUSHALL, and have the platforms send again", fromMicro(us).UTC().Format(time.RFC3339))
}

var _ state.Emptier = (*store)(nil)
