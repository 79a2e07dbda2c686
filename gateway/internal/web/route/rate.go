package route

import (
	"math"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// Rate is what a bucket holds and how it fills: Burst at once, and Per second from then on.
type Rate struct {
	Burst int
	Per   float64
}

// Rates bound how often callers may ask, on each process. The zero value has the defaults. The control socket is not bounded.
type Rates struct {
	// Reads and Writes are for each token, and for each session of a portal link. Publishing is neither.
	Reads, Writes Rate
	// Tests is for the test deliveries of each tenant, Logins for the failed logins from each address.
	// Checks is for the checks of each tenant's connections, which ask products.
	Tests, Checks, Logins Rate
}

func (r Rates) orDefaults() Rates {
	put := func(rate *Rate, otherwise Rate) {
		if rate.Burst == 0 {
			*rate = otherwise
		}
	}
	put(&r.Reads, Rate{200, 50})
	put(&r.Writes, Rate{50, 10})
	put(&r.Tests, Rate{10, 10. / 60})
	put(&r.Checks, Rate{60, 1})
	put(&r.Logins, Rate{10, 10. / 60})
	return r
}

// maxBuckets bounds the callers that one kind of limit knows apart. Further ones share one bucket.
const maxBuckets = 10_000

// buckets are token buckets by caller. The zero value is not ready: clock is required.
type buckets struct {
	clock clock.Clock

	mu    sync.Mutex
	all   map[string]*bucket
	swept time.Duration // when it was last looked for full ones
}

type bucket struct {
	rate  Rate
	level float64
	at    time.Duration
}

func (b *bucket) fill(now time.Duration) {
	b.level = min(float64(b.rate.Burst), b.level+b.rate.Per*(now-b.at).Seconds())
	b.at = now
}

// take takes n from a caller's bucket, if it holds that much, or if it is full. It returns what is left and, if nothing was taken,
// how long to wait.
func (b *buckets) take(key string, rate Rate, n int) (left int, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := b.of(key, rate)
	need := min(float64(n), float64(rate.Burst))
	if of.level < need {
		seconds := math.Inf(1)
		if rate.Per > 0 {
			seconds = (need - of.level) / rate.Per
		}
		return 0, time.Duration(min(seconds, time.Hour.Seconds()) * float64(time.Second))
	}
	of.level -= float64(n)
	return max(int(of.level), 0), 0
}

// isEmpty reports whether a bucket has nothing left, and how long to wait for more.
func (b *buckets) isEmpty(key string, rate Rate) (wait time.Duration, empty bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := b.of(key, rate)
	if of.level >= 1 {
		return 0, false
	}
	return time.Duration((1 - of.level) / rate.Per * float64(time.Second)), true
}

// of returns the bucket of a caller; b.mu is held.
func (b *buckets) of(key string, rate Rate) *bucket {
	now := b.clock.Elapsed()
	of := b.all[key]
	if of == nil {
		if len(b.all) >= maxBuckets && now-b.swept >= time.Second {
			b.swept = now
			for name, other := range b.all {
				if other.fill(now); other.level >= float64(other.rate.Burst) {
					delete(b.all, name) // a new one is the same
				}
			}
		}
		if len(b.all) >= maxBuckets {
			key = ""
			of = b.all[key]
		}
	}
	if of == nil {
		if b.all == nil {
			b.all = map[string]*bucket{}
		}
		of = &bucket{rate: rate, level: float64(rate.Burst), at: now}
		b.all[key] = of
	}
	of.rate = rate
	of.fill(now)
	return of
}

// TooMany returns a 429 with Retry-After.
func TooMany(msg string, wait time.Duration, loc ...string) *answer.Problem {
	p := answer.NewProblem(fiber.StatusTooManyRequests, view.RateLimited, msg, loc...)
	p.RetryAfter = max(wait, time.Second)
	return p
}

// limits are the buckets of a guard.
type limits struct {
	rates                                           Rates
	reads, writes, tests, checks, logins, published buckets
}

func newLimits(r Rates) *limits {
	l := &limits{rates: r.orDefaults()}
	for _, b := range []*buckets{&l.reads, &l.writes, &l.tests, &l.checks, &l.logins, &l.published} {
		b.clock = wall
	}
	return l
}

// remainingHeader says how many requests the caller may make at once from now on.
const remainingHeader = "RateLimit-Remaining"

// admit counts a request against the caller's limits.
func (l *limits) admit(c *Call, r *Route) error {
	if c.Open || r.publishes() {
		return nil
	}
	of, rate, what := &l.writes, l.rates.Writes, "changes something"
	if r.Method == fiber.MethodGet || r.Method == fiber.MethodHead {
		of, rate, what = &l.reads, l.rates.Reads, "reads"
	}
	left, wait := of.take(c.Grant.Tenant+"\x00"+c.Grant.Name, rate, 1)
	c.Set(remainingHeader, strconv.Itoa(left))
	if wait > 0 {
		return TooMany("this token "+what+" too often: at most "+strconv.Itoa(rate.Burst)+" at once, and "+strconv.FormatFloat(rate.Per, 'g', 3, 64)+" a second", wait)
	}
	if r.TestSend {
		if _, wait := l.tests.take(c.Tenant, l.rates.Tests, 1); wait > 0 {
			return TooMany("a tenant sends at most "+strconv.Itoa(l.rates.Tests.Burst)+" test deliveries a minute", wait)
		}
	}
	if r.Checks {
		if _, wait := l.checks.take(c.Tenant, l.rates.Checks, 1); wait > 0 {
			return TooMany("a tenant checks at most "+strconv.Itoa(l.rates.Checks.Burst)+" connections a minute", wait)
		}
	}
	return nil
}

// TakeEvents counts n events that a tenant publishes by API against its plan, which allows perMinute; less than 0: any number.
func (g *Guard) TakeEvents(tenant string, n, perMinute int) error {
	if perMinute < 0 {
		return nil
	}
	rate := Rate{perMinute, float64(perMinute) / 60}
	if _, wait := g.limits.published.take(tenant, rate, n); wait > 0 || perMinute == 0 {
		return TooMany("this plan publishes at most "+strconv.Itoa(perMinute)+" events a minute", max(wait, time.Second), "limits", "events_per_minute")
	}
	return nil
}

// LoginAllowed refuses an address with too many failed logins.
func (g *Guard) LoginAllowed(from netip.Addr) error {
	if wait, empty := g.limits.logins.isEmpty(network(from), g.limits.rates.Logins); empty {
		return TooMany("too many logins failed from this address", wait)
	}
	return nil
}

// LoginFailed counts a failed login.
func (g *Guard) LoginFailed(from netip.Addr) {
	g.limits.logins.take(network(from), g.limits.rates.Logins, 1)
}

// network is an address, and of IPv6 the network that one sender usually has.
func network(from netip.Addr) string {
	if from.Is6() {
		if prefix, err := from.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return from.String()
}
