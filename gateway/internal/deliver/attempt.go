package deliver

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// chainSteps bounds the requests of one attempt.
const chainSteps = 5

// attempt builds, sends and judges one delivery, and settles it.
func (l *Loop) attempt(lane *lane, j *job) {
	now := l.Clock.Now()
	deadline := now.Add(j.destination.Timeout)
	if !l.begins(j, deadline) {
		lane.unprobe(j)
		return
	}
	if j.held == nil && deadline.After(j.lease) {
		// It waited too long for its turn: somebody else may have it by the time it ends.
		lane.unprobe(j)
		l.postpone(j, j.delivery.Reason, now)
		return
	}
	d := j.delivery
	try := l.try(j, deadline)
	end := l.Clock.Now()
	d.Updated = end
	if try.givenUp {
		lane.unprobe(j)
		d.State, d.Reason, d.Due = state.Waiting, reasonStopping, end
		l.settle(j, d, "")
		return
	}

	if try.sent {
		d.Attempts++
		record := state.Attempt{
			N: d.Attempts, At: now, Took: end.Sub(now), Verdict: string(try.verdict.Kind), Reason: try.verdict.Reason,
			Status: try.status, Sent: try.bytesSent, Received: try.bytesReceived,
		}
		if try.verdict.Kind != connectors.Delivered || j.destination.CaptureAll {
			record.Request, record.Response = try.transcripts()
		}
		d.Log = []state.Attempt{record}
		l.Observer.Attempt(d.Tenant, d.Destination, d.Connector, string(try.verdict.Kind), record.Took, now)
	} else {
		d.Log = nil
		l.Observer.Attempt(d.Tenant, d.Destination, d.Connector, string(try.verdict.Kind), 0, now)
	}

	free := ""
	v := try.verdict
	switch v.Kind {
	case connectors.Delivered:
		d.State, d.Reason = state.Delivered, ""
	case connectors.Skipping:
		d.State, d.Reason, free = state.Skipped, v.Reason, j.once
	case connectors.Revoked:
		d.State, d.Reason, d.Due = state.Waiting, v.Reason, end
	case connectors.Retry:
		waits := j.destination.Retry.Waits
		if d.Attempts > len(waits) {
			d.State, d.Reason = state.Dead, "no attempts left: "+v.Reason
			break
		}
		d.State, d.Reason = state.Waiting, v.Reason
		d.Due = end.Add(l.wait(waits[d.Attempts-1], v.After))
	default:
		d.State, d.Reason = state.Dead, v.Reason
	}
	if d.State == state.Dead {
		l.Log.Warn("dead letter", "tenant", d.Tenant, "event", d.EventID, "destination", d.Destination,
			"connector", d.Connector, "delivery", d.ID, "attempt", d.Attempts, "verdict", v.Kind, "status", try.status, "err", d.Reason)
	}
	lane.judge(v, try, j, end)
	l.settle(j, d, free)
}

// wait is the schedule's wait or what the receiver asked for, whichever is longer, and up to a tenth more.
func (l *Loop) wait(scheduled, asked time.Duration) time.Duration {
	w := max(scheduled, asked)
	return w + time.Duration(l.Jitter()*0.1*float64(w))
}

// trial is what one attempt came to.
type trial struct {
	verdict       connectors.Verdict
	sent          bool // a request went out, or could not connect
	givenUp       bool // the gateway stops before the answer came: no attempt, it is made again
	status        int
	bytesSent     int
	bytesReceived int
	request       *connectors.Request
	response      *connectors.Response
}

// try makes the requests of one attempt. A panic in Build or Judge is that delivery's fault alone.
func (l *Loop) try(j *job, deadline time.Time) (t trial) {
	defer func() {
		if r := recover(); r != nil {
			l.Log.Error("connector panicked", "tenant", j.delivery.Tenant, "event", j.delivery.EventID,
				"destination", j.delivery.Destination, "connector", j.delivery.Connector, "err", fmt.Sprint(r))
			t.verdict = connectors.Reject("the connector panicked")
		}
	}()
	req, err := j.build.Build(j.event)
	var skip *connectors.Skipped
	switch {
	case errors.As(err, &skip):
		t.verdict = connectors.Verdict{Kind: connectors.Skipping, Reason: skip.Reason}
		return t
	case err != nil:
		t.verdict = connectors.Reject("cannot be built: " + err.Error())
		return t
	}
	var trail []*connectors.Response
	for range chainSteps {
		t.request, t.response, t.status = req, nil, 0
		left := deadline.Sub(l.Clock.Now())
		if left <= 0 {
			t.verdict = connectors.TryAgain(fmt.Sprintf("no time left for request %d of the attempt", len(trail)+1))
			return t
		}
		res := l.Sender.Send(l.sending, req, options(j, left))
		if res.Kind == outbound.Canceled {
			t.givenUp = true
			return t
		}
		t.sent = t.sent || res.Kind != outbound.Invalid
		t.bytesSent += res.Sent
		t.bytesReceived += res.Received
		if res.Err != nil || res.Response == nil {
			t.verdict = connectors.TryAgain(reason(res))
			if res.Kind == outbound.Invalid {
				t.verdict.Kind = connectors.Rejected
			}
			return t
		}
		answer := res.Response
		answer.To, answer.Events, answer.Trail = req, []*event.Event{j.event}, trail
		t.response, t.status = answer, answer.Status
		t.verdict = judge(j.build, j.destination, answer)
		if t.verdict.Kind != connectors.Continue || t.verdict.Next == nil {
			break
		}
		trail = append(trail, answer)
		req = t.verdict.Next
	}
	if t.verdict.Kind == connectors.Continue {
		t.verdict = connectors.Reject(fmt.Sprintf("more than %d requests in one attempt", chainSteps))
	}
	return t
}

func options(j *job, left time.Duration) outbound.Attempt {
	return outbound.Attempt{
		DeliveryID:  j.delivery.ID,
		Timeout:     left,
		Transport:   j.destination.Transport,
		Trusted:     true, // all destinations are from the file so far
		Destination: j.delivery.Tenant + "/" + j.delivery.Destination,
		MaxConns:    j.destination.Concurrency,
	}
}

func reason(res outbound.Result) string {
	if res.Err == nil {
		return "no answer"
	}
	return res.Err.Error()
}

// judge asks the connector, or the status where it has no opinion, and holds a success against the preset.
func judge(c connectors.Connector, d *config.Destination, res *connectors.Response) connectors.Verdict {
	var v connectors.Verdict
	if judge, ok := c.(connectors.Judge); ok {
		v = judge.Judge(res)
	} else {
		v = connectors.ByStatus(res)
	}
	if len(v.Each) == 1 {
		v = v.Each[0]
	}
	if v.Kind == connectors.Delivered && d.Retry.Only200 && res.Status != 200 {
		return connectors.TryAgain(fmt.Sprintf("answered %d, and only 200 counts", res.Status))
	}
	v.After = min(max(v.After, 0), connectors.MaxRetryAfter)
	return v
}

// kept bounds what is kept of a request or a response.
const kept = 4 << 10

// transcripts are the request before its credentials and the answer, with every secret cut out.
func (t *trial) transcripts() (request, response []byte) {
	if t.request == nil {
		return nil, nil
	}
	secrets := outbound.Secrets(t.request)
	request = clip(outbound.Cut(t.request.Transcript(), secrets))
	if t.response != nil {
		response = clip(outbound.Cut(t.response.Transcript(), secrets))
	}
	return request, response
}

func clip(text []byte) []byte {
	if len(text) <= kept {
		return text
	}
	return append([]byte(strings.ToValidUTF8(string(text[:kept]), "")), "\n…"...)
}
