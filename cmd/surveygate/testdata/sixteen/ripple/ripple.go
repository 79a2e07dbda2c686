// Package ripple writes one signal per response into a workspace of Ripple, a product that does not exist: its access tokens are
// fetched, and it takes batches.
package ripple

import (
	"slices"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge   = (*Connector)(nil)
	_ connectors.Batcher = (*Connector)(nil)
	_ connectors.Checker = (*Connector)(nil)
)

func init() {
	connectors.Register("ripple", func() connectors.Connector { return &Connector{} })
}

// Connector writes signals.
type Connector struct {
	// ClientID is the id of an application of the workspace.
	ClientID string `yaml:"client_id"`

	// ClientSecret is the secret of that application.
	ClientSecret connectors.Secret `yaml:"client_secret"`

	// Workspace is the workspace's id.
	Workspace string `yaml:"workspace"`

	// Values are added to the values of the signal, or replace them. Texts are cut to 500 characters.
	Values expression.Values `yaml:"values,omitempty"`

	// TokenURL is the address that issues access tokens; the default is `https://id.ripple.example/token`.
	TokenURL connectors.BaseURL `yaml:"token_url,omitempty"`

	// BaseURL is the address before `/WORKSPACE`; the default is `https://api.ripple.example/v1`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

const maxText = 500 // characters of one value

type signal struct {
	ID     string            `json:"id"`
	Values expression.Object `json:"values"`
}

// Build writes one signal.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	return c.BuildBatch([]*event.Event{ev})
}

// Key is empty: no signal changes another.
func (c *Connector) Key(*event.Event) string { return "" }

// Batch returns the limit of one request.
func (c *Connector) Batch() connectors.BatchLimit { return connectors.BatchLimit{Events: 50} }

// BuildBatch writes several signals. Ripple ignores a signal whose id it knows.
func (c *Connector) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	signals := make([]signal, len(events))
	for i, ev := range events {
		values, err := connectors.Properties(ev, c.Values, maxText)
		if err != nil {
			return nil, err
		}
		signals[i] = signal{ID: connectors.RecordID(ev, "signal"), Values: values}
	}
	body := struct {
		Signals []signal `json:"signals"`
	}{signals}
	return connectors.Post(c.at("/signals"), body).As(c.auth()), nil
}

func (c *Connector) at(path string) string {
	return c.BaseURL.At("https://api.ripple.example/v1", "/"+c.Workspace+path)
}

func (c *Connector) auth() connectors.Auth {
	return connectors.OAuth2{
		Grant: connectors.GrantClientCredentials, TokenURL: c.TokenURL.At("https://id.ripple.example/token", ""),
		ClientID: c.ClientID, ClientSecret: c.ClientSecret,
	}
}

// Judge delivers the signals that the answer names.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	v := connectors.ByStatus(res)
	if v.Kind != connectors.Delivered {
		return v
	}
	var answer struct {
		Written []string `json:"written"`
	}
	if res.JSON(&answer) != nil {
		return connectors.TryAgain("the answer is not Ripple's")
	}
	return connectors.JudgeEach(res, func(_ int, ev *event.Event) (connectors.Verdict, bool) {
		return v, slices.Contains(answer.Written, connectors.RecordID(ev, "signal"))
	})
}

// Check asks for the workspace.
func (c *Connector) Check() []*connectors.Request {
	return []*connectors.Request{connectors.Get(c.at("")).As(c.auth())}
}

// JudgeCheck reads the status.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	return connectors.ProofByStatus(res)
}
