package console

import (
	"net/url"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// maxLinkPages bounds how many pages of portal links are looked through.
const maxLinkPages = 10

// confirmLinkEnd asks before a portal link ends, and says whose session ends with it.
func (c *Console) confirmLinkEnd(r *page.Request) error {
	id, cursor := r.Param("id"), ""
	for range maxLinkPages {
		var list view.Page[view.PortalLink]
		if err := r.Read(page.Path("/v1/tenants", r.Tenant)+"/portal-links", url.Values{"limit": {"200"}, "cursor": {cursor}}, &list); err != nil {
			return err
		}
		if at := slices.IndexFunc(list.Data, func(l view.PortalLink) bool { return l.ID == id }); at >= 0 {
			return r.Show("linkend", list.Data[at])
		}
		if list.Next == nil {
			break
		}
		cursor = *list.Next
	}
	return answer.NotFound("portal link")
}
