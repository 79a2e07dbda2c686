package portal

import (
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (p *Portal) mountWebhooks() {
	p.get("/", func(r *page.Request) error {
		for _, item := range p.menu(r) {
			return r.See(item.Path, "")
		}
		return r.Show("ended", nil)
	})
}
