package redis

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// rewriteArgs are the arguments of rewrite.lua.
type rewriteArgs struct {
	List    string
	Entries []rewritten
}

type rewritten struct{ ID, Value string }

// historyChunk is how many entries of history are read in one command.
const historyChunk = 500

// historyErasing erases history of events, of those too that retention has removed.
type historyErasing struct {
	s      *store
	tenant string
	of     map[string]*state.Erased // by event
	only   map[string]bool          // ids of deliveries; nil: all of the events
	erase  func(*state.Delivery)
	found  map[string]bool // ids of deliveries with some

	at   []map[uint64]string // by shard and number: ids of events
	lost bool                // only the entries themselves lead to some of them
}

func (h *historyErasing) all(ctx context.Context) error {
	s := h.s
	h.found = map[string]bool{}
	h.at = make([]map[uint64]string, len(s.shards))
	for i := range h.at {
		h.at[i] = map[uint64]string{}
	}
	for id := range maps.Keys(h.of) {
		sh, n, err := s.locate(ctx, h.tenant, id)
		if err != nil {
			return err
		}
		if sh == nil {
			h.lost = true
		} else {
			h.at[sh.n][n] = id
		}
	}
	for _, sh := range s.shards {
		dests, err := s.client.SMembers(ctx, sh.base+"dests").Result()
		if err != nil {
			return s.fault(err)
		}
		for _, dest := range dests {
			if !strings.HasPrefix(dest, escape(h.tenant)+"/") {
				continue
			}
			for _, list := range [...]string{"h", "f"} {
				if err := h.list(ctx, sh, list+":"+dest, dest); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// list erases entries of one list.
func (h *historyErasing) list(ctx context.Context, sh *shard, list, dest string) error {
	args := rewriteArgs{List: list}
	for from := "-"; ; {
		some, err := h.s.client.XRangeN(ctx, sh.base+list, from, "+", historyChunk).Result()
		if err != nil {
			return h.s.fault(err)
		}
		for _, m := range some {
			raw := asText(m.Values["d"])
			id, known := h.at[sh.n][entryNumber(raw)]
			if !known && !h.lost {
				continue
			}
			is, e, err := h.entry(ctx, dest, sh, m.ID, raw, id)
			if err != nil {
				return err
			}
			if e == nil {
				continue
			}
			h.found[e.ID] = true
			h.of[e.EventID].Attempts += len(e.Log)
			if is != raw {
				args.Entries = append(args.Entries, rewritten{m.ID, is})
			}
		}
		if len(some) < historyChunk {
			break
		}
		from = "(" + some[len(some)-1].ID
	}
	if len(args.Entries) == 0 {
		return nil
	}
	_, err := rewriteScript.run(ctx, h.s, sh.base, args)
	return err
}

// entryNumber returns the number of the event of an entry of history.
func entryNumber(raw string) uint64 {
	r := readerOf(raw)
	r.Byte()
	return r.big(6)
}

// entry returns an entry as it is after it was erased; nil: it is of another event or delivery. known is the id of its event, if
// its number leads to one.
func (h *historyErasing) entry(ctx context.Context, dest string, sh *shard, id, raw, known string) (string, *entry, error) {
	s := h.s
	micros, _, _ := strings.Cut(id, "-")
	e, err := s.readEntry(ctx, h.tenant, dest, sh, uint64(asInt(micros)), raw)
	if err != nil {
		return "", nil, err
	}
	if h.of[e.EventID] == nil || known != "" && e.EventID != known || h.only != nil && !h.only[e.ID] {
		return "", nil, nil
	}
	r := readerOf(raw)
	r.Byte()
	r.big(6)
	if r.Byte() != '-' {
		r.big(7)
		r.big(2)
		r.zero()
	}
	b := []byte(raw[:len(raw)-len(r.Rest)])
	form := r.Byte()
	h.erase(&e.Delivery)
	var is string
	err = retryTaken(func() error {
		var fresh []newName
		sh := s.names.reference(shape(&e.Delivery), &fresh)
		if form == 'o' {
			is = string(b) + "o" + e.suffix + "\x00" + writeOwed(&e.owed, sh)
		} else {
			is = string(appendEntry(slices.Clone(b), &e.Delivery, e.suffix, sh))
		}
		return s.keepNames(ctx, fresh)
	})
	return is, e, err
}
