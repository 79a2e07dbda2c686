package slack

import (
	"encoding/json"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

// TestAPipeInALink: what a respondent wrote ends no address and begins no label; outside of links it stays as it is.
func TestAPipeInALink(t *testing.T) {
	t.Parallel()
	const given = `{"type":"test","feedback":"a|b<c|d>","first_name":"Jo | Doe"}`
	for _, row := range []struct{ text, want string }{
		{"{{ feedback }} | {{ first_name }}", "a|b&lt;c|d&gt; | Jo | Doe"},
		{"<https://crm.example/?q={{ feedback }}|{{ first_name }}> | x", "<https://crm.example/?q=a%7Cb&lt;c%7Cd&gt;|Jo ¦ Doe> | x"},
		{"<https://crm.example/?q={{ feedback }}>", "<https://crm.example/?q=a%7Cb&lt;c%7Cd&gt;>"},
		{"<https://crm.example|NPS | {{ first_name }}>", "<https://crm.example|NPS ¦ Jo ¦ Doe>"},
		{"<@{{ first_name }}|{{ first_name }}> <!date^1^{{ first_name }}|x|y>", "<@Jo ¦ Doe|Jo ¦ Doe> <!date^1^Jo ¦ Doe|x¦y>"},
		{"2 < 3 {{ first_name }} <https://a.example|{{ first_name }}>", "2 < 3 Jo | Doe <https://a.example|Jo ¦ Doe>"},
		{"1 < {{ first_name }} > 2", "1 < Jo | Doe > 2"},
		{"open <https://a.example|{{ first_name }}", "open <https://a.example|Jo | Doe"},
		{"\uFDD0{{ first_name }}", "|Jo | Doe"},
	} {
		for _, way := range []string{"text", "reply", "mrkdwn", "plain_text"} {
			name, settings := "slack", "token: xoxb-1\nchannel: C1\n"
			quoted, err := json.Marshal(row.text)
			if err != nil {
				t.Fatal(err)
			}
			want := row.want
			switch way {
			case "text":
				settings += "text: " + string(quoted)
			case "reply":
				name, settings = "slack.thread", settings+"reply: "+string(quoted)
			case "mrkdwn":
				settings += `blocks: [{type: "'section'", text: {type: "'mrkdwn'", text: ` + string(quoted) + `}}]`
			case "plain_text":
				if row.text != "{{ feedback }} | {{ first_name }}" {
					continue
				}
				want = "a|b<c|d> | Jo | Doe"
				settings += `blocks: [{type: "'header'", text: {type: "'plain_text'", text: ` + string(quoted) + `}}]`
			}
			c, _ := connectors.New(name)
			if err := connectortest.Bind([]byte(settings), c); err != nil {
				t.Fatal(err)
			}
			ev, err := connectortest.ParseEvent([]byte(given))
			if err != nil {
				t.Fatal(err)
			}
			if got := written(t, c, ev, way); got != want {
				t.Errorf("%s %s:\n got %q\nwant %q", way, row.text, got, want)
			}
		}
	}
}

// written is what Slack is given of a text.
func written(t *testing.T, c connectors.Connector, ev *event.Event, way string) string {
	t.Helper()
	req, err := c.Build(ev)
	if err != nil {
		t.Fatal(err)
	}
	if way == "reply" {
		posted := &connectors.Response{Status: 200, Body: []byte(`{"ok":true,"ts":"1.2","channel":"C1"}`), To: req, Events: []*event.Event{ev}}
		req = c.(*Thread).Judge(posted).Next
	}
	var body struct {
		Text   string
		Blocks []struct{ Text struct{ Text string } }
	}
	if err := json.Unmarshal(req.Body, &body); err != nil {
		t.Fatal(err)
	}
	if len(body.Blocks) > 0 {
		return body.Blocks[0].Text.Text
	}
	return body.Text
}
