package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// attempts makes a count of n delivered attempts and one that was retried.
func attempts(tenant, name string, at time.Time, n int64) state.Count {
	c := state.Count{Tenant: tenant, Kind: state.DestinationStats, Name: name, At: at}
	c.Counts[state.AttemptsDelivered], c.Counts[state.AttemptsRetry], c.Counts[state.AttemptsTimeout] = n, 1, 1
	c.Counts[state.EndedDelivered], c.Counts[state.EndedDead] = n, 1
	c.Took = state.Latencies{{Bucket: state.Bucket(100 * time.Millisecond), N: n}}
	c.Age = state.Latencies{{Bucket: state.Bucket(time.Second), N: n}}
	return c
}

func (r *rig) count(t testing.TB, counts ...state.Count) {
	t.Helper()
	if left, err := r.store.AddCounts(t.Context(), counts); err != nil || len(left) > 0 {
		t.Fatalf("%d left: %v", len(left), err)
	}
}

func (r *rig) stats(t testing.TB, query, token string, into any) {
	t.Helper()
	got := r.ask(t, ask{path: "/v1/stats?" + query, token: token})
	if got.status != http.StatusOK {
		t.Fatalf("%s: %d %s", query, got.status, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), into); err != nil {
		t.Fatal(err)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.count(t, attempts("default", "alarms", noon.Add(-90*time.Minute), 30), attempts("default", "alarms", noon.Add(-time.Minute), 9),
		attempts("acme", "crm", noon.Add(-time.Minute), 500), attempts("default", "", noon.Add(-time.Minute), 77))
	var got view.Stats[view.DestinationStat]
	r.stats(t, "of=destination:alarms&step=hour&since=24h", readToken, &got)
	ms := func(n int64) *int64 { return &n }
	rate := func(f float64) *float64 { return &f }
	spread := func(n, v int64) view.Spread { return view.Spread{N: n, P50: ms(v), P95: ms(v), P99: ms(v)} }
	// 100 ms is in the bucket from 90.5 to 107.6 ms, 1 s in that from 861 to 1,024.
	want := view.Stats[view.DestinationStat]{
		Step: "hour", Since: view.Time{Time: noon.Add(-24 * time.Hour)}, Until: view.Time{Time: noon},
		Data: []view.DestinationStat{
			{
				At: view.Time{Time: noon.Add(-2 * time.Hour)}, Attempts: 31, Delivered: 30, Retry: 1, Timeouts: 1, SuccessRate: rate(0.9677), ErrorRate: rate(0.0323),
				TookMS: spread(30, 99), Ended: view.Ended{Delivered: 30, Dead: 1}, DeliverySuccess: rate(0.9677), AgeMS: spread(30, 939),
			},
			{
				At: view.Time{Time: noon.Add(-time.Hour)}, Attempts: 10, Delivered: 9, Retry: 1, Timeouts: 1, SuccessRate: rate(0.9), ErrorRate: rate(0.1),
				TookMS: view.Spread{N: 9, Few: true}, Ended: view.Ended{Delivered: 9, Dead: 1}, DeliverySuccess: rate(0.9), AgeMS: view.Spread{N: 9, Few: true},
			},
		},
		Total: view.DestinationStat{
			Attempts: 41, Delivered: 39, Retry: 2, Timeouts: 2, SuccessRate: rate(0.9512), ErrorRate: rate(0.0488),
			TookMS: spread(39, 99), Ended: view.Ended{Delivered: 39, Dead: 2}, DeliverySuccess: rate(0.9512), AgeMS: spread(39, 939),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var total view.Stats[view.DestinationStat]
	r.stats(t, "of=destination:&step=minute", readToken, &total)
	if len(total.Data) != 1 || total.Total.Delivered != 77 {
		t.Errorf("all of the tenant's: %+v", total)
	}
	var foreign view.Stats[view.DestinationStat]
	r.stats(t, "of=destination:crm", acmeToken, &foreign)
	if foreign.Total.Delivered != 500 {
		t.Errorf("acme's: %+v", foreign)
	}
	if got := r.ask(t, ask{path: "/v1/stats?of=destination:crm", token: readToken}); got.status != http.StatusNotFound {
		t.Errorf("another tenant's destination: %d %s", got.status, got.body)
	}
}

// Sources, rules and surveys have figures of their own.
func TestStatsOfOtherKinds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := noon.Add(-time.Minute)
	of := func(kind state.StatKind, name string, counts map[int]int64) state.Count {
		c := state.Count{Tenant: "default", Kind: kind, Name: name, At: at}
		for i, n := range counts {
			c.Counts[i] = n
		}
		return c
	}
	r.count(t,
		of(state.SourceStats, "pollqr", map[int]int64{state.EventsAccepted: 5, state.RequestsUnavailable: 2, state.RequestsRefused + int(state.RefusedTooDeep): 3}),
		of(state.RuleStats, "detractor", map[int]int64{state.RuleMatched: 1, state.RuleNo: 2, state.RuleUnknown: 3, state.RuleErred: 4}),
		of(state.SurveyStats, "pollqr/s1/x", map[int]int64{
			state.Responses: 9, state.NPSPromoters: 3, state.NPSPassives: 1, state.NPSDetractors: 2, state.CSATSum: 1250, state.CSATCount: 3,
		}))
	for query, want := range map[string]string{
		"of=source:pollqr":      `"total":{"accepted":5,"duplicate":0,"invalid":0,"unavailable":2,"refused":{"too deep":3}}`,
		"of=rule:detractor":     `"total":{"asked":10,"matched":1,"no":2,"unknown":3,"erred":4}`,
		"of=survey:pollqr/s1/x": `"total":{"responses":9,"nps":{"score":16.7,"promoters":3,"passives":1,"detractors":2},"csat":{"mean":4.17,"n":3}}`,
		"of=survey:pollqr/s2":   `"total":{"responses":0,"nps":{"score":null,"promoters":0,"passives":0,"detractors":0},"csat":{"mean":null,"n":0}}`,
		"of=survey:&by=name":    `"data":[{"name":"pollqr/s1/x","data":[{"at":"2026-01-02T11:00:00.000Z","responses":9,`,
		"of=source:&by=name":    `"data":[{"name":"pollqr","data":[`,
		"of=rule:&by=name":      `"data":[{"name":"detractor","data":[`,
	} {
		if got := r.ask(t, ask{path: "/v1/stats?" + query, token: readToken}); got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s, want %s", query, got.status, got.body, want)
		}
	}
}

// A request that asks for too much is told what to ask for; so is one in the form of earlier versions.
func TestStatsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for query, want := range map[string]string{
		"":                                                "destination:NAME",
		"destination=alarms":                              "ask for `of=destination:NAME`",
		"of=alarms":                                       "destination:NAME",
		"of=tenant:acme":                                  "survey:SOURCE/SURVEY",
		"of=destination:&step=week":                       "`minute`, `hour` or `day`",
		"of=destination:&by=rule":                         "`none` or `name`",
		"of=destination:alarms&by=name":                   "of=destination:`, without a name",
		"of=destination:&cursor=x":                        "by=name",
		"of=destination:&step=minute&since=7d":            "10080 points, and one answer has at most 1500: ask for `step=hour`",
		"of=destination:&step=minute&since=70d":           "ask for `step=day`",
		"of=destination:&step=hour&since=90d":             "ask for `step=day`",
		"of=destination:&step=day&since=36500d":           "ask for a shorter span, within the last 400 days",
		"of=destination:&step=minute&since=50h&until=49h": "each minute is kept for 24 hours: ask for `step=hour`",
		"of=destination:&step=hour&since=2025-11-01T00:00:00Z&until=2025-11-03T00:00:00Z": "each hour is kept for 30 days: ask for `step=day`",
		"of=destination:&since=1h&until=2h":                                               "`since` is later than `until`",
		"of=destination:&step=minute&since=7d&by=name":                                    "ask for `step=hour`",
	} {
		got := r.ask(t, ask{path: "/v1/stats?" + query, token: readToken})
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s, want %s", query, got.status, got.body, want)
		}
	}
}

// Names come in pages whose points are bounded together.
func TestStatsByName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var all []string
	for i := range 150 {
		name := fmt.Sprintf("d%03d", i)
		all = append(all, name)
		r.count(t, attempts("default", name, noon.Add(-time.Minute), int64(i)), attempts("default", "", noon.Add(-time.Minute), int64(i)),
			attempts("acme", "a"+name, noon.Add(-time.Minute), 1))
	}
	for query, size := range map[string]int{"step=hour&since=24h": 50, "step=hour&since=24h&limit=200": 62, "step=minute&since=24h": 1, "step=day&since=30d&limit=7": 7} {
		var names []string
		pages := 0
		for cursor := ""; ; pages++ {
			var page view.StatsByName[view.DestinationStat]
			r.stats(t, "of=destination:&by=name&"+query+cursor, readToken, &page)
			if page.Total.Delivered != 149*150/2 {
				t.Fatalf("%s: the total is %d", query, page.Total.Delivered)
			}
			if len(page.Data) > size {
				t.Fatalf("%s: a page of %d names", query, len(page.Data))
			}
			for _, each := range page.Data {
				if len(each.Data) != 1 || each.Total.Attempts != each.Data[0].Attempts {
					t.Fatalf("%s: %+v", query, each)
				}
				names = append(names, each.Name)
			}
			if page.Next == nil {
				break
			}
			cursor = "&cursor=" + *page.Next
		}
		if diff := cmp.Diff(all, names); diff != "" || pages < len(all)/size {
			t.Errorf("%s, %d pages: %s", query, pages, diff)
		}
	}
}

// What a request for statistics costs does not depend on how much was counted. It runs alone, as it measures memory.
func TestStatsAreBounded(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	r := (&rig{measured: true}).open(t)
	const destinations, minutes = 200, 120
	for m := range minutes {
		var list []state.Count
		for d := range destinations {
			c := attempts("default", fmt.Sprintf("wh_%016d", d), noon.Add(-time.Duration(m+1)*time.Minute), 3)
			for b := range uint8(6) {
				c.Took = c.Took.Merge(state.Latencies{{Bucket: 10 + b, N: 1}})
			}
			list = append(list, c)
		}
		r.count(t, list...)
	}
	for query, most := range map[string]struct{ answer, memory int }{
		"since=24h":                            {1 << 10, 1 << 20}, // as earlier versions were asked
		"of=destination:&step=minute&since=7d": {1 << 10, 1 << 20},
		"of=destination:wh_0000000000000007&step=minute&since=24h": {700 << 10, 8 << 20},
		"of=destination:&by=name&step=minute&since=2h&limit=200":   {700 << 10, 8 << 20},
		"of=destination:&by=name&step=hour&since=24h&limit=200":    {700 << 10, 8 << 20},
		"of=destination:&by=name&step=day&since=7d&limit=200":      {700 << 10, 8 << 20},
	} {
		var before, after runtime.MemStats
		var got bytes.Buffer
		got.Grow(1 << 20)
		runtime.ReadMemStats(&before)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway/v1/stats?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+readToken)
		res, err := r.tcp.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(&got, res.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		runtime.ReadMemStats(&after)
		described().holds(t, req, nil, res, got.Bytes())
		if memory := int(after.TotalAlloc - before.TotalAlloc); int(n) > most.answer || memory > most.memory {
			t.Errorf("%s: %d KiB and %d KiB of memory", query, n>>10, memory>>10)
		} else {
			t.Logf("%s: %d KiB and %d KiB of memory", query, n>>10, memory>>10)
		}
	}
}
