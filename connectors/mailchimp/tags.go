package mailchimp

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// taggings is the body of the tag request.
// https://mailchimp.com/developer/marketing/api/list-member-tags/add-or-remove-member-tags/
type taggings struct {
	Tags []tagging `json:"tags"`
}

type tagging struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

// maxTag is the number of characters that Mailchimp's web pages allow. The API documents no limit.
const maxTag = 100

// tag returns the request that adds the tags; nil if the event has none. It is safe to repeat, as the contact's request is.
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
	return connectors.Post(c.at("/members/"+hash(ev.Data().Respondent.Email)+"/tags"), body).Named(tagRequest).As(c.auth()), nil
}

// LaterContent returns the tags.
func (c *Connector) LaterContent(ev *event.Event) ([]byte, error) {
	req, err := c.tag(ev)
	if err != nil || req == nil {
		return nil, err
	}
	return req.Body, nil
}

// tagRequest is the name of the request that adds the tags.
const tagRequest = "tags"
