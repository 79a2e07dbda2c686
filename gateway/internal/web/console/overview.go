package console

import (
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountOverview() { c.get("/", c.overview) }

type overview struct{ Health view.Health }

func (c *Console) overview(r *page.Request) error {
	var o overview
	if err := r.Read("/v1/health", nil, &o.Health); err != nil {
		return err
	}
	if r.Wants("tiles") {
		return r.Part("overview", "tiles", o)
	}
	return r.Show("overview", o)
}
