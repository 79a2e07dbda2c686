package deliver

import (
	"net/http"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// limited is a product that may say itself when to come back.
type limited struct {
	product
	after time.Duration
}

func (p *limited) Judge(res *connectors.Response) connectors.Verdict {
	if res.Header.Get("Limit") == "" {
		return connectors.ByStatus(res)
	}
	return connectors.Verdict{Kind: connectors.Retry, After: p.after, Reason: "over its limit"}
}

// limitedOnce is one where a repeat may count twice.
type limitedOnce struct{ limited }

func (*limitedOnce) MaxRetries() int { return 2 }

// A product that answers and says when to come back has not failed: however often it says so, the delivery has its
// whole schedule before it.
func TestThrottlingCostsNothing(t *testing.T) {
	t.Parallel()
	says, again := limited{after: time.Millisecond}, []time.Duration{time.Millisecond, time.Millisecond}
	cases := map[string]struct {
		build    connectors.Connector
		status   int
		waits    []time.Duration
		want     state.DeliveryState
		attempts int
		forgiven int
	}{
		"throttled until then":         {&says, 429, again, state.Delivered, 7, 6},
		"over its quota with 200":      {&says, 200, again, state.Delivered, 7, 6},
		"throttled without a wait":     {&limited{}, 429, again, state.Dead, 3, 0},
		"down until then":              {&says, 503, again, state.Dead, 3, 0},
		"a repeat may count twice":     {&limitedOnce{says}, 429, append(again, again...), state.Dead, 3, 0},
		"tried once only, by its list": {&says, 429, nil, state.Dead, 1, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conf := destinations(destination("crm", c.waits...))
			conf.Rules = []*config.Rule{ruleTo("crm", c.build)}
			b := begin(t, conf, func(s seen) (int, http.Header) {
				if s.n <= 6 {
					return c.status, http.Header{"Limit": {"1"}}
				}
				return 200, nil
			})
			if d := b.untilState(b.accept(1)[0], "crm", c.want); d.Attempts != c.attempts || d.Forgiven != c.forgiven {
				t.Errorf("%d attempts, %d forgiven (%s); want %d and %d", d.Attempts, d.Forgiven, d.Reason, c.attempts, c.forgiven)
			}
		})
	}
}

// What comes after counts from where the schedule stands, and kept attempts say what each of them was.
func TestThrottlingKeepsThePlaceInTheSchedule(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("crm", time.Millisecond, time.Millisecond))
	conf.Rules = []*config.Rule{ruleTo("crm", &limited{after: time.Millisecond})}
	b := begin(t, conf, func(s seen) (int, http.Header) {
		if s.n%2 == 1 {
			return 429, http.Header{"Limit": {"1"}}
		}
		return 503, nil
	})
	d := b.untilState(b.accept(1)[0], "crm", state.Dead)
	if d.Attempts != 6 || d.Forgiven != 3 || len(d.Log) != 6 || d.Log[0].Status != 429 || d.Log[1].Status != 503 {
		t.Errorf("%d attempts, %d forgiven, %d kept (%s); want 6, 3 and 6", d.Attempts, d.Forgiven, len(d.Log), d.Reason)
	}
}

// A reload that shortens the list ends nothing that is only put off.
func TestThrottledBehindAShortenedSchedule(t *testing.T) {
	t.Parallel()
	with := func(waits ...time.Duration) *config.Config {
		conf := destinations(destination("crm", waits...))
		conf.Rules = []*config.Rule{ruleTo("crm", &limited{after: time.Millisecond})}
		return conf
	}
	var b *bench
	b = prepare(t, with(time.Millisecond, time.Millisecond, time.Millisecond), func(s seen) (int, http.Header) {
		switch s.n {
		case 1, 2:
			return 503, nil
		case 3:
			b.reload(with(time.Millisecond))
			return 503, nil
		case 4:
			return 429, http.Header{"Limit": {"1"}}
		}
		return 200, nil
	})
	b.open()
	if d := b.untilState(b.accept(1)[0], "crm", state.Delivered); d.Attempts != 5 || d.Forgiven != 1 {
		t.Errorf("%d attempts, %d forgiven; want 5 and 1", d.Attempts, d.Forgiven)
	}
}

// A product that says "a second" for days is asked ever less often.
func TestPatience(t *testing.T) {
	t.Parallel()
	cases := []struct {
		first time.Duration
		times int
		want  time.Duration
	}{
		{5 * time.Second, 1, 5 * time.Second},
		{5 * time.Second, 2, 10 * time.Second},
		{5 * time.Second, 7, 320 * time.Second},
		{5 * time.Second, 8, 10 * time.Minute},
		{10 * time.Minute, 1 << 40, 10 * time.Minute},
		{10*time.Minute - 1, 1 << 40, 10 * time.Minute},
		{0, 3, 0},
		{time.Hour, 3, time.Hour},
	}
	for _, c := range cases {
		if got := postponedWait(c.first, c.times); got != c.want {
			t.Errorf("%s, %d times: %s, want %s", c.first, c.times, got, c.want)
		}
	}
}

// Where no time was left to ask even once, as on a machine that stood still, nothing is used up: also of a delivery that
// may be tried only once.
func TestNoTimeToAsk(t *testing.T) {
	t.Parallel()
	m := &many{}
	b, c, l, manual := idle(t, m, &config.Destination{Timeout: 5 * time.Second, Batch: config.Batch{Max: 1}})
	m.build = func(*event.Event) error { manual.Advance(5 * time.Second); return nil }
	j := b.owed(1)[0]
	if reason := l.push(j, manual.Now()); reason != "" {
		t.Fatal(reason)
	}
	b.until("settled", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.pending == 0 && l.inFlight == 0 })
	if d := j.delivery; d.State != state.Waiting || d.Attempts != 0 || len(c.all()) != 0 {
		t.Errorf("%s after %d attempts: %s", d.State, d.Attempts, d.Reason)
	}
}
