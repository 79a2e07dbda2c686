package decide

import (
	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// forgetter is a connector as it asks its product to erase the respondents of events.
type forgetter struct{ connectors.Forgetter }

// forgetting returns the connector that asks a product to erase a person; nil if the product cannot.
func forgetting(c connectors.Connector) connectors.Connector {
	f, ok := c.(connectors.Forgetter)
	if !ok {
		return nil
	}
	if judge, ok := c.(connectors.Judge); ok {
		return judgedForgetter{forgetter{f}, judge.Judge}
	}
	return forgetter{f}
}

// Build builds the request that erases the respondent.
func (f forgetter) Build(ev *event.Event) (*connectors.Request, error) { return f.Forget(ev) }

// MaxRequests is that of the longest erasure: search, and delete.
func (f forgetter) MaxRequests() int { return 5 }

var _ connectors.Judge = judgedForgetter{}

// judgedForgetter has the connector's own judgement.
type judgedForgetter struct {
	forgetter

	judge func(*connectors.Response) connectors.Verdict
}

// Judge judges as the connector does.
func (f judgedForgetter) Judge(res *connectors.Response) connectors.Verdict { return f.judge(res) }
