package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// careful is the real Sender, which counts what it would have sent: nothing of these tests leaves the machine.
type careful struct {
	sender *outbound.Sender
	sent   atomic.Int64
}

func newCareful(t *testing.T) *careful {
	t.Helper()
	// Whatever gets as far as a connection ends at a proxy that is not there.
	s := outbound.New(outbound.Options{Policy: outbound.Policy{Proxy: connectors.NewSecret("http://127.0.0.1:1"), AllowHTTP: true}})
	t.Cleanup(s.Close)
	return &careful{sender: s}
}

func (c *careful) Send(ctx context.Context, r *connectors.Request, o outbound.Attempt) outbound.Result {
	res := c.sender.Send(ctx, r, o)
	if res.Kind != outbound.Credentials {
		c.sent.Add(1)
	}
	return res
}

// credentialed is a product that authorises in any way.
type credentialed struct{ auth connectors.Auth }

func (c *credentialed) Build(*event.Event) (*connectors.Request, error) {
	req := connectors.Post("https://product.example/in", struct{}{}).As(c.auth)
	if _, ok := c.auth.(connectors.AddressAuth); ok {
		req.URL = ""
	}
	return req, nil
}

// unbuildable is a product whose Build makes nothing of its credentials, alone and in batches. The first of a batch is
// skipped for another reason.
type unbuildable struct{ many }

func (*unbuildable) Build(ev *event.Event) (*connectors.Request, error) {
	if ev.OrigID == "e0" {
		return nil, connectors.Skip("no e-mail")
	}
	return nil, connectors.Unusable("the key names no data centre")
}

func (u *unbuildable) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	return u.Build(events[0])
}

// TestUnusableCredentialsPause: whatever a product does with credentials that cannot be used, no event of it is a dead
// letter: the destination pauses and says why, and its events wait with no attempt counted.
func TestUnusableCredentialsPause(t *testing.T) {
	t.Parallel()
	var events []*event.Event
	for i := range 2 {
		body := fmt.Sprintf(`{"type": "response.completed", "id": "e%d", "nps_score": 3, "feedback": "slow", "survey": {"id": "s1", "title": "S"},
			"respondent": {"email": "jo%d@example.com", "first_name": "Jo", "external_id": "c%d", "consent": true}, "params": {"customer": "c%d"}, "response": {"id": "r%d"}}`, i, i, i, i, i)
		ev, err := connectortest.ParseEvent([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, ev)
	}
	conf := &config.Config{Generation: "g1"}
	var names []string // of products, by destination
	add := func(name string, connector connectors.Connector) {
		to := destination("to"+strconv.Itoa(len(names)), time.Millisecond)
		to.Tenant, to.Product, to.Timeout, to.Concurrency = "default", name, time.Minute, 4
		conf.Destinations, conf.Rules = append(conf.Destinations, to), append(conf.Rules, ruleTo(to.Name, connector))
		names = append(names, name)
	}
	for _, bad := range []string{"secret\n", "sec\nret", " \t", "secret\xff"} {
		secret := connectors.NewSecret(bad)
		for name, auth := range map[string]connectors.Auth{
			"bearer": connectors.Bearer(secret), "basic": connectors.Basic("jo", secret), "header": connectors.Header("X-Key", secret),
			"query": connectors.Query("key", secret), "body": connectors.BodyField("key", secret), "address": connectors.Address(secret),
			"signed": connectors.SignedAuth{Secrets: []connectors.Secret{secret}},
		} {
			add(name, &credentialed{auth})
		}
		for _, name := range connectors.Names() {
			refitted := slices.DeleteFunc(connectortest.WithSecret(t, "../../../connectors", name, bad), func(c connectors.Connector) bool {
				_, err := c.Build(events[0])
				_, skips := errors.AsType[*connectors.Skipped](err) // its mapping needs another event
				return skips
			})
			if len(refitted) == 0 {
				t.Errorf("no transcript of %s has a secret, and settings that send these events", name)
			}
			for _, c := range refitted[:min(len(refitted), 3)] {
				add(name, c)
			}
		}
	}
	add("unbuildable", &unbuildable{})
	sender := newCareful(t)
	b := prepare(t, conf, nil)
	b.sender = sender
	b.open()
	if _, err := b.store.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		to := "to" + strconv.Itoa(i)
		for _, ev := range events {
			var d *state.Delivery
			b.until(name+" is settled", func() bool { d = b.delivery(ev.ID, to); return d != nil })
			if skipped := name == "unbuildable" && d.State == state.Skipped; d.Attempts > 0 || d.State != state.Waiting && !skipped {
				t.Errorf("%s: %s after %d attempts: %s", name, d.State, d.Attempts, d.Reason)
			}
		}
		b.until(name+" is held", func() bool {
			h, err := b.loop.storedHold(t.Context(), laneKey{"default", to})
			return err == nil && h.Kind == state.HoldRevoked && h.Reason != "" && h.Fingerprint != ""
		})
	}
	if n := sender.sent.Load(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestUsableCredentialsHeal: the events that waited for credentials go out when those have changed, and no attempt was
// used up meanwhile.
func TestUsableCredentialsHeal(t *testing.T) {
	t.Parallel()
	old := destination("crm", time.Millisecond)
	old.Credentials = []connectors.Secret{connectors.NewSecret("old\n")}
	conf := destinations(old)
	var mended atomic.Bool
	b := prepare(t, conf, nil)
	b.world.send = func(context.Context, seen, outbound.Attempt) outbound.Result {
		if !mended.Load() {
			return outbound.Result{Kind: outbound.Credentials, Err: &outbound.Error{Kind: outbound.Credentials, Reason: "the token ends in a line break"}}
		}
		return outbound.Result{Kind: outbound.Answered, Response: &connectors.Response{Status: 200, Header: http.Header{}, At: time.Now()}}
	}
	b.open()
	ids := b.accept(20)
	for _, id := range ids {
		b.untilState(id, "crm", state.Waiting)
	}
	b.until("held", func() bool {
		h, err := b.loop.storedHold(t.Context(), laneKey{"default", "crm"})
		return err == nil && h.Kind == state.HoldRevoked && h.Reason == "the token ends in a line break"
	})
	mended.Store(true)
	mendedTo := *old
	mendedTo.Credentials = []connectors.Secret{connectors.NewSecret("new")}
	b.plan.Store(decide.New(destinations(&mendedTo)))
	if err := b.loop.Reloaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 1 || d.Forgiven != 0 {
			t.Errorf("%d attempts, %d forgiven; want 1 and 0", d.Attempts, d.Forgiven)
		}
	}
}
