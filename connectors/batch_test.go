package connectors_test

import (
	"net/http"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// TestJudgeEach: an answer with any status gives each event of a batch the verdict that it names, and a single event a plain one.
func TestJudgeEach(t *testing.T) {
	t.Parallel()
	judge := func(i int, _ *event.Event) (connectors.Verdict, bool) {
		return []connectors.Verdict{connectors.Resend("stopped"), connectors.Reject("invalid"), connectors.Deliver()}[i], i < 2
	}
	res := &connectors.Response{Status: http.StatusBadRequest, Events: make([]*event.Event, 3)}
	v := connectors.JudgeEach(res, judge)
	if v.Kind != connectors.Delivered || len(v.Each) != 3 {
		t.Fatalf("got %v with %d verdicts", v, len(v.Each))
	}
	for i, want := range []string{
		"retry, at once without the others: stopped",
		"rejected: invalid",
		"rejected, next try alone: 400 Bad Request" + connectors.UnconfirmedReason,
	} {
		if got := v.Each[i].String(); got != want {
			t.Errorf("%d: got %q, want %q", i+1, got, want)
		}
	}
	res.Events = res.Events[:1]
	if v := connectors.JudgeEach(res, judge); v.String() != "retry: stopped" || v.Resend || len(v.Each) != 0 {
		t.Errorf("a single event: got %+v", v)
	}
	res.Events = nil
	if v := connectors.JudgeEach(res, judge); v.Kind != connectors.Delivered {
		t.Errorf("no events: got %v", v)
	}
}
