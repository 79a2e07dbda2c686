package connectortest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// crowd is a connector that sends several people in one request.
type crowd struct {
	Token connectors.Secret `yaml:"token"`
}

func (c *crowd) Batch() connectors.BatchLimit { return connectors.BatchLimit{Events: 3} }

func (c *crowd) Key(ev *event.Event) string { return ev.Data().Respondent.Email }

func (c *crowd) Build(ev *event.Event) (*connectors.Request, error) {
	return c.BuildBatch([]*event.Event{ev})
}

func (c *crowd) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	people := make([]string, len(events))
	for i, ev := range events {
		if people[i] = c.Key(ev); people[i] == "" {
			return nil, connectors.Skip("no e-mail")
		}
		if strings.HasPrefix(people[i], "error") {
			return nil, errors.New("no good")
		}
	}
	return connectors.Post("https://crowd.example/people", people).As(connectors.Bearer(c.Token)), nil
}

func (c *crowd) Judge(res *connectors.Response) connectors.Verdict {
	v := connectors.ByStatus(res)
	if res.Status == 207 {
		for i := range res.Events {
			v.Each = append(v.Each, []connectors.Verdict{connectors.Deliver(), connectors.Reject("unknown")}[i%2])
		}
	}
	return v
}

func init() { connectors.Register("crowd", func() connectors.Connector { return &crowd{} }) }

const batchTranscript = `A batch.
-- config.yaml --
token: abc
-- event.json --
{"type": "response.completed", "email": "jo@example.com"}
-- event.json --
{"type": "response.completed"}
-- event.json --
{"type": "response.completed", "email": "al@example.com"}
-- build --
2: skip: no e-mail
-- request --
POST https://crowd.example/people

[
  "jo@example.com",
  "al@example.com"
]
-- response --
207
-- verdict --
1: delivered
2: rejected: unknown
-- response --
503
-- verdict --
retry: 503 Service Unavailable
`

func TestABatchIsPlayed(t *testing.T) {
	t.Parallel()
	got, err := Transcribe("crowd", []byte(batchTranscript), Bind)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(batchTranscript, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestInvalidBatches(t *testing.T) {
	t.Parallel()
	person := func(email string) string {
		return "-- event.json --\n{\"type\": \"test\", \"email\": \"" + email + "\"}\n"
	}
	rows := map[string]struct{ connector, events, want string }{
		"one key":   {"crowd", person("jo@example.com") + person("jo@example.com"), "event 2 has the key of another event"},
		"too many":  {"crowd", person("a@example.com") + person("b@example.com") + person("c@example.com") + person("d@example.com"), "a batch has 3 at most"},
		"no batch":  {"chain", person("jo@example.com") + person("al@example.com"), "takes one at a time"},
		"no event":  {"crowd", "", "needs a config.yaml and an event.json"},
		"all build": {"crowd", person("error@example.com") + person("error2@example.com"), ""},
	}
	for name, row := range rows {
		got, err := Transcribe(row.connector, []byte("-- config.yaml --\ntoken: a\n"+row.events), Bind)
		switch {
		case row.want == "":
			if err != nil || !strings.Contains(string(got), "-- build --\n1: error: no good\n2: error: no good\n") {
				t.Errorf("%s: %v, got\n%s", name, err, got)
			}
		case err == nil || !strings.Contains(err.Error(), row.want):
			t.Errorf("%s: %v, want %s", name, err, row.want)
		}
	}
}
