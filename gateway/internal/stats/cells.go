package stats

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
)

// Bounds of the counts in memory. They are written every ten seconds, so they are reached only while the store is unavailable, or by
// a tenant with very many names. What does not fit is counted as lost.
const (
	// maxCells bounds the counts of all tenants together.
	maxCells = 50_000
	// maxTenantCells bounds those of one tenant, so that one does not take the place of all others, also during an outage.
	maxTenantCells = maxCells / 5
)

// shards is how many parts the counts have, each with a lock of its own. All counts of a tenant are in one.
const shards = 16

// cells counts in memory per tenant, kind, name and minute. It is safe for concurrent use. The zero value is not ready: see init.
type cells struct {
	seed  maphash.Seed
	parts [shards]part
	lost  atomic.Int64
	n     atomic.Int64 // cells and asked of all parts, and those of left

	leftMu sync.Mutex // guards left
	left   map[countKey]*state.Count
}

// part is the counts of some tenants.
type part struct {
	mu      sync.Mutex // guards everything
	cells   map[cellKey]*cell
	asked   map[askedKey]int64
	tenants map[string]int  // cells and asked of each tenant, and those of left
	names   map[cellKey]int // names of each tenant, kind and minute; the key has no name
}

// cellKey identifies a count. minute is the start of the minute in Unix seconds. survey is empty but for surveys, whose source is the
// name: the two are joined only when the counts are written.
type cellKey struct {
	kind                 state.StatKind
	tenant, name, survey string
	minute               int64
}

// statName returns the name in the store.
func (k *cellKey) statName() string {
	if k.survey == "" {
		return k.name
	}
	return SurveyName(k.name, k.survey)
}

// SurveyName returns the name of a survey in statistics.
func SurveyName(source, survey string) string { return source + "/" + survey }

// askedKey identifies the events of one type that a set of rules was asked about. Which rules those are is worked out when the counts
// are written, so that an event costs the same however many rules there are.
type askedKey struct {
	set               *rules.Set
	tenant, eventType string
	minute            int64
}

// cell is what was counted of one thing within a minute.
type cell struct {
	counts    [state.MaxCounters]int64
	took, age *buckets
}

// buckets counts durations, as state.Latencies.
type buckets [state.LatencyBuckets]uint32

func (c *cells) init() {
	c.seed = maphash.MakeSeed()
	for i := range c.parts {
		c.parts[i].reset()
	}
}

func (p *part) reset() {
	p.cells, p.asked = map[cellKey]*cell{}, map[askedKey]int64{}
	p.tenants, p.names = map[string]int{}, map[cellKey]int{}
}

func minuteOf(at time.Time) int64 {
	second := at.Unix()
	return second - second%60
}

// part returns the part of a tenant.
func (c *cells) part(tenant string) *part { return &c.parts[maphash.String(c.seed, tenant)%shards] }

// cell returns a cell of a part, whose lock is held; nil where no more fit. Names beyond those that the store keeps are counted as
// state.OtherName, as the store would.
func (c *cells) cell(p *part, key cellKey) *cell {
	if found := p.find(&key); found != nil {
		return found
	}
	if c.full(p, key.tenant) {
		c.lost.Add(1)
		return nil
	}
	c.n.Add(1)
	return p.make(key)
}

// full reports whether nothing new of a tenant fits. The part's lock is held.
func (c *cells) full(p *part, tenant string) bool {
	return p.tenants[tenant] >= maxTenantCells || c.n.Load() >= maxCells
}

// find returns the cell of a key; nil if there is none. It changes the key to that of state.OtherName where names are too many.
func (p *part) find(key *cellKey) *cell {
	if found := p.cells[*key]; found != nil {
		return found
	}
	if key.name == state.OtherName && key.survey == "" || p.names[key.all()] < state.MaxStatNames {
		return nil
	}
	key.name, key.survey = state.OtherName, ""
	return p.cells[*key]
}

// make adds a cell. Its key gets strings of its own, because those of an event would keep the whole event in memory.
func (p *part) make(key cellKey) *cell {
	key.tenant, key.name, key.survey = strings.Clone(key.tenant), strings.Clone(key.name), strings.Clone(key.survey)
	made := &cell{}
	p.cells[key] = made
	p.names[key.all()]++
	p.tenants[key.tenant]++
	return made
}

// all returns the key that names of a tenant, kind and minute are counted under.
func (k cellKey) all() cellKey {
	k.name, k.survey = "", ""
	return k
}

// add adds n to one counter.
func (c *cells) add(kind state.StatKind, tenant, name string, counter, n int, at time.Time) {
	p := c.part(tenant)
	p.mu.Lock()
	defer p.mu.Unlock()
	if cell := c.cell(p, cellKey{kind: kind, tenant: tenant, name: name, minute: minuteOf(at)}); cell != nil {
		cell.counts[counter] += int64(n)
	}
}

// ask counts an event that a set of rules was asked about. The part's lock is held.
func (c *cells) ask(p *part, key askedKey) {
	if _, found := p.asked[key]; !found {
		if c.full(p, key.tenant) {
			c.lost.Add(1)
			return
		}
		c.n.Add(1)
		key.tenant, key.eventType = strings.Clone(key.tenant), strings.Clone(key.eventType)
		p.tenants[key.tenant]++
	}
	p.asked[key]++
}

func (b *buckets) add(d time.Duration) *buckets {
	if b == nil {
		b = &buckets{}
	}
	b[state.Bucket(d)]++
	return b
}

func (b *buckets) latencies() (l state.Latencies) {
	if b == nil {
		return nil
	}
	for i, n := range b {
		if n > 0 {
			l = append(l, state.LatencyCount{Bucket: uint8(i), N: int64(n)})
		}
	}
	return l
}

// take removes and returns all counts, with the totals of each tenant, sorted. What restore was given is among them.
func (c *cells) take() []state.Count {
	c.leftMu.Lock()
	all := c.left
	c.left = nil
	c.leftMu.Unlock()
	c.n.Add(-int64(len(all)))
	if all == nil {
		all = map[countKey]*state.Count{}
	}
	for i := range c.parts {
		c.parts[i].mu.Lock()
		taken := part{cells: c.parts[i].cells, asked: c.parts[i].asked, tenants: c.parts[i].tenants, names: c.parts[i].names}
		if len(taken.tenants) > 0 {
			c.parts[i].reset()
		}
		c.parts[i].mu.Unlock()
		c.n.Add(-int64(len(taken.cells) + len(taken.asked)))
		c.answer(&taken)
		for key, cell := range taken.cells {
			count := &state.Count{
				Tenant: key.tenant, Kind: key.kind, Name: key.statName(), At: time.Unix(key.minute, 0).UTC(),
				Counts: cell.counts, Took: cell.took.latencies(), Age: cell.age.latencies(),
			}
			total := *count
			total.Name = ""
			merge(all, count)
			merge(all, &total)
		}
	}
	list := make([]state.Count, 0, len(all))
	for _, count := range all {
		list = append(list, *count)
	}
	slices.SortFunc(list, func(a, b state.Count) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), a.At.Compare(b.At))
	})
	return list
}

// answer adds to the cells of a part, which was taken, what its rules said when they neither matched nor failed nor are unknown: no.
func (c *cells) answer(p *part) {
	for asked, n := range p.asked {
		asked.set.Asked(asked.tenant, asked.eventType, func(r *rules.Rule) {
			key := cellKey{kind: state.RuleStats, tenant: asked.tenant, name: r.Name, minute: asked.minute}
			cell := p.find(&key)
			if cell == nil {
				if len(p.cells) >= maxCells {
					c.lost.Add(n)
					return
				}
				cell = p.make(key)
			}
			cell.counts[state.RuleNo] += n
		})
	}
	for key, cell := range p.cells {
		if key.kind == state.RuleStats {
			n := &cell.counts
			n[state.RuleNo] = max(n[state.RuleNo]-n[state.RuleMatched]-n[state.RuleUnknown]-n[state.RuleErred], 0)
		}
	}
}

// countKey identifies a count that is to be written.
type countKey struct {
	kind         state.StatKind
	tenant, name string
	minute       int64
}

func keyOf(c *state.Count) countKey { return countKey{c.Kind, c.Tenant, c.Name, c.At.Unix()} }

// merge adds a count to those of its key.
func merge(all map[countKey]*state.Count, count *state.Count) {
	key := keyOf(count)
	if found := all[key]; found != nil {
		found.Add(count)
		return
	}
	all[key] = count
}

// restore takes back counts that could not be written, so that they are written with the next ones.
func (c *cells) restore(left []state.Count) {
	c.leftMu.Lock()
	defer c.leftMu.Unlock()
	if c.left == nil {
		c.left = make(map[countKey]*state.Count, len(left))
	}
	for i := range left {
		count := left[i]
		if c.left[keyOf(&count)] == nil && !c.reserve(&count) {
			c.lost.Add(lostOf(&count))
			continue
		}
		merge(c.left, &count)
	}
}

// reserve takes the place of a count in left; false: it does not fit. Totals have the bound of all tenants alone: names
// that are kept have one total a minute and kind beside them.
func (c *cells) reserve(count *state.Count) bool {
	p := c.part(count.Tenant)
	p.mu.Lock()
	defer p.mu.Unlock()
	if count.Name == "" {
		if c.n.Load() >= maxCells {
			return false
		}
	} else {
		if c.full(p, count.Tenant) {
			return false
		}
		p.tenants[count.Tenant]++
	}
	c.n.Add(1)
	return true
}

// lostOf returns how much a count holds, for the sum of what was lost. A total holds nothing of its own.
func lostOf(c *state.Count) (n int64) {
	if c.Name == "" {
		return 0
	}
	for _, each := range c.Counts {
		n += each
	}
	return n
}
