package portal

import (
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (p *Portal) mountRecovery() {
	p.get(access.CanReplay, "/webhooks/:name/recover", p.recovery)
	p.post(access.CanReplay, "/webhooks/:name/recover", p.recover)
}

// spans are the times that a recovery offers.
var spans = []struct{ Value, Words string }{{"1h", "the last hour"}, {"24h", "the last 24 hours"}, {"7d", "the last 7 days"}, {"30d", "the last 30 days"}}

type recovery struct {
	visit
	Name  string
	Spans []struct{ Value, Words string }
	// Since is one of Spans, a time, or the id of a delivery, of which Delivery says so.
	Since    string
	Delivery bool
	// Would is the count; nil before it.
	Would *view.ReplayCount
}

// Own reports whether Since is a time that the visitor wrote.
func (v *recovery) Own() bool {
	for _, s := range v.Spans {
		if s.Value == v.Since {
			return false
		}
	}
	return v.Since != "" && !v.Delivery
}

func (p *Portal) newRecovery(r *page.Request, since string, problem *page.Problem) *recovery {
	v := &recovery{visit: visited(r, problem), Name: r.Param("name"), Spans: spans, Since: since}
	if v.Since == "" {
		v.Since = "24h"
	}
	v.Delivery = len(v.Since) > len("dl_") && v.Since[:3] == "dl_"
	return v
}

func (p *Portal) recovery(r *page.Request) error {
	if err := isThere(r, r.Param("name")); err != nil {
		return err
	}
	return r.Show("recover", p.newRecovery(r, r.Query("since"), nil))
}

// isThere returns the error of a webhook that is not there. A visitor who may only replay cannot read one: a recovery without a time is
// refused for that only where there is the webhook.
func isThere(r *page.Request, name string) error {
	path := page.Path("/v1/webhooks", name)
	if can(r, access.CanWebhooks) {
		return r.Read(path, nil, &view.Webhook{})
	}
	_, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: path + "/recover", Body: view.RecoverRequest{DryRun: true}, DryRun: true})
	if problem := answer.FromError(err); err != nil && problem.Status != fiber.StatusUnprocessableEntity {
		return err
	}
	return nil
}

// recover counts what has failed since a time or, where that was seen, sends it again.
func (p *Portal) recover(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	since := form.Get("since")
	if own := form.Get("own"); since == "own" || since == "" {
		since = own
	}
	name, sure := r.Param("name"), form.Get("sure") == "1"
	ask := page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/webhooks", name, "recover"), Body: view.RecoverRequest{Since: since, DryRun: !sure}}
	answered, err := r.Ask(ask)
	if err != nil {
		if problem := r.Refusal(err); problem != nil && problem.Status != fiber.StatusNotFound {
			return r.Show("recover", p.newRecovery(r, since, problem))
		}
		return err
	}
	if !sure {
		v, would := p.newRecovery(r, since, nil), view.WouldReplay{}
		if err := answered.Decode(&would); err != nil {
			return err
		}
		v.Would = &would.Would
		return r.Show("recover", v)
	}
	var job view.Job
	if err := answered.Decode(&job); err != nil {
		return err
	}
	to, note := "/deliveries?destination="+url.QueryEscape(name), "The failed deliveries are sent again, one after another."
	if !job.Counting {
		note = plural(job.Total, "failed delivery is", "failed deliveries are") + " sent again, one after another."
	}
	if !can(r, access.CanDeliveries) {
		to = "/"
	}
	return r.See(to, note)
}
