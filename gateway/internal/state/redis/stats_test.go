package redis

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/statetest"
)

// countOf makes a count of n delivered attempts of a destination.
func countOf(tenant, name string, at time.Time, n int64) state.Count {
	c := state.Count{Tenant: tenant, Kind: state.DestinationStats, Name: name, At: at}
	c.Counts[state.AttemptsDelivered] = n
	return c
}

// busyCount is a minute, hour or day of a destination that delivers a few events each second.
func busyCount(tenant, name string, at time.Time) state.Count {
	c := countOf(tenant, name, at, 240)
	c.Counts[state.AttemptsRetry], c.Counts[state.EndedDelivered] = 3, 238
	for i := range 8 {
		c.Took = append(c.Took, state.LatencyCount{Bucket: uint8(24 + i), N: int64(60 - 6*i)})
		c.Age = append(c.Age, state.LatencyCount{Bucket: uint8(26 + i), N: int64(60 - 6*i)})
	}
	return c
}

// deliveredOf returns what was counted of a name by day.
func deliveredOf(t testing.TB, s *store, tenant, name string) (n int64) {
	t.Helper()
	all, err := s.Counts(t.Context(), tenant, state.CountQuery{Kind: state.DestinationStats, Names: []string{name}, Step: state.ByDay})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		n += c.Counts[state.AttemptsDelivered]
	}
	return n
}

// An answer is lost: the batch is not the caller's any more, is added once, and what followed it is given back. Another replica
// counts the same meanwhile.
func TestCountsWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s, other := gate(t, srv.url()), gate(t, srv.url())
	loses := &losing{}
	s.client.AddHook(loses)
	if _, err := setCountsScript.lua.Load(t.Context(), s.client).Result(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var all []state.Count
	for i := range 2 * countsAtOnce {
		all = append(all, countOf(acme, fmt.Sprintf("d%03d", i), now, 1))
	}
	for round := range 4 {
		w := &s.shards[0].counts
		w.mu.Lock() // no sign of life settles it before the end of the call
		loses.script.Store(setCountsScript.lua)
		left, err := s.addCountsLocked(t.Context(), s.shards[0], all)
		loses.script.Store(nil)
		w.mu.Unlock()
		if !errors.Is(err, state.ErrUnavailable) || len(left) != countsAtOnce {
			t.Fatalf("%v, %d left", err, len(left))
		}
		if _, err := other.AddCounts(t.Context(), []state.Count{countOf(acme, "d000", now, 1)}); err != nil {
			t.Fatal(err)
		}
		if round%2 == 0 { // the next sign of life settles it
			until(t, "the lost answer is settled", func() bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				return len(w.unanswered) == 0
			})
		}
		if left, err = s.AddCounts(t.Context(), left); err != nil || len(left) > 0 {
			t.Fatalf("%v, %d left", err, len(left))
		}
		same(t, "with the other replica's", deliveredOf(t, s, acme, "d000"), int64(2*(round+1)))
		same(t, "first batch", deliveredOf(t, s, acme, "d001"), int64(round+1))
		same(t, "second batch", deliveredOf(t, s, acme, "d199"), int64(round+1))
	}
}

// Redis cuts every connection again and again while two replicas count: nothing is lost or counted twice.
func TestCountsWhileConnectionsAreCut(t *testing.T) {
	t.Parallel()
	srv := start(t)
	stores := []*store{gate(t, srv.url()), gate(t, srv.url())}
	calls, names := statetest.Few(20, 5), 150
	cut := make(chan struct{})
	cutter := sync.WaitGroup{}
	cutter.Go(func() {
		for {
			select {
			case <-cut:
				return
			default:
				srv.try("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			}
		}
	})
	var wg sync.WaitGroup
	failed := make([]int, len(stores))
	now := time.Now()
	for i, s := range stores {
		wg.Go(func() {
			for range calls {
				var all []state.Count
				for k := range names {
					all = append(all, countOf(acme, fmt.Sprint("d", k), now, 1), countOf(acme, "", now, 1))
				}
				for len(all) > 0 {
					left, err := s.AddCounts(t.Context(), all)
					if err != nil {
						failed[i]++
					}
					if t.Context().Err() != nil {
						return
					}
					all = left
				}
			}
		})
	}
	wg.Wait()
	close(cut)
	cutter.Wait()
	until(t, "lost answers are settled", func() bool {
		return !slices.ContainsFunc(stores, func(s *store) bool {
			left, err := s.AddCounts(t.Context(), nil)
			return err != nil || len(left) > 0
		})
	})
	for _, name := range []string{"d0", fmt.Sprint("d", names-1)} {
		same(t, name, deliveredOf(t, stores[0], acme, name), int64(2*calls))
	}
	same(t, "total", deliveredOf(t, stores[0], acme, ""), int64(2*calls*names))
	t.Logf("%v calls failed", failed)
}

// A node of a Cluster is missing: the statistics of the tenants of other shards are added, and the others given back.
func TestCountsWhereOneShardIsSick(t *testing.T) {
	t.Parallel()
	s, node, sick := sickable(t)
	var all []state.Count
	var lost int
	for i := range 20 {
		c := countOf(fmt.Sprint("tenant", i), "crm", time.Now(), 1)
		if sick[s.statShard(c.Tenant).n] {
			lost++
		}
		all = append(all, c)
	}
	if lost == 0 || lost == len(all) {
		t.Fatalf("%d of %d tenants are in sick shards", lost, len(all))
	}
	node.kill()
	left, err := s.AddCounts(t.Context(), all)
	if err == nil || len(left) != lost {
		t.Errorf("%d left, want %d; %v", len(left), lost, err)
	}
	for _, c := range all {
		if !sick[s.statShard(c.Tenant).n] {
			same(t, c.Tenant, deliveredOf(t, s, c.Tenant, "crm"), int64(1))
		}
	}
}

// A cell of a newer version, or damaged, is left out and left alone; all others are added to and read, and health tells.
func TestCountsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	now := time.Now().Truncate(time.Minute)
	all := []state.Count{countOf(acme, "crm", now, 1), countOf(acme, "crm", now.Add(-time.Minute), 1), countOf(acme, "mail", now, 1)}
	if _, err := s.AddCounts(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	period, unit := state.ByMinute.Cell(now)
	key := s.shards[0].base + statKey(acme, statThing(state.DestinationStats, "crm"), statPeriod(state.ByMinute, period))
	for _, bad := range []string{"\x02new", "\x01\xff", "\x01\x00\x00\x00\x00"} {
		srv.do("HSET", key, unit, bad)
		if _, err := s.AddCounts(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		same(t, "the cell", asText(srv.do("HGET", key, unit)), bad)
	}
	got, err := s.Counts(t.Context(), acme, state.CountQuery{Kind: state.DestinationStats, Step: state.ByMinute, Since: now.Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the others", got, []state.Count{countOf(acme, "crm", now.Add(-time.Minute).UTC(), 4), countOf(acme, "mail", now.UTC(), 4)})
	same(t, "by day", deliveredOf(t, s, acme, "crm"), int64(8))
	if h := s.Health(t.Context()); h.Err != nil || !slices.ContainsFunc(h.Warnings, func(w string) bool { return strings.Contains(w, "statistics: 4 times") }) {
		t.Errorf("%v, %q", h.Err, h.Warnings)
	}
}

// statKeys returns all keys of statistics, without those of former versions.
func statKeys(srv *server) (keys []string) {
	for _, k := range asList(srv.do("KEYS", "surveygate:*:st*")) {
		if !strings.Contains(asText(k), ":stats:") {
			keys = append(keys, asText(k))
		}
	}
	return keys
}

// alwaysActive adds counts to each minute, hour and day that is kept: what count returns for the times of that step.
func alwaysActive(t testing.TB, s *store, now time.Time, count func(step state.StatStep) state.Count) {
	t.Helper()
	var all []state.Count
	for i, step := range state.StatSteps {
		for at := now; now.Sub(at) < step.Kept(); at = at.Add(-step.Length()) {
			if i > 0 && now.Sub(at) < state.StatSteps[i-1].Kept() {
				continue // its minutes or hours are added to it
			}
			c := count(step)
			c.At = at
			all = append(all, c)
		}
	}
	addCounts(t, s, all)
}

// addCounts adds counts, in as many calls as necessary.
func addCounts(t testing.TB, s *store, all []state.Count) {
	t.Helper()
	for some := range slices.Chunk(all, 500) {
		if left, err := s.AddCounts(t.Context(), some); err != nil || len(left) > 0 {
			t.Fatalf("%v, %d left", err, len(left))
		}
	}
}

// eventsAMinute makes counts of a destination with as many events a minute: most take about 150 ms and are delivered after a second,
// both spread as such times are (log-normal).
func eventsAMinute(name string, n int) func(step state.StatStep) state.Count {
	r := rand.New(rand.NewPCG(1, 2))
	return func(step state.StatStep) state.Count {
		total := n * int(step.Length()/time.Minute)
		c := countOf(acme, name, time.Time{}, int64(total))
		c.Counts[state.AttemptsRetry], c.Counts[state.EndedDelivered] = int64(total/100), int64(total)
		const samples = 20_000 // more would fill no further buckets
		var took, age [state.LatencyBuckets]int64
		weight := max(total/samples, 1)
		for range min(total, samples) {
			took[state.Bucket(time.Duration(150*math.Exp(.5*r.NormFloat64())*float64(time.Millisecond)))] += int64(weight)
			age[state.Bucket(time.Duration(1000*math.Exp(.8*r.NormFloat64())*float64(time.Millisecond)))] += int64(weight)
		}
		for i := range took {
			if took[i] > 0 {
				c.Took = append(c.Took, state.LatencyCount{Bucket: uint8(i), N: took[i]})
			}
			if age[i] > 0 {
				c.Age = append(c.Age, state.LatencyCount{Bucket: uint8(i), N: age[i]})
			}
		}
		return c
	}
}

// statMemory returns what Redis takes for the cells, by the letter of their step, and how many hashes are not packed.
func statMemory(srv *server) (by map[string]int64, unpacked int) {
	by = map[string]int64{}
	for _, key := range statKeys(srv) {
		parts := strings.Split(key, ":")
		if parts[2] != "st" {
			continue
		}
		by[parts[len(parts)-2]] += asInt(srv.do("MEMORY", "USAGE", key, "SAMPLES", "0"))
		if asText(srv.do("OBJECT", "ENCODING", key)) != "listpack" {
			unpacked++
		}
	}
	return by, unpacked
}

// A destination that never rests takes at most 120 KB where each cell has 36 bytes, and 200 KB where it has ten events a minute, whose
// hours and days are longer. Redis packs all of it, and everything expires by itself. The bytes that are counted are about those that
// Redis takes.
func TestMemoryOfStatistics(t *testing.T) {
	t.Parallel()
	even := busyCount(acme, "wh_0000000000000000", time.Time{})
	for b := even.Took[len(even.Took)-1].Bucket + 1; len(state.AppendCount(nil, &even)) < 36; b++ {
		even.Took = append(even.Took, state.LatencyCount{Bucket: b, N: 1})
	}
	for _, x := range []struct {
		what  string
		count func(state.StatStep) state.Count
		most  int64
	}{
		{"36 bytes", func(state.StatStep) state.Count { return even }, 120_000},
		{"ten a minute", eventsAMinute("wh_0000000000000000", 10), 200_000},
	} {
		srv := start(t)
		s := gate(t, srv.url())
		alwaysActive(t, s, time.Now(), x.count)
		for _, key := range statKeys(srv) {
			if ttl := asInt(srv.do("TTL", key)); ttl <= 0 || ttl > 500*86400 {
				t.Errorf("%s: %s: TTL %d", x.what, key, ttl)
			}
		}
		by, unpacked := statMemory(srv)
		sum := by["m"] + by["h"] + by["d"]
		uses, err := s.statUses(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		counted := sumOf(uses[0])
		t.Logf("%s: %d bytes: %d minutes, %d hours, %d days; %d are counted", x.what, sum, by["m"], by["h"], by["d"], counted)
		if sum > x.most || unpacked > 0 {
			t.Errorf("%s: %d bytes, want at most %d; %d hashes are not packed", x.what, sum, x.most, unpacked)
		}
		if counted < sum*8/10 || counted > sum*12/10 {
			t.Errorf("%s: %d bytes are counted, %d are there", x.what, counted, sum)
		}
	}
}

// A query reads one hash for each name and period, in one pipeline, and never what it does not ask for.
func TestCommandsOfStatistics(t *testing.T) {
	t.Parallel()
	srv := start(t)
	hour := time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
	now := hour.Add(-time.Minute)
	at := func(o *Options) { o.Clock = clock.NewManual(now) }
	s := gate(t, srv.url(), at)
	names := make([]string, 50)
	var counts []state.Count
	for i := range names {
		names[i] = fmt.Sprint("d", i)
		counts = append(counts, countOf(acme, names[i], now, 1))
	}
	if _, err := s.AddCounts(t.Context(), counts); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		what   string
		q      state.CountQuery
		whole  int // HGETALL
		part   int // HMGET
		counts int
	}{
		{"one destination, 24 h by minute", state.CountQuery{Names: names[:1], Step: state.ByMinute, Since: hour.Add(-23 * time.Hour), Until: hour}, 23, 0, 1},
		{"one destination, 90 minutes", state.CountQuery{Names: names[:1], Step: state.ByMinute, Since: hour.Add(-90 * time.Minute), Until: hour}, 1, 1, 1},
		{"one destination, 29 days by hour", state.CountQuery{Names: names[:1], Step: state.ByHour, Since: hour.Add(-29 * 24 * time.Hour), Until: hour}, 29, 0, 1},
		{"50 destinations, 24 h by hour", state.CountQuery{Names: names, Step: state.ByHour, Since: hour.Add(-24 * time.Hour), Until: hour}, 50, 0, 50},
		{"all names, 24 h by hour", state.CountQuery{Step: state.ByHour, Since: hour.Add(-24 * time.Hour), Until: hour}, 51, 0, 50},
		{"all names since tomorrow", state.CountQuery{Step: state.ByDay, Since: hour, Until: hour.Add(24 * time.Hour)}, 0, 1, 0},
		{"an empty span", state.CountQuery{Names: names, Step: state.ByDay, Since: now, Until: now}, 0, 0, 0},
	} {
		x.q.Kind = state.DestinationStats
		asks := gate(t, srv.url(), at)
		sent := watch(asks)
		got, err := asks.Counts(asked(t.Context()), acme, x.q)
		if err != nil {
			t.Fatal(err)
		}
		if sent.by["hgetall"] != x.whole || sent.by["hmget"] != x.part || sent.pipelines > 1 {
			t.Errorf("%s: %v in %d pipelines, want %d HGETALL and %d HMGET in one", x.what, sent.by, sent.pipelines, x.whole, x.part)
		}
		if len(got) != x.counts {
			t.Errorf("%s: %d counts, want %d", x.what, len(got), x.counts)
		}
	}
}

// What former versions kept by minute is read no more, and leaves as before.
func TestFormerStatisticsLeave(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	now := time.Now()
	for i := range 3 {
		at := micros(now.Add(-time.Duration(i) * time.Hour).Truncate(time.Minute))
		srv.do("HINCRBY", s.meta+"stats:acme:"+at, "\x03crmvdelivered", 5)
		srv.do("ZADD", s.meta+"minutes:acme", at, at)
		srv.do("SADD", s.meta+"tenants", "acme")
	}
	same(t, "read", deliveredOf(t, s, acme, "crm"), int64(0))
	left := func(age time.Duration) int {
		t.Helper()
		if _, err := s.Trim(t.Context(), state.Retention{History: state.HistoryBound{Age: age}}); err != nil {
			t.Fatal(err)
		}
		return len(asList(srv.do("KEYS", s.meta+"stats:*")))
	}
	same(t, "all younger", left(24*time.Hour), 3)
	same(t, "one older", left(90*time.Minute), 2)
	same(t, "tenants", asInt(srv.do("EXISTS", s.meta+"tenants")), int64(1))
	same(t, "all older", left(time.Nanosecond), 0)
	same(t, "nothing is left", asInt(srv.do("EXISTS", s.meta+"tenants", s.meta+"minutes:acme")), int64(0))
}

// A name that is first counted while retention removes its tenant's statistics stays, and so do its bytes.
func TestCountedWhileStatisticsAreRemoved(t *testing.T) {
	t.Parallel()
	s := gate(t, start(t).url())
	now := time.Now()
	add := func(name string) {
		t.Helper()
		if left, err := s.AddCounts(t.Context(), []state.Count{countOf(acme, name, now, 1)}); err != nil || len(left) > 0 {
			t.Fatalf("%+v are left, %v", left, err)
		}
	}
	n, _ := state.ByMinute.Cell(now)
	period := statPeriod(state.ByMinute, n)
	bytes := func() int64 {
		return asInt(s.client.HGet(t.Context(), s.shards[0].base+statBytes(period), acme).Val())
	}
	add("a")
	before := bytes()
	trim := &trimming{s: s, ctx: t.Context()}
	things, err := trim.statThings(s.shards[0], acme)
	if err != nil {
		t.Fatal(err)
	}
	add("b")
	grown := bytes() - before
	if err := trim.dropCounts(s.shards[0], acme, period, before, things); err != nil {
		t.Fatal(err)
	}
	same(t, "bytes", bytes(), grown)
}
