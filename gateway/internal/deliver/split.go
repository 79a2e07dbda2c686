package deliver

import (
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// refusals is what a delivery has met in batches that were refused because of some of their deliveries, within one turn of its
// lane. Its worker alone uses it.
type refusals struct {
	attempts []state.Attempt // they use up no attempt
	reason   string          // why it is sent again
	maxBatch int             // the largest batch that it may be in now; 0: any
}

// current returns the delivery with the refusals that it has met since it was queued.
func (j *job) current() state.Delivery {
	d := j.delivery
	d.Log = nil
	if r := j.refusals; r != nil {
		d.Log, d.Reason = r.attempts, r.reason
		d.Attempts, d.Forgiven = d.Attempts+len(r.attempts), d.Forgiven+len(r.attempts)
		d.MaxBatch = state.TighterBatch(d.MaxBatch, r.maxBatch)
	}
	return d
}

// concludeAll settles the deliveries of a request, and returns the batches in which the others are sent again at once. If the product
// refused a batch as a whole, these are its halves, so that a delivery at fault is alone after a few requests and the others are
// delivered. If the answer has a verdict on each, they are those that only others kept from being written, together, and each one
// that is to be sent alone.
func (l *Loop) concludeAll(t *attemptOutcome, began, end time.Time) (again [][]*job) {
	batch := len(t.jobs) > 1
	if batch && len(t.verdict.Each) == 0 && t.verdict.Kind == connectors.Rejected {
		half := (len(t.jobs) + 1) / 2
		for _, j := range t.jobs {
			l.sendAgain(t, j, t.verdict, half, began, end)
		}
		return [][]*job{t.jobs[:half:half], t.jobs[half:]}
	}
	var resent []*job
	var alone [][]*job
	for i, j := range t.jobs {
		switch v := t.verdictOn(i); {
		case batch && isUnnamed(v):
			l.sendAgain(t, j, v, 1, began, end)
			alone = append(alone, []*job{j})
		case batch && isResent(v):
			l.sendAgain(t, j, v, 0, began, end)
			resent = append(resent, j)
		default:
			l.conclude(t, j, v, began, end)
		}
	}
	if len(resent) > 0 {
		again = append(again, resent)
	}
	return append(again, alone...)
}

// sendAgain records an attempt of a delivery whose next one follows at once, in a batch of at most maxBatch deliveries (0: any number).
func (l *Loop) sendAgain(t *attemptOutcome, j *job, v connectors.Verdict, maxBatch int, began, end time.Time) {
	if j.refusals == nil {
		j.refusals = &refusals{}
	}
	r, took := j.refusals, t.took(began, end)
	r.reason, r.maxBatch = "its batch was refused: "+v.Reason, state.TighterBatch(r.maxBatch, maxBatch)
	if v.RetryAlone {
		r.reason = "next try alone: " + v.Reason
	}
	if t.sent {
		r.attempts = append(r.attempts, t.record(j, v, j.current().Attempts+1, began, took))
	}
	l.Observer.Attempt(&j.delivery, v.Kind, t.reached(), took, began)
	if l.Attempted != nil {
		d := j.current()
		d.State, d.Updated, d.Due = state.Waiting, end, end
		l.Attempted(&d, j.event, v.Kind, t.status, took)
	}
}

// reached returns how far the attempt came.
func (t *attemptOutcome) reached() state.Reached {
	switch {
	case !t.sent:
		return state.NotSent
	case t.status == 0:
		return state.NoAnswer
	}
	return state.Answered
}

// took returns the product's latency; 0 if nothing was sent.
func (t *attemptOutcome) took(began, end time.Time) time.Duration {
	if !t.sent {
		return 0
	}
	return max(end.Sub(began)-t.tokenWait, 0)
}

// record returns the attempt for the history of one delivery.
func (t *attemptOutcome) record(j *job, v connectors.Verdict, n int, began time.Time, took time.Duration) state.Attempt {
	a := state.Attempt{
		N: n, At: began, Took: took, Verdict: string(v.Kind), Reason: t.reason(v),
		Status: t.status, Sent: t.bytesSent / len(t.jobs), Received: t.bytesReceived / len(t.jobs),
	}
	if v.Kind != connectors.Delivered || t.fault() != "" || j.destination.CaptureAll || j.delivery.Origin.IsAlone() {
		a.Request, a.Response = t.transcripts(j)
	}
	return a
}

// asAWhole returns a rejection of the whole batch, if the answer blames none of its events: each one is to be sent again, because of
// the others or because it is not named.
func asAWhole(v connectors.Verdict) connectors.Verdict {
	if len(v.Each) == 0 {
		return v
	}
	for _, each := range v.Each {
		if !isResent(each) && !isUnnamed(each) {
			return v
		}
	}
	return connectors.Reject(v.Each[0].Reason)
}

// isResent reports whether only other events of the batch kept this one from being written.
func isResent(v connectors.Verdict) bool { return v.Kind == connectors.Retry && v.Resend }

// isUnnamed reports whether the event may be accepted by itself.
func isUnnamed(v connectors.Verdict) bool { return v.Kind == connectors.Rejected && v.RetryAlone }
