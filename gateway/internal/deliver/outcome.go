package deliver

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/crashpoint"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/rules/event"
)

// chainSteps bounds the requests of one attempt.
const chainSteps = 5

// attemptOutcome is the result of one attempt, for all deliveries of its request.
type attemptOutcome struct {
	lane    *lane
	lead    *job   // its places are the reserved requests of the attempt
	jobs    []*job // whose events the request contains
	unsent  []unsent
	verdict connectors.Verdict
	sent    bool // a request went out, or could not connect
	// postponeReason is why the attempt is repeated without being counted: the gateway stops before the answer came, or has no
	// free connection. Empty: it counts.
	postponeReason string
	status         int
	tokenWait      time.Duration // for access tokens, which is not the product's latency
	bytesSent      int
	bytesReceived  int
	events         []*event.Event // of jobs, within the budget of their request
	request        *connectors.Request
	response       *connectors.Response
	panicked       *panicked // the last panic of a Build, for the log
}

// unsent is a member of a batch that was left out of its request.
type unsent struct {
	job     *job
	verdict connectors.Verdict
}

// verdictOn returns the verdict on one of the deliveries.
func (t *attemptOutcome) verdictOn(i int) connectors.Verdict {
	if len(t.verdict.Each) > 0 {
		return t.verdict.Each[i]
	}
	return t.verdict
}

// health returns the verdict on the destination. It is revoked if a delivery in the request was; a destination that accepted or
// definitively rejected anything is healthy, and so is one that refuses what the step asks for.
func (t *attemptOutcome) health() connectors.Verdict {
	v := t.verdict
	if len(v.Each) > 0 {
		v = v.Each[0]
	}
	for _, each := range t.verdict.Each {
		if each.Kind == connectors.Revoked && !t.jobs[0].atFault(each) {
			return each
		}
		if each.Kind != connectors.Retry {
			v = each
		}
	}
	if v.Kind == connectors.Revoked && t.jobs[0].atFault(v) {
		return connectors.Deliver()
	}
	return v
}

// try makes the requests of one attempt; rest are the deliveries that did not fit. A panic in Build or Judge rejects its delivery, or
// its batch, and nothing else.
func (l *Loop) try(t *attemptOutcome, deadline time.Time) (rest []*job) {
	d := t.jobs[0].delivery
	report := func(p *panicked) {
		l.Log.Error("connector panicked", "tenant", d.Tenant, "event", d.EventID,
			"destination", d.Destination, "connector", d.Connector, "err", fmt.Sprint(p.value))
	}
	defer func() {
		if r := recover(); r != nil {
			p := &panicked{r}
			report(p)
			t.verdict = refusal(p)
		}
	}()
	req, rest := t.compose()
	if t.panicked != nil {
		report(t.panicked)
	}
	if req == nil {
		return rest
	}
	first := t.jobs[0]
	if _, ok := first.build.(connectors.Batcher); ok {
		l.Observer.Batch("deliver", len(t.jobs))
	}
	var trail []*connectors.Response
	var refused connectors.Secret // the access token that the product did not accept
	replaced := 0                 // how many it did not accept
	for steps := 0; steps < chainSteps; {
		t.request, t.response, t.status = req, nil, 0
		left := deadline.Sub(l.Clock.Now())
		if left <= 0 {
			t.verdict = connectors.TryAgain(fmt.Sprintf("no time left for request %d of the attempt", len(trail)+1))
			return rest
		}
		if len(trail) > 0 || !refused.IsZero() {
			t.lane.countRequest(t.lead)
		}
		crashpoint.At(crashpoint.Claimed)
		o := options(first, req, left)
		o.RefusedToken = refused
		res := l.Sender.Send(l.sending, req, o)
		crashpoint.At(crashpoint.Sent)
		if res.Kind == outbound.Canceled {
			t.postponeReason = reasonStopping
			return rest
		}
		if res.Kind == outbound.Busy {
			t.postponeReason = reason(res)
			return rest
		}
		t.sent = t.sent || res.Kind != outbound.Invalid && res.Kind != outbound.Credentials
		t.bytesSent += res.Sent
		t.bytesReceived += res.Received
		t.tokenWait += res.TokenWait
		if res.Err != nil || res.Response == nil {
			t.verdict = unanswered(res)
			return rest
		}
		answer := res.Response
		*t.events[0].Budget() = *event.NewBudget() // for what Judge builds
		answer.To, answer.Events, answer.Trail = req, t.events, trail
		t.response, t.status = answer, answer.Status
		t.verdict = judge(first.build, first.destination, answer)
		if !res.Token.IsZero() && isTokenRefusal(t.verdict) && (replaced == 0 || replaced == 1 && res.TokenKept) {
			// It may have been withdrawn early. If the next one was kept too, such as the store's after this replica's own, the
			// one after it is fetched.
			refused = res.Token
			replaced++
			continue
		}
		if t.verdict.Kind != connectors.Continue {
			break
		}
		refused, replaced = connectors.Secret{}, 0
		steps++
		trail = append(trail, answer)
		req = t.verdict.Next
	}
	if t.verdict.Kind == connectors.Continue {
		t.verdict = connectors.Reject(fmt.Sprintf("more than %d requests in one attempt", chainSteps))
	}
	return rest
}

// isTokenRefusal reports whether the product refused a request as a whole, and no setting of it.
func isTokenRefusal(v connectors.Verdict) bool {
	for _, each := range v.Each {
		if each.Kind != connectors.Revoked || each.Setting != "" {
			return false
		}
	}
	return len(v.Each) > 0 || v.Kind == connectors.Revoked && v.Setting == ""
}

// compose builds the request and leaves in t.jobs the deliveries that it contains; nil if it contains none. A panic in the Build of
// one delivery rejects that one.
func (t *attemptOutcome) compose() (req *connectors.Request, rest []*job) {
	if len(t.jobs) == 1 {
		req, err := t.build(t.jobs[0])
		if err != nil {
			t.verdict = refusal(err)
			return nil, nil
		}
		return req, nil
	}
	batcher := t.jobs[0].build.(connectors.Batcher)
	req, err := t.buildBatch(batcher)
	most := event.MaxRequestBytes
	if own := batcher.Batch().Bytes; own > 0 {
		most = min(most, own)
	}
	switch {
	case t.events[0].Budget().Exceeded(), err == nil && req.Size() > most:
		half := len(t.jobs) / 2
		t.jobs, rest = t.jobs[:half:half], t.jobs[half:]
		req, more := t.compose()
		return req, append(more, rest...)
	case err != nil:
		if v := refusal(err); v.Kind == connectors.Revoked { // it concerns all of them
			t.verdict = v
			return nil, nil
		}
		switch found := t.removeUnbuildable(); {
		case len(t.jobs) == 0:
			return nil, nil
		case found:
			return t.compose()
		}
		if t.verdict.Kind == connectors.Revoked {
			return nil, nil
		}
		// Each of them can be built alone, so the error concerns none of them alone.
		t.verdict = connectors.Reject("cannot be built together: " + err.Error())
		return nil, nil
	}
	return req, nil
}

// removeUnbuildable removes the deliveries that cannot be built, each with its own reason. It returns false if there are none, or if the
// credentials are unusable for all, which is then the verdict.
func (t *attemptOutcome) removeUnbuildable() bool {
	good, before := make([]*job, 0, len(t.jobs)), len(t.unsent)
	for _, j := range t.jobs {
		if _, err := t.build(j); err != nil {
			v := refusal(err)
			if v.Kind == connectors.Revoked { // this concerns all, whatever else is wrong with others
				t.verdict, t.unsent = v, t.unsent[:before]
				return false
			}
			t.unsent = append(t.unsent, unsent{j, v})
			continue
		}
		good = append(good, j)
	}
	found := len(good) < len(t.jobs)
	t.jobs = good
	return found
}

// build builds the request of one delivery, and turns a panic into an error of that delivery.
func (t *attemptOutcome) build(j *job) (req *connectors.Request, err error) {
	defer t.recovered(&err)
	t.events = []*event.Event{j.event.WithBudget(nil)}
	if j.changes() {
		if req, err = j.amendment(t.events[0]); !errors.Is(err, connectors.ErrReceipt) {
			return checkBuilt(req, err)
		}
		if j.atDue.note = decide.Anew; j.atDue.retract {
			return nil, connectors.Skip("what was told before cannot be found by its receipt")
		}
	}
	if j.atDue == nil || j.atDue.digest == nil {
		return checkBuilt(j.build.Build(t.events[0]))
	}
	digester, ok := j.build.(connectors.Digester)
	if !ok {
		return nil, errNoDigest
	}
	return checkBuilt(digester.Digest(j.atDue.digest))
}

// amendment builds the request that changes what was told before.
func (j *job) amendment(ev *event.Event) (*connectors.Request, error) {
	if j.atDue.retract {
		if r, ok := j.build.(connectors.Retracter); ok {
			return r.Retract(ev, j.atDue.receipt)
		}
	} else if a, ok := j.build.(connectors.Amender); ok {
		return a.Amend(ev, j.atDue.receipt)
	}
	return nil, connectors.ErrReceipt // today's step is of another product
}

func (t *attemptOutcome) buildBatch(c connectors.Batcher) (req *connectors.Request, err error) {
	defer t.recovered(&err)
	budget := event.NewBudget()
	t.events = make([]*event.Event, len(t.jobs))
	for i, j := range t.jobs {
		t.events[i] = j.event.WithBudget(budget)
	}
	return checkBuilt(c.BuildBatch(t.events))
}

// recovered turns a panic into an error, which it stores in err. It must be deferred.
func (t *attemptOutcome) recovered(err *error) {
	if r := recover(); r != nil {
		t.panicked = &panicked{r}
		*err = t.panicked
	}
}

// checkBuilt returns errNoRequest for a faulty connector that returned neither a request nor an error.
func checkBuilt(req *connectors.Request, err error) (*connectors.Request, error) {
	if req == nil && err == nil {
		return nil, errNoRequest
	}
	return req, err
}

var (
	errNoRequest = errors.New("the connector built no request")
	errNoDigest  = errors.New("the product has no digest")
)

// panicked is a panic of a connector. Its value may hold a person, and is for the log alone.
type panicked struct{ value any }

func (*panicked) Error() string { return "the connector panicked" }

// refusal returns the verdict for an error of Build.
func refusal(err error) connectors.Verdict {
	var skip *connectors.Skipped
	var unusable *connectors.UnusableError
	var p *panicked
	switch {
	case errors.As(err, &unusable):
		return connectors.Revoke(unusable.Reason)
	case errors.As(err, &skip):
		return connectors.Verdict{Kind: connectors.Skipping, Reason: skip.Reason}
	case errors.As(err, &p), errors.Is(err, errNoRequest):
		return connectors.Reject(err.Error())
	}
	return connectors.Reject("cannot be built: " + err.Error())
}

// maxResponseLimit bounds the size of an answer that a request may ask for.
const maxResponseLimit = 8 << 20

func options(j *job, req *connectors.Request, left time.Duration) outbound.Attempt {
	return outbound.Attempt{
		DeliveryID:  j.delivery.ID,
		Timeout:     left,
		Transport:   j.destination.Transport,
		Trusted:     j.destination.Trusted,
		Tenant:      j.delivery.Tenant,
		Destination: j.delivery.Destination,
		MaxConns:    j.destination.Concurrency,
		TLS:         j.destination.TLS,
		Keep:        min(req.ResponseLimit, maxResponseLimit),
	}
}

// unanswered returns the verdict for a request without an answer.
func unanswered(res outbound.Result) connectors.Verdict {
	v := connectors.TryAgain(reason(res))
	if failed, ok := errors.AsType[*outbound.Error](res.Err); ok {
		v.After = clamp(failed.After)
	}
	switch res.Kind {
	case outbound.Invalid:
		v.Kind = connectors.Rejected
	case outbound.Credentials:
		v.Kind = connectors.Revoked
	}
	return v
}

func reason(res outbound.Result) string {
	if res.Err == nil {
		return "no answer"
	}
	return res.Err.Error()
}

// judge asks the connector, or uses the status if it has no Judge, and applies the preset of the destination to a success.
func judge(c connectors.Connector, d *config.Destination, res *connectors.Response) connectors.Verdict {
	var v connectors.Verdict
	if judge, ok := c.(connectors.Judge); ok {
		v = judge.Judge(res)
	} else {
		v = connectors.ByStatus(res)
	}
	if unsure(res, v) {
		return connectors.TryAgain(res.Fault)
	}
	switch n := len(v.Each); {
	case n == 0:
	case n != len(res.Events):
		return connectors.Reject(fmt.Sprintf("the connector gave %d verdicts on %d events", n, len(res.Events)))
	case n == 1:
		v = v.Each[0]
	}
	if v = asAWhole(v); len(v.Each) == 0 {
		v.Resend, v.RetryAlone = false, false
	}
	if done := v.Kind == connectors.Delivered || v.Kind == connectors.Skipping; done && len(v.Each) == 0 && len(res.Events) > 1 && !silent(c) {
		return connectors.Reject(connectors.StatusReason(res.Status) + ", but nothing says of each event that the product took it")
	}
	if v.Kind == connectors.Delivered && d.Retry.Only200 && res.Status != 200 {
		return connectors.TryAgain(fmt.Sprintf("answered %d, and only 200 counts", res.Status))
	}
	if len(v.Each) == 0 {
		v = checkVerdict(v)
	}
	for i := range v.Each {
		if v.Each[i] = checkVerdict(v.Each[i]); v.Each[i].Kind == connectors.Continue {
			v.Each[i] = connectors.Reject("one event of a batch cannot go on alone")
		}
	}
	return v
}

// silent reports whether the product's answers do not name the events that it accepted.
func silent(c connectors.Connector) bool {
	batcher, ok := c.(connectors.Batcher)
	return ok && batcher.Batch().Silent
}

// checkVerdict returns the verdict with After within its bounds, or a rejection if the connector gave an invalid verdict.
func checkVerdict(v connectors.Verdict) connectors.Verdict {
	if v.Kind == "" || v.Kind == connectors.Continue && v.Next == nil {
		return connectors.Reject("the connector gave no verdict")
	}
	v.After = clamp(v.After)
	return v
}

func clamp(after time.Duration) time.Duration { return min(max(after, 0), connectors.MaxRetryAfter) }

// maxTranscript bounds the stored text of a request or a response.
const maxTranscript = 4 << 10

// transcripts returns the request without its credentials and the answer, with all secrets removed. For a delivery of a batch it
// returns the request as if sent alone, and the head of the answer, whose body may be about other deliveries.
func (t *attemptOutcome) transcripts(j *job) (request, response []byte) {
	req, res := t.request, t.response
	if len(t.jobs) > 1 {
		own, err := t.build(j)
		if err != nil {
			return nil, nil
		}
		req = own
		if res != nil {
			res = &connectors.Response{Status: res.Status, Header: res.Header}
		}
	}
	if req == nil {
		return nil, nil
	}
	secrets := outbound.Secrets(req)
	request = clip(outbound.Cut(req.Transcript(), secrets))
	if res != nil {
		response = clip(outbound.Cut(res.Transcript(), secrets))
	}
	return request, response
}

func clip(text []byte) []byte {
	if len(text) <= maxTranscript {
		return text
	}
	return append([]byte(strings.ToValidUTF8(string(text[:maxTranscript]), "")), "\n…"...)
}
