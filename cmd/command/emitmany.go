package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/offline"
)

const (
	maxEmitRate     = 500              // per second
	defaultEmitRate = "10/s"           // where only the number or the duration is given
	maxEmitTogether = 16               // requests at a time, so that a slow answer does not lower the rate
	maxCatchUp      = time.Second / 10 // what a rate that was missed is made up for
	defaultEmitWait = time.Second      // of a 429 or 503 without Retry-After
)

// repeating holds the flags of an `emit` that repeats, and what became of its events.
type repeating struct {
	*globals
	rateText, seed string
	span           time.Duration
	count          int
	vary           []string

	gw     *client.Client
	source string
	series *offline.Series
	rate   float64 // per second

	mu        sync.Mutex
	total     emitted
	notBefore time.Time // what the gateway asked for
}

// emitted counts what became of the events.
type emitted struct {
	Sent       int `json:"sent"`
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
	Refused    int `json:"refused"`
	// AskedToWait counts answers with 429 and 503, after which an event is sent again.
	AskedToWait int `json:"asked_to_wait"`
	// PerSecond is the rate that was reached.
	PerSecond float64 `json:"per_second"`
	Took      string  `json:"took"`
	// FirstRefusal is the reason of the first event that was refused.
	FirstRefusal string `json:"first_refusal,omitempty"`
}

// check reads the flags; repeats reports whether there is any.
func (r *repeating) check() (repeats bool, err error) {
	repeats = r.rateText != "" || r.span != 0 || r.count != 0
	if !repeats {
		if len(r.vary) > 0 || r.seed != "" {
			return false, errors.New("--vary and --seed are for events that are repeated: add --count 20, or --rate 5/s --for 1m")
		}
		return false, nil
	}
	var rate config.Rate
	if r.rateText == "" {
		r.rateText = defaultEmitRate
	}
	if rate.UnmarshalText([]byte(r.rateText)) != nil {
		return false, fmt.Errorf("--rate %s: a rate is a number and a unit, such as 20/s, 600/m or 100/h", r.rateText)
	}
	if r.rate = rate.PerSecond(); r.rate > maxEmitRate {
		return false, fmt.Errorf("--rate %s: at most %d/s are published", r.rateText, maxEmitRate)
	}
	if r.span < 0 {
		return false, fmt.Errorf("--for %s: a duration is 1s, 1m, 2h, …", r.span)
	}
	return true, nil
}

// run publishes the series until the number or the time is over, or the context ends. Requests that are being sent then are finished. The
// first event is published alone: where it is refused, so would be the others.
func (r *repeating) run(outer context.Context) error {
	began := time.Now()
	ctx, end := context.WithCancelCause(outer)
	defer end(nil)
	if r.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.span)
		defer cancel()
	}
	stop := r.follow()
	err := r.send(ctx, 0)
	if err != nil {
		stop()
		return err
	}
	together := make(chan struct{}, maxEmitTogether)
	var sending sync.WaitGroup
	next := began
	refused := r.total.Refused > 0
	for n := 1; !refused && (r.count == 0 || n < r.count); n++ {
		next = next.Add(time.Duration(float64(time.Second) / r.rate))
		if late := time.Now().Add(-maxCatchUp); next.Before(late) {
			next = late
		}
		if !pause(ctx, next) || !pause(ctx, r.earliest()) {
			break
		}
		together <- struct{}{}
		sending.Go(func() {
			defer func() { <-together }()
			if err := r.send(ctx, n); err != nil {
				end(err)
			}
		})
	}
	sending.Wait()
	stop()
	if cause := context.Cause(ctx); outer.Err() == nil && !errors.Is(cause, context.DeadlineExceeded) {
		err = cause
	}
	return r.ended(time.Since(began), err)
}

// send publishes one event. A 429 or 503 means later: the event is sent again, after the time that the gateway asked for. The error is one
// after which nothing else need be sent.
func (r *repeating) send(ctx context.Context, n int) error {
	body, err := r.series.Event(n)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.total.Sent++
	r.mu.Unlock()
	for {
		results, err := r.gw.Publish(context.WithoutCancel(ctx), r.source, body)
		refusal, answered := errors.AsType[*client.APIError](err)
		if err != nil && !answered {
			return err
		}
		if answered && (refusal.Status == http.StatusTooManyRequests || refusal.Status == http.StatusServiceUnavailable) {
			r.mu.Lock()
			r.total.AskedToWait++
			if at := time.Now().Add(cmp.Or(refusal.After, defaultEmitWait)); at.After(r.notBefore) {
				r.notBefore = at
			}
			r.mu.Unlock()
			if !pause(ctx, r.earliest()) {
				r.record(nil, refusal)
				return nil
			}
			continue
		}
		if n == 0 && answered && len(results) == 0 {
			return err
		}
		r.record(results, refusal)
		return nil
	}
}

// earliest is before when the gateway asked to send nothing.
func (r *repeating) earliest() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.notBefore
}

// record counts what became of an event. A sample may be several events of the gateway; they count as one.
func (r *repeating) record(results []client.Published, refusal *client.APIError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	why, fresh := "", false
	for _, result := range results {
		if result.Status == "invalid" {
			why = cmp.Or(why, faultText(result), result.Status)
		}
		fresh = fresh || result.Status == "accepted"
	}
	if why == "" && refusal != nil {
		why = refusal.Error()
	}
	switch {
	case why != "":
		r.total.Refused++
		r.total.FirstRefusal = cmp.Or(r.total.FirstRefusal, why)
	case fresh:
		r.total.Accepted++
	default:
		r.total.Duplicates++
	}
}

// pause waits until a time; it returns false if the context ends before.
func pause(ctx context.Context, until time.Time) bool {
	if ctx.Err() != nil {
		return false
	}
	left := time.Until(until)
	if left <= 0 {
		return true
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// follow shows how far it is, until stop is called.
func (r *repeating) follow() (stop func()) {
	p := r.progress(false)
	ended := make(chan struct{})
	var showing sync.WaitGroup
	total := r.count
	if most := r.rate * r.span.Seconds(); r.span > 0 && (total == 0 || most < float64(total)) {
		total = int(math.Ceil(most))
	}
	showing.Go(func() {
		tick := time.NewTicker(tickEvery)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			r.mu.Lock()
			now := r.total
			r.mu.Unlock()
			what := "^C ends it"
			if now.Accepted < now.Sent-maxEmitTogether || now.Refused > 0 {
				what = now.became() + "; " + what
			}
			p.show(now.Sent, total, what)
		}
	})
	return func() {
		close(ended)
		showing.Wait()
		p.end()
	}
}

// measure sets the time that it took and the rate that was reached.
func (e *emitted) measure(took time.Duration) {
	e.Took = took.Round(100 * time.Millisecond).String()
	if took > 0 {
		e.PerSecond = math.Round(float64(e.Sent)/took.Seconds()*10) / 10
	}
}

func (e *emitted) text() string {
	text := fmt.Sprintf("%d sent: %s; %g/s in %s", e.Sent, e.became(), e.PerSecond, e.Took)
	if e.AskedToWait > 0 {
		text += fmt.Sprintf("; asked to wait %d %s", e.AskedToWait, plural(e.AskedToWait, "time"))
	}
	return text
}

// became says what became of the events.
func (e *emitted) became() string {
	text := fmt.Sprintf("%d accepted, ", e.Accepted)
	if e.Duplicates > 0 {
		text += fmt.Sprintf("%d %s, ", e.Duplicates, plural(e.Duplicates, "duplicate"))
	}
	return text + fmt.Sprintf("%d refused", e.Refused)
}

// ended prints the totals. It is a failure if any event was refused.
func (r *repeating) ended(took time.Duration, err error) error {
	r.total.measure(took)
	if r.json {
		if fault := r.print(r.total); fault != nil {
			return fault
		}
	} else {
		r.say("%s\n", r.total.text())
		if r.total.FirstRefusal != "" {
			r.say("  refused first: %s\n", r.total.FirstRefusal)
		}
	}
	if err == nil && r.total.Refused > 0 {
		err = &exit{code: exitFailed}
	}
	return err
}

// repeat publishes an event, or a platform's sample, again and again.
func (r *repeating) repeat(ctx context.Context, body []byte, sample string) error {
	var err error
	switch {
	case sample != "" && len(r.vary) > 0:
		return &exit{exitUsage, errors.New("--vary is for an event in surveygate's own format; a sample gets new ids each time, and keeps its answers")}
	case sample != "":
		r.series, err = offline.SampleSeries(sample, r.seed)
	case r.source != "":
		return &exit{exitUsage, errors.New("a platform's own body cannot be repeated with new ids: use --sample, or an event in surveygate's own format without --source")}
	default:
		r.series, err = offline.NewSeries(body, r.vary, r.seed)
	}
	if err != nil {
		return &exit{exitUsage, err}
	}
	if r.gw, err = r.dial(); err != nil {
		return err
	}
	defer r.gw.Close()
	return r.run(ctx)
}
