package deliver

import (
	"context"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// reader is a product that says in its body whether it took the event.
type reader struct{ product }

func (*reader) Judge(res *connectors.Response) connectors.Verdict {
	if string(res.Body) == "taken" {
		return connectors.Deliver()
	}
	return connectors.Reject("not taken")
}

// A receiver whose answer is faulty behind its status line has answered: it does not get the event again, and the attempt
// says what was wrong. A product that answers in its body is asked again where the body did not come as a whole.
func TestFaultyAnswer(t *testing.T) {
	t.Parallel()
	const fault = "the answer broke off"
	for name, c := range map[string]struct {
		build    connectors.Connector
		first    connectors.Response
		attempts int
		reason   string // of the first attempt
	}{
		"status":         {&product{}, connectors.Response{Status: 200, Fault: fault, Truncated: true}, 1, fault},
		"refused status": {&product{}, connectors.Response{Status: 503, Fault: fault, Truncated: true}, 2, "503 Service Unavailable; " + fault},
		"half a body":    {&reader{}, connectors.Response{Status: 200, Fault: fault, Truncated: true, Body: []byte("tak")}, 2, fault},
		"a whole body":   {&reader{}, connectors.Response{Status: 200, Fault: "the answer repeats Content-Length", Body: []byte("taken")}, 1, "the answer repeats Content-Length"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conf := destinations(destination("crm", 10*time.Millisecond))
			conf.Rules = []*config.Rule{ruleTo("crm", c.build)}
			b := prepare(t, conf, nil)
			b.world.send = func(_ context.Context, s seen, _ outbound.Attempt) outbound.Result {
				answer := connectors.Response{Status: 200, Body: []byte("taken")}
				if s.n == 1 {
					answer = c.first
				}
				return outbound.Result{Kind: outbound.Answered, Response: &answer, Reached: true}
			}
			b.open()
			d := b.untilState(b.accept(1)[0], "crm", state.Delivered)
			if d.Attempts != c.attempts || d.Log[0].Reason != c.reason || d.Log[0].Response == nil {
				t.Errorf("%d attempts, the first one %+v; want %d, %q and the answer kept", d.Attempts, d.Log[0], c.attempts, c.reason)
			}
		})
	}
}
