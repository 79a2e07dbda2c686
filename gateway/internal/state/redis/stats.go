package redis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Statistics. A cell is a packed count (state.AppendCount) in a hash that has the cells of one name, step and period. The hashes are
// small and cells are kept in short parts (splitCell), so that Redis packs them. They expire as a whole.
//
// Only Go reads cells: it reads those of a batch, adds to them, and setcounts.lua replaces them if all are still as they were read.
// Otherwise nothing was written, and the batch is read again. So scripts stay short, and an unknown form of a cell is never changed.
//
// The statistics of a tenant are in one shard. They spread over the shards by tenant, as events do by response, and not in `meta`,
// which one node of a Cluster has alone.

const (
	// countsAtOnce is how many counts one script adds: it blocks Redis for about a millisecond.
	countsAtOnce = 100
	// countTries is how often a batch is added while other replicas change its cells.
	countTries = 20
	// writerKept is how long the number of a writer's last batch is kept: longer than an answer can be missing.
	writerKept = 24 * time.Hour
)

// countWriter adds counts to one shard, in batches. A batch has a number, and Redis keeps the number of each writer's last one: if an
// answer is lost, the batch is sent again, and nothing is added twice.
type countWriter struct {
	mu     sync.Mutex
	number uint64
	// unanswered is the last batch if its answer was lost; it comes before all others.
	unanswered []state.Count
}

// setCountsArgs are the arguments of setcounts.lua.
type setCountsArgs struct {
	Writer         string
	Number         uint64
	Oldest, Most   int64
	NameTTL, Keeps int64 // seconds
	Names          []statNameArgs
	Cells          []statCellArgs
}

// statNameArgs is a name that is new in its index, or was last counted on an earlier day.
type statNameArgs struct {
	Index, Name string
	Day         int64
}

// statCellArgs replaces a part of a cell; an empty Old does not exist.
type statCellArgs struct {
	Tenant, Thing, Period, Field string
	Old, New                     string
	TTL                          int64 // seconds
}

// statPlace is where a cell is.
type statPlace struct {
	step          state.StatStep
	period        int64
	unit          int
	tenant, thing string
}

// statTTL returns in how many seconds the cells of a period expire: when all of them are older than they are kept. The end of a period
// that is far ahead, because a clock is wrong, does not count.
func statTTL(step state.StatStep, period int64, now time.Time) int64 {
	ends := step.Time(period+1, 0)
	return int64((min(ends.Sub(now), ends.Sub(step.Time(period, 0))) + step.Kept()) / time.Second)
}

func (s *store) statShard(tenant string) *shard {
	return s.shards[shardOf(tenant, "statistics", len(s.shards))]
}

// statThing is the part of a key that says what was counted.
func statThing(kind state.StatKind, name string) string {
	return string(kind.Letter()) + ":" + escape(name)
}

// statPeriod is the part of a key that says when.
func statPeriod(step state.StatStep, period int64) string {
	return string(step.Letter()) + ":" + strconv.FormatInt(period, 10)
}

// statKey returns the key of a hash of cells, from escaped parts.
func statKey(tenant, thing, period string) string { return "st:" + tenant + ":" + thing + ":" + period }

// statNames returns the key of the index of a kind's names.
func statNames(tenant string, kind state.StatKind) string {
	return "stnames:" + escape(tenant) + ":" + string(kind.Letter())
}

// statBytes returns the key of the bytes of cells that tenants have in a period; the field without a name is the sum.
func statBytes(period string) string { return "stbytes:" + period }

// AddCounts adds counts to their minutes, hours and days. A shard that fails keeps back only the counts of its tenants.
func (s *store) AddCounts(ctx context.Context, counts []state.Count) (left []state.Count, err error) {
	if err := state.CheckCounts(counts); err != nil {
		return counts, err
	}
	by := map[*shard][]state.Count{}
	for _, c := range counts {
		sh := s.statShard(c.Tenant)
		by[sh] = append(by[sh], c)
	}
	for _, sh := range s.shards {
		some, addErr := s.addCounts(ctx, sh, by[sh])
		if addErr != nil {
			left, err = append(left, some...), fmt.Errorf("add statistics: %w", addErr)
		}
	}
	return left, err
}

func (s *store) addCounts(ctx context.Context, sh *shard, counts []state.Count) (left []state.Count, err error) {
	sh.counts.mu.Lock()
	defer sh.counts.mu.Unlock()
	return s.addCountsLocked(ctx, sh, counts)
}

// addCountsLocked adds counts of a shard, after a batch whose answer was lost. The caller has locked the writer.
func (s *store) addCountsLocked(ctx context.Context, sh *shard, counts []state.Count) (left []state.Count, err error) {
	w := &sh.counts
	if len(w.unanswered) > 0 {
		if _, err := s.addBatch(ctx, sh, w.unanswered); err != nil {
			return counts, err
		}
		w.unanswered = nil
	}
	for len(counts) > 0 {
		batch := counts[:min(len(counts), countsAtOnce)]
		w.number++
		sent, err := s.addBatch(ctx, sh, batch)
		if sent {
			w.unanswered, batch = slices.Clone(batch), nil
			counts = counts[len(w.unanswered):]
		}
		if err != nil {
			return counts, err
		}
		counts = counts[len(batch):]
	}
	return nil, nil
}

// resumeCounts sends the batch again whose answer was lost.
func (s *store) resumeCounts(ctx context.Context, sh *shard) error {
	sh.counts.mu.Lock()
	lost := len(sh.counts.unanswered) > 0
	sh.counts.mu.Unlock()
	if !lost {
		return nil
	}
	_, err := s.addCounts(ctx, sh, nil)
	return err
}

// addBatch adds the writer's last batch. sent: the error leaves unknown whether it was added.
func (s *store) addBatch(ctx context.Context, sh *shard, counts []state.Count) (sent bool, err error) {
	for range countTries {
		if err := s.check(ctx); err != nil {
			return false, err
		}
		args, err := s.prepareCounts(ctx, sh, counts)
		if err != nil {
			return false, err
		}
		done, err := setCountsScript.run(ctx, s, sh.base, args)
		if err != nil {
			return true, err
		}
		if asInt(done) == 1 {
			return false, nil
		}
	}
	return false, fmt.Errorf("%w: other replicas changed the same statistics %d times", state.ErrUnavailable, countTries)
}

// prepareCounts reads the cells of counts, and returns them as they are and with the counts added. A cell that cannot be read is left
// out.
func (s *store) prepareCounts(ctx context.Context, sh *shard, counts []state.Count) (args setCountsArgs, err error) {
	now := s.clock.Now()
	args = setCountsArgs{
		Writer: s.holder, Number: sh.counts.number, Oldest: state.StatDay(now.Add(-state.ByDay.Kept())), Most: state.MaxStatNames,
		NameTTL: int64(state.ByDay.Kept()/time.Second) + 86400, Keeps: int64(writerKept / time.Second),
	}
	names, err := s.admitNames(ctx, sh, counts, &args)
	if err != nil {
		return args, err
	}
	places := make(map[statPlace]int, 3*len(counts))
	cells := make([]statCell, 0, 3*len(counts))
	for i := range counts {
		c := &counts[i]
		tenant, thing := escape(c.Tenant), statThing(c.Kind, names[i])
		for _, step := range state.StatSteps {
			if now.Sub(step.Start(c.At)) >= step.Kept() {
				continue
			}
			p := statPlace{step: step, tenant: tenant, thing: thing}
			p.period, p.unit = step.Cell(c.At)
			at, ok := places[p]
			if !ok {
				at = len(cells)
				places[p], cells = at, append(cells, statCell{statPlace: p})
			}
			cells[at].sum.Add(c)
		}
	}
	if err := s.readCells(ctx, sh, cells); err != nil {
		return args, err
	}
	for i := range cells {
		c := &cells[i]
		if len(c.old) > 0 {
			var kept state.Count
			cell, ok := joinCell(c.old[0], func(i int) string { return c.old[i] })
			if !ok || state.ReadCount(cell, &kept) != nil {
				s.unreadCounts.Add(1)
				continue
			}
			c.sum.Add(&kept)
		}
		for k, part := range splitCell(state.AppendCount(nil, &c.sum)) {
			of := statCellArgs{
				Tenant: c.tenant, Thing: c.thing, Period: statPeriod(c.step, c.period), Field: partField(c.unit, k),
				New: part, TTL: statTTL(c.step, c.period, now),
			}
			if k < len(c.old) {
				of.Old = c.old[k]
			}
			args.Cells = append(args.Cells, of)
		}
	}
	return args, nil
}

// statCell is a cell that a batch adds to.
type statCell struct {
	statPlace
	sum state.Count
	old []string // parts, as they were read
}

// readCells reads the parts of cells: the first ones, and then those that there are beside them.
func (s *store) readCells(ctx context.Context, sh *shard, cells []statCell) error {
	if len(cells) == 0 {
		return nil
	}
	key := func(c *statCell) string { return sh.base + statKey(c.tenant, c.thing, statPeriod(c.step, c.period)) }
	pipe := s.client.Pipeline()
	asked := make([]*goredis.StringCmd, len(cells))
	for i := range cells {
		asked[i] = pipe.HGet(ctx, key(&cells[i]), partField(cells[i].unit, 0))
	}
	if err := s.exec(ctx, pipe); err != nil {
		return err
	}
	more := make(map[int]*goredis.SliceCmd)
	for i := range cells {
		c := &cells[i]
		if first := asked[i].Val(); first != "" {
			c.old = append(c.old, first)
		}
		if n := partsOf(asked[i].Val()); n > 1 && n <= maxParts {
			more[i] = pipe.HMGet(ctx, key(c), partFields(c.unit, n)...)
		}
	}
	if len(more) == 0 {
		return nil
	}
	if err := s.exec(ctx, pipe); err != nil {
		return err
	}
	for i, parts := range more {
		for _, part := range parts.Val() {
			text, _ := part.(string)
			cells[i].old = append(cells[i].old, text)
		}
	}
	return nil
}

// admitNames returns under which name each count is kept: its own, or OtherName if there are too many.
func (s *store) admitNames(ctx context.Context, sh *shard, counts []state.Count, args *setCountsArgs) ([]string, error) {
	type index struct {
		names  map[string]bool
		asked  []string
		scores *goredis.FloatSliceCmd
		live   *goredis.IntCmd
		days   map[string]int64 // last day that each was counted; 0: it is not in the index
		n      int64
	}
	all := map[string]*index{}
	indexes := make([]*index, len(counts))
	for i := range counts {
		c := &counts[i]
		if state.KeptName(c.Name) {
			key := statNames(c.Tenant, c.Kind)
			if all[key] == nil {
				all[key] = &index{names: map[string]bool{}, days: map[string]int64{}}
			}
			indexes[i] = all[key]
			all[key].names[c.Name] = true
		}
	}
	pipe := s.client.Pipeline()
	for key, in := range all {
		in.asked = slices.Sorted(maps.Keys(in.names))
		in.scores = pipe.ZMScore(ctx, sh.base+key, in.asked...)
		in.live = pipe.ZCount(ctx, sh.base+key, strconv.FormatInt(args.Oldest, 10), "+inf")
	}
	if pipe.Len() > 0 {
		if err := s.exec(ctx, pipe); err != nil {
			return nil, err
		}
	}
	for _, in := range all {
		in.n = in.live.Val()
		for i, score := range in.scores.Val() {
			if int64(score) >= args.Oldest {
				in.days[in.asked[i]] = int64(score)
			}
		}
	}
	names := make([]string, len(counts))
	for i := range counts {
		c, in := &counts[i], indexes[i]
		names[i] = c.Name
		if in == nil {
			if c.Name != "" {
				names[i] = state.OtherName
			}
			continue
		}
		last, known := in.days[c.Name]
		if !known && in.n >= args.Most {
			names[i] = state.OtherName
			continue
		}
		if !known {
			in.n++
		}
		if day := state.StatDay(c.At); day > last && day >= args.Oldest {
			in.days[c.Name] = day
			args.Names = append(args.Names, statNameArgs{statNames(c.Tenant, c.Kind), c.Name, day})
		}
	}
	return names, nil
}
