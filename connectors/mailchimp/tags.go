package mailchimp

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// taggings is the body of the second request.
// https://mailchimp.com/developer/marketing/api/list-member-tags/add-or-remove-member-tags/
type taggings struct {
	Tags []tagging `json:"tags"`
}

type tagging struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

// maxTag is what Mailchimp's own pages let one type; the API documents no limit.
const maxTag = 100

// tag is the request that adds the tags; nil where the event has none. Both requests may be repeated.
func (c *Connector) tag(ev *event.Event) (*connectors.Request, error) {
	body := taggings{Tags: make([]tagging, 0, len(c.Tags))}
	for _, text := range c.Tags {
		name, err := text.Render(ev)
		if err != nil {
			return nil, err
		}
		add := tagging{Name: connectors.Clip(strings.TrimSpace(name), maxTag), Status: "active"}
		if add.Name != "" && !slices.Contains(body.Tags, add) {
			body.Tags = append(body.Tags, add)
		}
	}
	if len(body.Tags) == 0 {
		return nil, nil
	}
	return connectors.Post(c.at("/members/"+hash(ev.Data().Respondent.Email)+"/tags"), body).Named(tagged).As(c.auth()), nil
}

// LaterContent is the tags.
func (c *Connector) LaterContent(ev *event.Event) ([]byte, error) {
	req, err := c.tag(ev)
	if err != nil || req == nil {
		return nil, err
	}
	return req.Body, nil
}

// tagged names the second request.
const tagged = "tags"
