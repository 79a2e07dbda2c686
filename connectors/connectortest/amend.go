package connectortest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// The parts of a transcript with a receipt.
const (
	amendPart   = "amend"
	retractPart = "retract"
	receiptPart = "receipt"
)

// amendmentOf returns the amendment that a part of a transcript plays.
func amendmentOf(part txtar.File) connectors.Amendment {
	return connectors.Amendment{Receipt: strings.TrimSpace(string(part.Data)), Retraction: part.Name == retractPart}
}

// amend returns the request of Amend or of Retract.
func amend(c connectors.Connector, ev *event.Event, a connectors.Amendment) (*connectors.Request, error) {
	amender, ok := c.(connectors.Amender)
	if !ok {
		return nil, errors.New("the connector is no Amender")
	}
	if err := amender.CanAmend(); err != nil {
		return nil, err
	}
	if !a.Retraction {
		return amender.Amend(ev, a.Receipt)
	}
	retracter, ok := c.(connectors.Retracter)
	if !ok {
		return nil, errors.New("the connector is no Retracter")
	}
	return retracter.Retract(ev, a.Receipt)
}

// refOf returns the Ref of a verdict on one event.
func refOf(v connectors.Verdict) string {
	if len(v.Each) == 1 {
		v = v.Each[0]
	}
	return v.Ref
}

// badReceipts are of no connector.
var badReceipts = []string{
	"", " ", "null", "\x00", "..", "../x", "a/../b", "1?x=y", "1#x", "1\n2", "%2e%2e", "{}", "é", "1/2/3/4/5", strings.Repeat("1", connectors.MaxRef+1),
}

// checkAmender checks what the other tests, which play the amendments of transcripts too, do not: that each delivered answer
// has a receipt which the connector reads, that a request of Amend and Retract is marked, that receipts of other forms are refused,
// and that there are transcripts of each.
func checkAmender(t *testing.T, name string, cases []example) {
	c, _ := connectors.New(name)
	if _, ok := c.(connectors.Amender); !ok {
		return
	}
	if _, ok := c.(connectors.Judge); !ok {
		t.Error("an Amender must be a Judge")
	}
	_, retracts := c.(connectors.Retracter)
	seen := map[string]bool{}
	for _, e := range cases {
		c, events := e.ready(t, name)
		amender := c.(connectors.Amender)
		if amender.CanAmend() != nil || len(events) != 1 || e.digest != nil {
			continue
		}
		made := []connectors.Amendment{{}}
		if retracts {
			made = append(made, connectors.Amendment{Retraction: true})
		}
		for _, a := range made {
			for _, a.Receipt = range badReceipts {
				if _, err := amend(c, events[0], a); !errors.Is(err, connectors.ErrReceipt) {
					t.Errorf("%s: the receipt %q gives %v", e.name, a.Receipt, err)
				}
			}
		}
		if e.amends.Receipt != "" {
			seen[fmt.Sprintf("retraction %v", e.amends.Retraction)] = true
			req, err := e.build(c, events)
			if err != nil || req.Amends != e.amends {
				t.Errorf("%s: the request is marked as %+v (%v)", e.name, req.Amends, err)
			}
			checkReceiptKept(t, e.name, c, req, events)
		}
		for _, v := range verdicts(t, e, c, events) {
			if v.Kind != connectors.Delivered || v.Ref == "" && (e.amends.Retraction || v.nothing && e.amends.Receipt == "") {
				continue
			}
			for _, a := range made {
				a.Receipt = v.Ref
				if len(v.Ref) > connectors.MaxRef {
					t.Errorf("%s: a receipt of %d bytes", e.name, len(v.Ref))
				}
				who := events[0].Data().Respondent
				for _, text := range []string{who.Email, who.Name, who.FirstName, who.LastName, who.Phone, who.ExternalID} {
					if text != "" && strings.Contains(strings.ToLower(v.Ref), strings.ToLower(text)) {
						t.Errorf("%s: the receipt %q tells about a person", e.name, v.Ref)
					}
				}
				if _, err := amend(c, events[0], a); errors.Is(err, connectors.ErrReceipt) {
					t.Errorf("%s: delivered with the receipt %q, which cannot be amended: %v", e.name, v.Ref, err)
				}
			}
		}
	}
	if !seen["retraction false"] || retracts && !seen["retraction true"] {
		t.Error("an Amender needs a transcript with the part `amend`, and a Retracter one with `retract`")
	}
}

// checkReceiptKept checks that a change which is delivered keeps a receipt, also if the answer names nothing: without one, the next change
// would make a second message.
func checkReceiptKept(t *testing.T, name string, c connectors.Connector, req *connectors.Request, events []*event.Event) {
	t.Helper()
	for _, status := range []int{200, 202, 204} {
		for _, body := range bodies {
			v := judge(c, &connectors.Response{Status: status, Body: []byte(body), At: ReceivedAt, To: req, Events: events})
			if v.Kind == connectors.Delivered && refOf(v) == "" {
				t.Errorf("%s: %d with the body %.40q is delivered without a receipt", name, status, body)
			}
		}
	}
}

// verdict is one on an answer; nothing is set if the answer has no body, which then names nothing.
type verdict struct {
	connectors.Verdict
	nothing bool
}

// verdicts plays the answers of a transcript, and returns the verdicts on its one event.
func verdicts(t *testing.T, e example, c connectors.Connector, events []*event.Event) (all []verdict) {
	t.Helper()
	req, err := e.build(c, events)
	if err != nil {
		t.Fatalf("%s: %v", e.name, err)
	}
	var trail []*connectors.Response
	for _, answer := range e.answers {
		res, err := parseResponse(answer)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		res.To, res.Events, res.Trail = req, events, trail
		v := judge(c, res)
		if len(v.Each) == 1 {
			v = v.Each[0]
		}
		if v.Kind == connectors.Continue {
			trail, req = append(trail, res), v.Next
			continue
		}
		all = append(all, verdict{v, len(res.Body) == 0})
	}
	return all
}
