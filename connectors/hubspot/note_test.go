package hubspot

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

// The mark is at the end of a note, so the whole answer of the search is needed. The response limit suffices for the largest
// number of the longest notes, with every character escaped.
func TestLongNotesAreFound(t *testing.T) {
	t.Parallel()
	ev := given(t, `{"type":"response.completed","email":"jane@example.com","response":{"id":"r1"}}`)
	contact := &connectors.Response{Status: 200, Body: []byte(`{"status":"COMPLETE","results":[{"id":"512"}]}`), Events: []*event.Event{ev}}
	for _, text := range []string{"x", `\u00fc`} {
		for _, notes := range []int{1, 10} {
			n := bound(t, "hubspot.note", "").(*Note)
			search := n.Judge(contact).Next
			var results []string
			for i := range notes {
				end := "<br>[sg:other]"
				if i == notes-1 {
					end = "<br>" + mark(ev)
				}
				long := strings.Repeat(text, maxText-len(end)) + end
				results = append(results, fmt.Sprintf(`{"id":"%d","properties":{"hs_note_body":"%s"}}`, 900+i, long))
			}
			body := []byte(`{"total":10,"results":[` + strings.Join(results, ",") + `]}`)
			if !json.Valid(body) {
				t.Fatal("the test's answer is no JSON")
			}
			most := min(len(body), max(search.ResponseLimit, 64<<10)) // as the gateway reads it
			found := &connectors.Response{
				Status: 200, Body: body[:most], Truncated: most < len(body), To: search,
				Events: contact.Events, Trail: []*connectors.Response{contact},
			}
			if v := n.Judge(found); v.Kind != connectors.Delivered {
				t.Errorf("%d notes of %s: %s, want delivered", notes, text, v.Kind)
			}
		}
	}
}

// Platforms number responses from 1. A note for a response with the same id in another survey, source or tenant does not prevent
// this response's note, and neither does a note with an old mark, which held only the id.
func TestAnotherResponsesNoteIsNotThisOnes(t *testing.T) {
	t.Parallel()
	n := bound(t, "hubspot.note", "").(*Note)
	of := func(tenant, source, survey, key string) *event.Event {
		body := fmt.Sprintf(`{"type":"response.completed","id":%q,"email":"jane@example.com","survey":{"id":%q},"response":{"id":"1"}}`, key, survey)
		ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: tenant, Source: source, Received: connectortest.ReceivedAt, Verified: "hmac"})
		if err != nil {
			t.Fatal(err)
		}
		return ev
	}
	judge := func(ev *event.Event, mark string) connectors.Verdict {
		contact := &connectors.Response{Status: 200, Body: []byte(`{"status":"COMPLETE","results":[{"id":"512"}]}`), Events: []*event.Event{ev}}
		answer := fmt.Sprintf(`{"total":1,"results":[{"id":"900","properties":{"hs_note_body":"Score 9<br>%s"}}]}`, mark)
		return n.Judge(&connectors.Response{
			Status: 200, Body: []byte(answer), To: n.Judge(contact).Next, Events: contact.Events, Trail: []*connectors.Response{contact},
		})
	}
	ev := of("acme", "limesurvey", "7", "a")
	if v := judge(ev, mark(of("acme", "limesurvey", "7", "later"))); v.Kind != connectors.Delivered {
		t.Errorf("the response has its note: %s", v.Kind)
	}
	for name, other := range map[string]string{
		"another survey":   mark(of("acme", "limesurvey", "8", "b")),
		"another platform": mark(of("acme", "wufoo", "7", "c")),
		"another tenant":   mark(of("zeta", "limesurvey", "7", "d")),
		"a mark of before": "[sg:1]",
	} {
		if v := judge(ev, other); v.Kind != connectors.Continue || v.Next.Name != noted {
			t.Errorf("%s: %s, want the note to be written", name, v.Kind)
		}
	}
	if m := mark(ev); len(m) != len("[sg:]")+20 || strings.ContainsFunc(code(ev), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '2' || r > '7') }) {
		t.Errorf("the mark %s is no single word to HubSpot's search", m)
	}
}
