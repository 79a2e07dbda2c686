// Command fetching is surveygate with a product whose access token is fetched with a refresh token.
package main

import (
	"os"

	"github.com/surveygate/surveygate/cmd/command"
	"github.com/surveygate/surveygate/connectors"
	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/rules/event"
)

// Connector posts to a product whose access token is fetched.
type Connector struct {
	// BaseURL is the product's address.
	BaseURL connectors.BaseURL `yaml:"base_url"`
}

func (c *Connector) request() *connectors.Request {
	return connectors.Post(string(c.BaseURL)+"/records", nil).As(connectors.OAuth2{
		Grant: connectors.GrantRefreshToken, TokenURL: string(c.BaseURL) + "/token", ClientID: "surveygate",
	})
}

// Build posts a record.
func (c *Connector) Build(*event.Event) (*connectors.Request, error) { return c.request(), nil }

// Check posts one too, which no test does.
func (c *Connector) Check() []*connectors.Request { return []*connectors.Request{c.request()} }

// JudgeCheck finds nothing missing.
func (*Connector) JudgeCheck(*connectors.Response) connectors.Proof { return connectors.Proof{} }

func main() {
	connectors.Register("fetched", func() connectors.Connector { return &Connector{} })
	os.Exit(command.Main(os.Args[1:], os.Stdout, os.Stderr))
}
