// Package repeats summarises repeated log lines, such as a thousand dead letters of a thousand events.
//
// It wraps the handler that writes, so that it applies to every line that traffic can cause. The first warning or error of a kind is
// written at once. Later ones are counted, and written as one line every Every and at the end. The kind of a line is its level, its
// message and its attributes, except attributes of single events. Lines below warning are not affected.
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
	// Every is how often summaries are written.
	Every = time.Minute
	// maxPerGroup limits the kinds of one message and tenant, and maxKinds those of all. Lines beyond the limits are counted
	// together.
	maxPerGroup = 16
	maxKinds    = 512
	// maxValue limits the bytes of a value that are compared.
	maxValue = 200
)

// single are the attributes of a single event or moment: only the first line has them.
var single = map[string]bool{
	"event": true, "delivery": true, "attempt": true, "took": true, "until": true, "request_id": true, "stack": true,
	"events": true, "deliveries": true, "count": true, "held": true, "key": true, "entry": true,
}

// Log counts repeated lines. Create it with New.
type Log struct {
	clock clock.Clock
	to    slog.Handler

	mu    sync.Mutex
	kinds map[string]*kind
	each  map[string]int // number of kinds by message and tenant
}

// kind is a group of lines that are counted together.
type kind struct {
	group   string // key of each; empty if it is not counted there
	to      slog.Handler
	level   slog.Level
	message string
	attrs   []slog.Attr // common attributes, besides those of the handler
	n       int         // lines since the last summary
}

// New returns a logger that writes through a handler, and the Log that summarises its lines.
func New(to slog.Handler, c clock.Clock) (*slog.Logger, *Log) {
	l := &Log{clock: c, to: to, kinds: map[string]*kind{}, each: map[string]int{}}
	return slog.New(&handler{log: l, to: to}), l
}

// Run writes summaries until ctx ends, and a last one then.
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

// Flush writes a summary for each kind with repeated lines, and forgets kinds without new lines.
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

// handler is the slog.Handler of a counted logger.
type handler struct {
	log    *Log
	to     slog.Handler
	kind   string // the part of the kind that its attributes determine
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
		describe(&b, &with.tenant, a)
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

// Handle writes the first line of a kind and counts the others.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && h.counted(r) {
		return nil
	}
	return h.to.Handle(ctx, r)
}

// counted counts a line that is not the first of its kind; it returns false for the first.
func (h *handler) counted(r slog.Record) bool {
	var b strings.Builder
	tenant := h.tenant
	b.WriteString(r.Level.String() + "\x00" + r.Message + "\x00" + h.kind)
	common := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		if describe(&b, &tenant, a) {
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
	if l.each[group] < maxPerGroup && len(l.kinds) < maxKinds {
		l.each[group]++
		l.kinds[key] = &kind{group: group, to: h.to, level: r.Level, message: r.Message, attrs: common}
		return false
	}
	// There are too many kinds: count those of a tenant together, or of all tenants if there are too many tenants.
	if len(l.kinds) >= maxKinds {
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

// describe adds an attribute to the kind of a line; it returns false for an attribute of a single event.
func describe(b *strings.Builder, tenant *string, a slog.Attr) bool {
	if single[a.Key] {
		return false
	}
	value := a.Value.Resolve().String()
	if a.Key == "tenant" {
		*tenant = value
	}
	b.WriteString(a.Key + "=" + value[:min(len(value), maxValue)] + "\x00")
	return true
}
