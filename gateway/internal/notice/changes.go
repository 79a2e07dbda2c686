package notice

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/rules/event"
)

// changes are changes of settings until they are told.
type changes struct {
	mu      sync.Mutex
	pending map[string]*changed // by tenant
}

// changed is what changed of one tenant. Of more than maxEach changes only the number and the first names are known.
type changed struct {
	lines []audit.Line // the first ones, without settings
	count int
}

func (c *changes) add(tenant string, lines []audit.Line, count int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[tenant]
	if p == nil {
		p = &changed{}
		c.pending[tenant] = p
	}
	p.count += count
	p.lines = append(p.lines, lines[:min(len(lines), maxEach-len(p.lines))]...)
}

func (c *changes) take() map[string]*changed {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.pending
	c.pending = map[string]*changed{}
	return taken
}

// Changed notices a line of the audit. It does not wait. Acts that change no settings, such as a replay, are not told.
func (n *Notifier) Changed(_ context.Context, tenant string, line audit.Line) {
	if !line.ChangesSettings() || !n.Plan().Hears(tenant, event.TypeSettingsChanged) {
		return
	}
	line.Before, line.After = nil, nil
	n.changes.add(tenant, []audit.Line{line}, 1)
}

// tellChanges tells of the changes since the last round: each alone, or as one notice where there are many. A tenant has maxEach
// places a minute for notices, over all replicas: the key of a notice is its place, and a place that is taken is a duplicate.
func (n *Notifier) tellChanges(ctx context.Context) error {
	minute := n.Clock.Now().Unix() / 60
	var failed error
	for tenant, c := range n.changes.take() {
		if failed != nil {
			n.changes.add(tenant, c.lines, c.count)
			continue
		}
		var notices []event.Notice
		if c.count > len(c.lines) {
			notices = []event.Notice{manyChanges(c)}
		} else {
			for i := range c.lines {
				notices = append(notices, oneChange(&c.lines[i]))
			}
		}
		place, done := 0, 0
		for done < len(notices) && place < maxEach {
			told, err := n.tell(ctx, tenant, event.TypeSettingsChanged, fmt.Sprintf("%d/%d", minute, place), notices[done])
			if failed = err; err != nil {
				break
			}
			if place++; told {
				done++
			}
		}
		switch {
		case done == len(notices):
		case c.count > len(c.lines):
			n.changes.add(tenant, c.lines, c.count)
		default:
			n.changes.add(tenant, c.lines[done:], len(c.lines)-done)
		}
	}
	return failed
}

func oneChange(l *audit.Line) event.Notice {
	data := event.Notice{Setting: l.Of, Act: l.Did, By: l.Name, Count: number(1), Since: moment(l.At)}
	verb := l.Did[strings.LastIndexByte(l.Did, '.')+1:]
	data.Summary = fmt.Sprintf("%s: %s %s", l.Name, verb, l.Of)
	if len(l.Changed) > 0 {
		data.Reason = "changed: " + few(l.Changed)
		data.Summary += " (" + clip(few(l.Changed)) + ")"
	}
	return data
}

func manyChanges(c *changed) event.Notice {
	var names, by []string
	for i := range c.lines {
		names = append(names, c.lines[i].Of)
		by = append(by, c.lines[i].Name)
	}
	slices.Sort(by)
	by = slices.Compact(by)
	data := event.Notice{Count: number(c.count), Since: moment(c.lines[0].At)}
	if len(by) == 1 {
		data.By = by[0]
	}
	slices.Sort(names)
	names = slices.Compact(names)
	data.Summary = fmt.Sprintf("%s: %d changes of settings, of %s and others", few(by), c.count, strings.Join(names[:min(len(names), maxNamed)], ", "))
	return data
}
