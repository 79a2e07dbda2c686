package hubspot

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// The mark stands at a note's end, so that an answer of the search is read whole: also one of as many notes, as long, as
// HubSpot keeps and gives, each character written in as many bytes as JSON may.
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
					end = "<br>[sg:r1]"
				}
				long := strings.Repeat(text, maxText-len(end)) + end
				results = append(results, fmt.Sprintf(`{"id":"%d","properties":{"hs_note_body":"%s"}}`, 900+i, long))
			}
			body := []byte(`{"total":10,"results":[` + strings.Join(results, ",") + `]}`)
			if !json.Valid(body) {
				t.Fatal("the test's answer is no JSON")
			}
			most := min(len(body), max(search.Keep, 64<<10)) // as the gateway reads it
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
