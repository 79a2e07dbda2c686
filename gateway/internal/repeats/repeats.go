// Package repeats keeps a log short when one thing happens many times, as a stranger's thousand events make a thousand
// dead letters.
//
// It stands before the handler that writes, so that no line which traffic can cause can be forgotten. A warning or an
// error is written at once when it is the first of its kind; those that follow are counted, and written as one line
// after each Every and at the end. A line's kind is its level, its message and its attributes, but for those that tell
// single events apart. Information passes as it is.
package repeats

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
)

const (
	// Every is how often repeated lines are summed up.
	Every = time.Minute
	// eachMost bounds the kinds of one message and tenant that are told apart, and kindsMost those of all. What exceeds
	// them is counted together.
	eachMost  = 16
	kindsMost = 512
	// valueMost bounds what of a value tells kinds apart.
	valueMost = 200
)

// single are the attributes of one event or one moment: they stand in the first line alone.
var single = map[string]bool{
	"event": true, "delivery": true, "attempt": true, "took": true, "until": true, "request_id": true, "stack": true,
	"events": true, "deliveries": true, "count": true, "held": true, "key": true, "entry": true,
}

// Log sums up. Make it with New.
type Log struct {
	clock clock.Clock
	to    slog.Handler

	mu    sync.Mutex
	kinds map[string]*kind
	each  map[string]int // kinds of a message and a tenant
}

// kind is lines that say the same.
type kind struct {
	group   string // of each; empty where it does not count there
	to      slog.Handler
	level   slog.Level
	message string
	attrs   []slog.Attr // what they have in common beside those of the handler
	n       int         // since the last line
}

// New is a log that writes through a handler, and what sums it up.
func New(to slog.Handler, c clock.Clock) (*slog.Logger, *Log) {
	l := &Log{clock: c, to: to, kinds: map[string]*kind{}, each: map[string]int{}}
	return slog.New(&handler{log: l, to: to}), l
}

// Run sums up until ctx ends, and once more then.
func (l *Log) Run(ctx context.Context) {
	for {
		alarm, stop := l.clock.After(Every)
		select {
		case <-alarm:
			l.Flush()
		case <-ctx.Done():
			stop()
			l.Flush()
			return
		}
	}
}

// Flush writes what was counted. A kind of which nothing came since the last time is forgotten.
func (l *Log) Flush() {
	type line struct {
		to slog.Handler
		slog.Record
	}
	var lines []line
	now := l.clock.Now()
	l.mu.Lock()
	for key, k := range l.kinds {
		if k.n == 0 {
			delete(l.kinds, key)
			if l.each[k.group]--; l.each[k.group] <= 0 {
				delete(l.each, k.group)
			}
			continue
		}
		r := slog.NewRecord(now, k.level, k.message, 0)
		r.AddAttrs(k.attrs...)
		r.AddAttrs(slog.Int("repeated", k.n))
		lines = append(lines, line{k.to, r})
		k.n = 0
	}
	l.mu.Unlock()
	for _, line := range lines {
		_ = line.to.Handle(context.Background(), line.Record)
	}
}

// handler is what a logger writes through.
type handler struct {
	log    *Log
	to     slog.Handler
	kind   string // of the attributes that it has
	tenant string
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.to.Enabled(ctx, level)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.to = h.to.WithAttrs(attrs)
	var b strings.Builder
	for _, a := range attrs {
		tell(&b, &with.tenant, a)
	}
	with.kind += b.String()
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	with := *h
	with.to = h.to.WithGroup(name)
	with.kind += name + "\x00"
	return &with
}

// Handle writes the first line of a kind, and counts the others.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && h.counted(r) {
		return nil
	}
	return h.to.Handle(ctx, r)
}

// counted says whether a line was only counted, because it is not the first of its kind.
func (h *handler) counted(r slog.Record) bool {
	var b strings.Builder
	tenant := h.tenant
	b.WriteString(r.Level.String() + "\x00" + r.Message + "\x00" + h.kind)
	common := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		if tell(&b, &tenant, a) {
			common = append(common, a)
		}
		return true
	})
	key, group := b.String(), r.Message+"\x00"+tenant

	l := h.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.kinds[key]; k != nil {
		k.n++
		return true
	}
	if l.each[group] < eachMost && len(l.kinds) < kindsMost {
		l.each[group]++
		l.kinds[key] = &kind{group: group, to: h.to, level: r.Level, message: r.Message, attrs: common}
		return false
	}
	// Too many kinds: those of one tenant are counted together, and where tenants are too many, all of them.
	if len(l.kinds) >= kindsMost {
		group = r.Message
	}
	k := l.kinds[group]
	if k == nil {
		k = &kind{to: l.to, level: r.Level, message: r.Message}
		if group != r.Message && tenant != "" {
			k.attrs = append(k.attrs, slog.String("tenant", tenant))
		}
		k.attrs = append(k.attrs, slog.Bool("others", true))
		l.kinds[group] = k
	}
	k.n++
	return true
}

// tell writes what an attribute says of the kind of a line; false where it is of a single event.
func tell(b *strings.Builder, tenant *string, a slog.Attr) bool {
	if single[a.Key] {
		return false
	}
	value := a.Value.Resolve().String()
	if a.Key == "tenant" {
		*tenant = value
	}
	b.WriteString(a.Key + "=" + value[:min(len(value), valueMost)] + "\x00")
	return true
}
