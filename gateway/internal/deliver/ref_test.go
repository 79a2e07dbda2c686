package deliver

import (
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// writer is a product that answers with the id of what it wrote; its second answer names none.
type writer struct {
	product
	refs chan string
}

func (w *writer) Judge(res *connectors.Response) connectors.Verdict {
	v := connectors.ByStatus(res)
	v.Kind = connectors.Retry
	select {
	case v.Ref = <-w.refs:
	default:
		v.Kind = connectors.Delivered
	}
	return v
}

// The product's id of what was written stays with the delivery, also when a later attempt names none. One that is too long
// to be an id is not kept.
func TestRefIsKept(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"7012": "7012", strings.Repeat("x", connectors.MaxRef+1): ""} {
		w := &writer{refs: make(chan string, 1)}
		w.refs <- given
		conf := destinations(destination("crm", time.Millisecond))
		conf.Rules = []*config.Rule{ruleTo("crm", w)}
		b := begin(t, conf, nil)
		if d := b.untilState(b.accept(1)[0], "crm", state.Delivered); d.Ref != want {
			t.Errorf("%q is kept, want %q", d.Ref, want)
		}
		b.close()
	}
}
