package deliver

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// amending is a product that can change what it made. Its receipts are numbers.
type amending struct {
	mu   sync.Mutex
	made int
	did  []string // new, amend 1, retract 1
}

func (p *amending) request(ev *event.Event) *connectors.Request {
	return connectors.Post("https://product.example/"+ev.OrigID, map[string]string{"id": ev.OrigID})
}

func (p *amending) Build(ev *event.Event) (*connectors.Request, error) { return p.request(ev), nil }

func (p *amending) CanAmend() error { return nil }

func (p *amending) Amend(ev *event.Event, receipt string) (*connectors.Request, error) {
	if receipt == "m0" {
		return nil, connectors.BadReceipt("m and a number")
	}
	return p.request(ev).Amending(receipt), nil
}

func (p *amending) Retract(ev *event.Event, receipt string) (*connectors.Request, error) {
	return p.request(ev).Retracting(receipt), nil
}

func (p *amending) Judge(res *connectors.Response) connectors.Verdict {
	v := connectors.ByStatus(res)
	if v.Kind != connectors.Delivered {
		return v
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a, changes := res.Amendment()
	switch v.Ref = a.Receipt; {
	case !changes:
		p.made++
		v.Ref = fmt.Sprintf("m%d", p.made)
		p.did = append(p.did, "new "+v.Ref)
	case a.Retraction:
		p.did = append(p.did, "retract "+a.Receipt)
	default:
		p.did = append(p.did, "amend "+a.Receipt)
	}
	return v
}

func (p *amending) log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.did)
}

// A changed answer changes what was told; one that does not match any more marks it as no longer so, and a later one that matches again
// changes it back.
func TestAmend(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, open func(b *bench)) {
		p := &amending{}
		c := settling(t, 0, "", "nps_score <= 6", all()...)
		step := c.Rules[0].Steps[0]
		step.Build["default"], step.Amend, step.Retract = p, true, true
		b := prepare(t, c, func(s seen) (int, http.Header) {
			return map[bool]int{true: 500, false: 200}[s.event == "e3" && s.n == 1], nil
		})
		open(b)
		b.open()
		var told []string
		for i, e := range []struct {
			body   string
			state  state.DeliveryState
			reason string
		}{
			{`"type":"response.partial","nps_score":8`, state.Skipped, decide.NotMatched + "`nps_score <= 6` is false"},
			{`"nps_score":3`, state.Delivered, ""},
			{`"type":"response.updated","feedback":"slow"`, state.Delivered, decide.Amended + "1"},
			{`"type":"response.updated","nps_score":2`, state.Delivered, decide.Amended + "2"},
			{`"type":"response.updated","nps_score":9`, state.Delivered, decide.Retracted + "3"},
			{`"type":"response.updated","nps_score":10`, state.Skipped, decide.NotMatched + "`nps_score <= 6` is false"},
			{`"type":"response.updated","nps_score":1`, state.Delivered, decide.Amended + "4"},
			{`"type":"response.deleted"`, state.Delivered, decide.Retracted + "6"},
		} {
			id := b.tell("api", fmt.Sprintf(`{"id":"e%d","response":{"id":"r1"},%s}`, i, e.body))[0]
			told = append(told, id)
			want := e.reason
			if n := len(want) - 1; n > 0 && want[n] >= '0' && want[n] <= '9' {
				want = want[:n] + told[want[n]-'0']
			}
			if d := b.untilState(id, "crm", e.state); d.Reason != want {
				t.Errorf("event %d: reason %q, want %q", i, d.Reason, want)
			}
		}
		want := []string{"new m1", "amend m1", "amend m1", "retract m1", "amend m1", "retract m1"}
		if got := p.log(); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// Of several changes that come at once, the newest is made, and never an older one after it.
func TestAmendInOrder(t *testing.T) {
	t.Parallel()
	p := &amending{}
	c := settling(t, 0, "", "", all()...)
	c.Destinations[0].Concurrency = 8
	step := c.Rules[0].Steps[0]
	step.Build["default"], step.Amend = p, true
	release := make(chan struct{})
	b := begin(t, c, func(s seen) (int, http.Header) {
		if s.event == "e0" {
			<-release
		}
		return 200, nil
	})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	first := b.tell("api", `{"id":"e0","response":{"id":"r1"}}`)
	b.until("the first is being told", func() bool { return b.requests() == 1 })
	later := b.tell("api", `{"id":"e1","response":{"id":"r1"},"type":"response.updated"}`, `{"id":"e2","response":{"id":"r1"},"type":"response.updated"}`)
	if d := b.untilReason(later[1], "crm", decide.BehindEarlier); d.Attempts != 0 {
		t.Errorf("%d attempts while the first is being told", d.Attempts)
	}
	once.Do(func() { close(release) })
	b.untilState(first[0], "crm", state.Delivered)
	b.untilState(later[1], "crm", state.Delivered)
	b.untilState(later[0], "crm", state.Skipped)
	if got := p.log(); !slices.Equal(got, []string{"new m1", "amend m1"}) {
		t.Errorf("%q", got)
	}
}

// A receipt that the step's product cannot read, and a step of another product, tell anew.
func TestAmendAnew(t *testing.T) {
	t.Parallel()
	p := &amending{made: -1}
	c := settling(t, 0, "", "", all()...)
	step := c.Rules[0].Steps[0]
	step.Build["default"], step.Amend = p, true
	b := begin(t, c, nil)
	first := b.tell("api", `{"id":"e0","response":{"id":"r1"}}`)
	b.untilState(first[0], "crm", state.Delivered)
	second := b.tell("api", `{"id":"e1","response":{"id":"r1"},"type":"response.updated"}`)
	if d := b.untilState(second[0], "crm", state.Delivered); d.Reason != decide.Anew || d.Ref != "m1" {
		t.Errorf("%q, receipt %q", d.Reason, d.Ref)
	}
	other := settling(t, 0, "", "", all()...)
	other.Rules[0].Steps[0].Amend = true
	b.reload(other)
	third := b.tell("api", `{"id":"e2","response":{"id":"r1"},"type":"response.updated"}`)
	if d := b.untilState(third[0], "crm", state.Delivered); d.Reason != decide.Anew {
		t.Errorf("%q", d.Reason)
	}
}
