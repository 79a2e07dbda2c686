package deliver

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// wordy is a product whose answers are long.
type wordy struct{ keep int }

func (p *wordy) Build(ev *event.Event) (*connectors.Request, error) {
	return connectors.Post("https://product.example/"+ev.OrigID, struct{}{}).LimitResponse(p.keep), nil
}

// A request says how much of its answer is needed, and gets no more than there is memory for.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	for keep, want := range map[int]int{0: 0, 1 << 20: 1 << 20, 1 << 30: maxResponseLimit} {
		conf := destinations(destination("crm", time.Minute))
		conf.Rules = []*config.Rule{ruleTo("crm", &wordy{keep})}
		b := prepare(t, conf, nil)
		var asked atomic.Int64
		b.world.send = func(_ context.Context, _ seen, o outbound.Attempt) outbound.Result {
			asked.Store(int64(o.Keep))
			return ok()
		}
		b.open()
		b.untilState(b.accept(1)[0], "crm", state.Delivered)
		if got := int(asked.Load()); got != want {
			t.Errorf("%d of an answer are kept where %d are needed, want %d", got, keep, want)
		}
		b.close()
	}
}
