package portal

import (
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (p *Portal) mountWebhooks() {
	p.get("/", func(r *page.Request) error {
		if menu := p.menu(r); len(menu) > 0 {
			return r.See(menu[0].Path, "")
		}
		return r.Show("ended", nil)
	})
}
