// Package pager wakes whoever is on duty at Acme.
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
	// Token is the team's own.
	Token connectors.Secret `yaml:"token"`

	// Team is who is called.
	Team string `yaml:"team"`

	// Text is what they read.
	Text expression.Text `yaml:"text,omitempty"`

	// BaseURL stands before `/calls`; without it, `https://pager.acme.example/v1`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// call is the body. Key is the event's id, by which the pager knows a repeat.
type call struct {
	Team string `json:"team"`
	Text string `json:"text"`
	Key  string `json:"key"`
}

const maxText = 160 // the display's

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

// Judge knows the pager's own word for a repeat.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	if res.Status == 409 {
		return connectors.Deliver() // it has been called for this event already
	}
	return connectors.ByStatus(res)
}
