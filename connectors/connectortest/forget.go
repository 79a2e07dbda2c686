package connectortest

import (
	"errors"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// forgetPart is the part of a transcript that plays Forget.
const forgetPart = "forget"

// forget returns the request of Forget.
func forget(c connectors.Connector, ev *event.Event) (*connectors.Request, error) {
	forgetter, ok := c.(connectors.Forgetter)
	if !ok {
		return nil, errors.New("the connector is no Forgetter")
	}
	if err := forgetter.CanForget(); err != nil {
		return nil, err
	}
	return forgetter.Forget(ev)
}

// checkForgetter checks what the other tests, which play the erasures of transcripts too, do not: that all requests of an erasure are
// marked, that an event without a respondent is skipped, that settings which cannot erase anybody name one at fault, and that there is
// a transcript.
func checkForgetter(t *testing.T, name string, cases []example) {
	c, _ := connectors.New(name)
	if _, ok := c.(connectors.Forgetter); !ok {
		return
	}
	nobody, err := ParseEvent([]byte(`{"type":"test"}`))
	if err != nil {
		t.Fatal(err)
	}
	played := false
	for _, e := range cases {
		c, events := e.ready(t, name)
		forgetter := c.(connectors.Forgetter)
		if err := forgetter.CanForget(); err != nil {
			if _, ok := errors.AsType[*connectors.InvalidError](err); !ok {
				t.Errorf("%s: CanForget returns %v, which names no setting", e.name, err)
			}
			if _, err := forgetter.Forget(nobody); err == nil {
				t.Errorf("%s: Forget builds a request, and CanForget returns an error", e.name)
			}
			played = true
			continue
		}
		if _, err := forgetter.Forget(nobody); !isSkip(err) {
			t.Errorf("%s: an event without a respondent gives %v", e.name, err)
		}
		if !e.forgets {
			continue
		}
		played = true
		req, err := e.build(c, events)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		var trail []*connectors.Response
		for _, answer := range e.answers {
			if !req.Forgets {
				t.Errorf("%s: %s %s is not marked as an erasure", e.name, req.Method, req.URL)
			}
			res, err := parseResponse(answer)
			if err != nil {
				t.Fatalf("%s: %v", e.name, err)
			}
			res.To, res.Events, res.Trail = req, events, trail
			if v := judge(c, res); v.Kind == connectors.Continue {
				trail, req = append(trail, res), v.Next
			}
		}
	}
	if !played {
		t.Error("a Forgetter needs a transcript with the part `forget`")
	}
}

func isSkip(err error) bool {
	_, ok := errors.AsType[*connectors.Skipped](err)
	return ok
}
