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

// changed is what changed of one tenant: of more than maxEach acts only the number of changes and the first names are known.
type changed struct {
	acts  []act
	count int // of changes
}

// act is what was changed together, by one request. Of many changes only the first are known.
type act struct {
	lines []audit.Line // without settings
	count int
}

func (c *changes) add(tenant string, acts []act, count int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[tenant]
	if p == nil {
		p = &changed{}
		c.pending[tenant] = p
	}
	p.count += count
	p.acts = append(p.acts, acts[:min(len(acts), maxEach-len(p.acts))]...)
}

// known is how many changes the acts have.
func (c *changed) known() (count int) {
	for i := range c.acts {
		count += c.acts[i].count
	}
	return count
}

// all makes one act of all.
func (c *changed) all() *act {
	all := &act{count: c.count}
	for i := range c.acts {
		all.lines = append(all.lines, c.acts[i].lines...)
	}
	return all
}

func (c *changes) take() map[string]*changed {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.pending
	c.pending = map[string]*changed{}
	return taken
}

// Changed notices lines of the audit that are about one act. It does not wait. Acts that change no settings, such as a replay, are not
// told.
func (n *Notifier) Changed(_ context.Context, tenant string, lines []audit.Line) {
	var a act
	for i := range lines {
		if !lines[i].ChangesSettings() {
			continue
		}
		if a.count == 0 && !n.Plan().Hears(tenant, event.TypeSettingsChanged) {
			return
		}
		a.count++
		if len(a.lines) < maxEach {
			line := lines[i]
			line.Before, line.After = nil, nil
			a.lines = append(a.lines, line)
		}
	}
	if a.count > 0 {
		n.changes.add(tenant, []act{a}, a.count)
	}
}

// tellChanges tells of the changes since the last round: one notice for each act, or one for all where there are many. A tenant has
// maxEach places a minute for notices, over all replicas: the key of a notice is its place, and a place that is taken is a duplicate.
func (n *Notifier) tellChanges(ctx context.Context) error {
	minute := n.Clock.Now().Unix() / 60
	var failed error
	for tenant, c := range n.changes.take() {
		if failed != nil {
			n.changes.add(tenant, c.acts, c.count)
			continue
		}
		var notices []event.Notice
		many := c.count > c.known()
		if many {
			notices = []event.Notice{c.all().notice()}
		} else {
			for i := range c.acts {
				notices = append(notices, c.acts[i].notice())
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
		case many:
			n.changes.add(tenant, c.acts, c.count)
		default:
			left := &changed{acts: c.acts[done:]}
			n.changes.add(tenant, left.acts, left.known())
		}
	}
	return failed
}

func (a *act) notice() event.Notice {
	if a.count == 1 {
		return oneChange(&a.lines[0])
	}
	return manyChanges(a)
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

func manyChanges(c *act) event.Notice {
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
	data.Summary = fmt.Sprintf("%s: %d changes of settings, of %s", few(by), c.count, strings.Join(names[:min(len(names), maxNamed)], ", "))
	if c.count > min(len(names), maxNamed) {
		data.Summary += " and others"
	}
	return data
}
