package deliver

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// local is a product at an address of this machine.
type local struct{ url string }

func (p *local) Build(*event.Event) (*connectors.Request, error) {
	return connectors.Post(p.url, struct{}{}), nil
}

// A private address that the policy allows is reached by a trusted destination and refused to any other; every attempt names
// its tenant.
func TestOnlyTrustedDestinationsReachPrivateAddresses(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	sender := outbound.New(outbound.Options{Policy: outbound.Policy{AllowAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	t.Cleanup(sender.Close)

	for trusted, want := range map[bool]state.DeliveryState{true: state.Delivered, false: state.Dead} {
		d := destination("crm")
		d.Trusted = trusted
		conf := destinations(d)
		conf.Rules = []*config.Rule{ruleTo("crm", &local{server.URL})}
		b := prepare(t, conf, nil)
		b.sender = senders(func(ctx context.Context, r *connectors.Request, o outbound.Attempt) outbound.Result {
			if o.Trusted != trusted || o.Tenant != "default" {
				t.Errorf("the attempt is %+v of a destination with Trusted %t", o, trusted)
			}
			res := sender.Send(ctx, r, o)
			if refused := res.Kind == outbound.Refused; refused == trusted {
				t.Errorf("trusted %t: %s %v", trusted, res.Kind, res.Err)
			}
			return res
		})
		b.open()
		b.untilState(b.accept(1)[0], "crm", want)
		b.close()
	}
}
