// Package actiontest_test loads configurations of a product with an action, which no built-in product
// needs to have. It stands apart because what it registers would be listed in the error texts of config.
package actiontest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

type account struct {
	Token   connectors.Secret  `yaml:"token"`
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// crm is a product with a rate of its own.
type crm struct {
	account    `yaml:",inline"`
	Key        string            `yaml:"key,omitempty"`
	Properties expression.Values `yaml:"properties,omitempty"`
}

func (c *crm) Build(*event.Event) (*connectors.Request, error) {
	return nil, errors.New("not built here")
}
func (c *crm) Rate() connectors.Rate { return connectors.Rate{Requests: 9, Per: time.Second} }

// note is an action of it.
type note struct {
	account `yaml:",inline"`
	Text    expression.Text `yaml:"text"`
	Pinned  bool            `yaml:"pinned,omitempty"`
}

func (n *note) Build(*event.Event) (*connectors.Request, error) {
	return nil, errors.New("not built here")
}

func (n *note) Validate() error {
	if n.Pinned && strings.Contains(n.Text.String(), "{{") {
		return connectors.Invalid("pinned", "does not go with holes; leave one of them out")
	}
	return nil
}

func init() {
	connectors.Register("crm", func() connectors.Connector { return &crm{Key: "email"} })
	connectors.Register("crm.note", func() connectors.Connector { return &note{} })
}

func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "surveygate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{Path: path, Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", ""))
	}
	return c, err
}

// TestAction: an action has the connection's account and nothing else of the connection.
func TestAction(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
connections:
  main: {crm: {token: t, key: phone, properties: {nps: nps_score}}}
rules:
  - name: all
    send:
      - main
      - main: {properties: {seg: "'x'"}}
        as: second
      - main.note: {text: "NPS {{ nps_score }}"}
`)
	if err != nil {
		t.Fatal(err)
	}
	steps := c.Rules[0].Steps
	if got := steps[0].Build["default"].(*crm); got.Key != "phone" || got.Properties.IsZero() {
		t.Errorf("alone: %+v", got)
	}
	if got := steps[1].Build["default"].(*crm); got.Key != "phone" || steps[1].Name != "second" || got == steps[0].Build["default"] {
		t.Errorf("with settings: %+v", got)
	}
	got := steps[2].Build["default"].(*note)
	if steps[2].Name != "main.note" || steps[2].Connector(c.Destinations[0]) != "crm.note" || steps[2].Destination != "main" || got.Token != connectors.NewSecret("t") || got.Text.String() != "NPS {{ nps_score }}" {
		t.Errorf("action: %+v, %+v", steps[2], got)
	}
	if d := c.Destinations[0]; d.Rate != (config.Rate{Events: 9, Per: time.Second}) || len(d.Credentials) != 2 {
		t.Errorf("destination: %+v", d)
	}
}

func TestActionFaults(t *testing.T) {
	t.Parallel()
	_, err := load(t, `connections:
  main: {crm: {token: t}}
  wrong: {crm.note: {token: t}}
  empty: {crm: {}}
rules:
  - name: all
    send:
      - main.nte
      - {main.note: , as: missing}
      - {main.note: {text: "{{ email }}", pinned: true}, as: pinned}
      - {main.note: {text: x, key: phone}, as: key}
      - {main.note: {text: x, token: other, base_url: "https://example.com"}, as: secret}
`)
	want := "\n" + `surveygate.yaml:3:11: ` + "`crm.note`" + ` is an action, but a connection needs a product
    3 |   wrong: {crm.note: {token: *}}
      |           ^~~~~~~~ write crm: here, and wrong.note: under send in the rule
surveygate.yaml:4:16: ` + "`token`" + ` is missing
    4 |   empty: {crm: {}}
      |                ^ add token:
surveygate.yaml:8:9: ` + "`nte`" + ` is not an action of crm
    8 |       - main.nte
      |         ^~~~~~~~ did you mean main.note?
surveygate.yaml:9:10: ` + "`text`" + ` is missing
    9 |       - {main.note: , as: missing}
      |          ^~~~~~~~~ add text:
surveygate.yaml:10:51: ` + "`pinned`" + ` does not go with holes
   10 |       - {main.note: {text: "{{ email }}", pinned: true}, as: pinned}
      |                                                   ^~~~ leave one of them out
surveygate.yaml:11:31: ` + "`key`" + ` is not a setting here
   11 |       - {main.note: {text: x, key: phone}, as: key}
      |                               ^~~ one of: base_url, pinned, text, token
surveygate.yaml:12:31: ` + "`token`" + ` is a secret, and rules may not contain secrets
   12 |       - {main.note: {text: x, token: *****, base_url: "https://example.com"}, as: secret}
      |                               ^~~~~ move it to the connection
surveygate.yaml:12:45: ` + "`base_url`" + ` belongs to the connection, not to a rule
   12 |       - {main.note: {text: x, token: *****, base_url: "https://example.com"}, as: secret}
      |                                             ^~~~~~~~ move it to the connection`
	if diff := cmp.Diff(want, "\n"+err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
