// Package pager calls the team on duty at Acme.
package pager

import (
	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var _ connectors.Judge = (*Connector)(nil)

func init() {
	connectors.Register("pager", func() connectors.Connector {
		return &Connector{Text: expression.MustText("NPS {{ nps_score }}: {{ feedback ?? 'no comment' }}")}
	})
}

// Connector calls one team per event.
type Connector struct {
	// Token is the team's API token.
	Token connectors.Secret `yaml:"token"`

	// Team is the name of the team that is called.
	Team string `yaml:"team"`

	// Text is the message.
	Text expression.Text `yaml:"text,omitempty"`

	// BaseURL is the address before `/calls`; the default is `https://pager.acme.example/v1`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// call is the body. Key is the event's id, by which the pager recognises a repeated call.
type call struct {
	Team string `json:"team"`
	Text string `json:"text"`
	Key  string `json:"key"`
}

const maxText = 160 // characters on the pager's display

// Build calls the team.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	text, err := c.Text.Render(ev)
	if err != nil {
		return nil, err
	}
	body := call{Team: c.Team, Text: connectors.Clip(text, maxText), Key: ev.ID}
	return connectors.Post(c.BaseURL.At("https://pager.acme.example/v1", "/calls"), body).
		As(connectors.Header("X-Pager-Token", c.Token)), nil
}

// Judge accepts 409, the pager's answer to a repeated call.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	if res.Status == 409 {
		return connectors.Deliver() // the team was called for this event before
	}
	return connectors.ByStatus(res)
}
