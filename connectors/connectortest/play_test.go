package connectortest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// chain is a connector that looks a person up and then writes a note: the second request uses the answer to the first.
type chain struct {
	Token connectors.Secret `yaml:"token"`
	Note  expression.Text   `yaml:"note,omitempty"`
	Limit int               `yaml:"limit,omitempty"`
	Wait  time.Duration     `yaml:"wait,omitempty"`
	Tags  []string          `yaml:"tags,omitempty"`
	Row   expression.Values `yaml:"row,omitempty"`
	Extra map[string]string `yaml:"extra,omitempty"`
	Quiet bool              `yaml:"quiet,omitempty"`
}

func (c *chain) Build(ev *event.Event) (*connectors.Request, error) {
	email := ev.Data().Respondent.Email
	switch {
	case email == "":
		return nil, connectors.Skip("no e-mail")
	case strings.HasPrefix(email, "error"):
		return nil, errors.New("no good")
	}
	return connectors.Get("https://crm.example/people?email=" + email).Named("search").As(connectors.Bearer(c.Token)), nil
}

func (c *chain) Judge(res *connectors.Response) connectors.Verdict {
	if v := connectors.ByStatus(res); v.Kind != connectors.Delivered || res.To.Name != "search" {
		return v
	}
	note, err := c.Note.Render(res.Events[0])
	if err != nil {
		return connectors.Reject("note")
	}
	return connectors.Then(connectors.Post("https://crm.example/notes/"+string(res.Body), map[string]any{"note": note, "earlier": len(res.Trail)}))
}

func init() {
	connectors.Register("chain", func() connectors.Connector { return &chain{Limit: 7} })
}

const transcript = `A chain.
-- config.yaml --
token: abc
note: "NPS {{ nps_score }}"
-- event.json --
{"type": "response.completed", "nps_score": 3, "email": "jo@example.com"}
-- request --
GET https://crm.example/people?email=jo@example.com
-- response --
200

17
-- request --
POST https://crm.example/notes/17

{
  "earlier": 0,
  "note": "NPS 3"
}
-- response --
201
-- verdict --
delivered
-- response --
503
Retry-After: 5
-- verdict --
retry after 5s: 503 Service Unavailable
`

func TestAChainIsPlayed(t *testing.T) {
	t.Parallel()
	got, err := Transcribe("chain", []byte(transcript), Bind)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(transcript, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestAStaleTranscriptDiffers(t *testing.T) {
	t.Parallel()
	stale := strings.Replace(strings.Replace(transcript, "NPS 3", "NPS 4", 1), "delivered", "rejected", 1)
	got, err := Transcribe("chain", []byte(stale), Bind)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(transcript, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestEventsThatAreNotSent(t *testing.T) {
	t.Parallel()
	rows := map[string]struct{ config, event, want string }{
		"skipped": {"token: a", `{"type": "test"}`, "skip: no e-mail"},
		"error":   {"token: a", `{"type": "test", "email": "error@example.com"}`, "error: no good"},
		"missing": {"note: a", `{"type": "test"}`, "invalid: token is missing"},
		"unknown": {"{token: a, tokn: b}", `{"type": "test"}`, "invalid: tokn is no setting"},
		"twice":   {"token: a\ntoken: b", `{"type": "test"}`, "invalid: token is written twice"},
		"text":    {`{token: a, note: "{{ nps_scor }}"}`, `{"type": "test"}`, "invalid: note: "},
		"values":  {`{token: a, row: {x: nps_scor}}`, `{"type": "test"}`, "invalid: row: x: "},
		"number":  {"{token: a, limit: many}", `{"type": "test"}`, "invalid: limit: "},
		"wait":    {"{token: a, wait: long}", `{"type": "test"}`, "invalid: wait: "},
		"list":    {"{token: a, tags: one}", `{"type": "test"}`, "invalid: tags: a list is wanted"},
		"mapping": {"{token: a, extra: [1]}", `{"type": "test"}`, "invalid: extra: a mapping is wanted"},
		"scalar":  {"just words", `{"type": "test"}`, "invalid: a mapping is wanted"},
	}
	for name, row := range rows {
		text := "-- config.yaml --\n" + row.config + "\n-- event.json --\n" + row.event + "\n"
		got, err := Transcribe("chain", []byte(text), Bind)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.Contains(string(got), "-- build --\n"+row.want) {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
}

func TestBindFillsEveryKind(t *testing.T) {
	t.Parallel()
	c, _ := connectors.New("chain")
	err := Bind([]byte(`{token: a, wait: 2m, tags: [a, b], extra: {x: y}, quiet: true, row: {n: 1, f: 2.5, b: true, e: nps_score, l: [1, email], m: {x: "'y'"}}}`), c)
	if err != nil {
		t.Fatal(err)
	}
	got := c.(*chain)
	ev, err := ParseEvent([]byte(`{"type": "response.completed", "nps_score": 3, "email": "jo@example.com"}`))
	if err != nil {
		t.Fatal(err)
	}
	row, err := got.Row.Evaluate(ev)
	if err != nil {
		t.Fatal(err)
	}
	text, err := event.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"n":1,"f":2.5,"b":true,"e":3,"l":[1,"jo@example.com"],"m":{"x":"y"}}`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if got.Limit != 7 || got.Wait != 2*time.Minute || !got.Quiet || !cmp.Equal(got.Tags, []string{"a", "b"}) || got.Extra["x"] != "y" {
		t.Errorf("got %+v", got)
	}
}

func TestTranscriptsAreStrict(t *testing.T) {
	t.Parallel()
	rows := map[string]string{
		"no event":     "-- config.yaml --\ntoken: a\n",
		"unknown part": transcript + "-- verdicts --\n",
		"bad response": strings.Replace(transcript, "201", "created", 1),
		"bad header":   strings.Replace(transcript, "Retry-After: 5", "Retry-After 5", 1),
		"bad digest":   strings.Replace(transcript, "-- request --", "-- digest --\n{\"rules\": 1}\n-- request --", 1),
		"bad event":    strings.Replace(transcript, `"nps_score"`, `"nps_scor"`, 1),
	}
	for name, text := range rows {
		if got, err := Transcribe("chain", []byte(text), Bind); err == nil {
			t.Errorf("%s: no error\n%s", name, got)
		}
	}
	if _, err := Transcribe("nobody", []byte(transcript), Bind); err == nil {
		t.Error("nobody is registered")
	}
}
