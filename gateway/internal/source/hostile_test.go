package source

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHostileBodies holds the cost of a body of the largest size, whatever is in it: far below what a request may
// take, so that one sender cannot stop the others.
func TestHostileBodies(t *testing.T) {
	const size = 1 << 20
	const limit = 15 * time.Second // measured: below 70 ms, and ten times that under -race; the rest is for a slow machine
	fill := func(head, element, tail string) string {
		n := (size - len(head) - len(tail)) / (len(element) + 1)
		return head + strings.Repeat(element+",", n) + element + tail
	}
	var keys strings.Builder
	for i := 0; keys.Len() < size; i++ {
		fmt.Fprintf(&keys, `"%d":"",`, i)
	}
	bodies := []struct{ name, profile, body string }{
		{"numbers for answers", "popsee", fill(`{"event":"response.completed","response":{"answers":[`, `1`, `]}}`)},
		{"empty objects", "popsee", fill(`{"event":"response.completed","response":{"answers":[`, `{}`, `]}}`)},
		{"empty answers", "pollqr", `{"event":"response.created","response":{"answers":{` + keys.String() + `"x":1}}}`},
		{"one key again", "pollqr", fill(`{"event":"response.created","response":{"answers":{`, `"k":1`, `}}}`)},
		{"one path again", "pollqr", fill(`{"event":"response.created",`, `"response":{"nps_score":"x"}`, `}`)},
		{"a long text", "pollqr", `{"event":"response.created","response":{"answers":{"1":"` + strings.Repeat("@a.", size/3) + `"}}}`},
		{"escapes", "pollqr", `{"event":"` + strings.Repeat(`\u0040`, size/6) + `"}`},
		{"params", "popsee", `{"event":"response.completed","response":{"customParams":{` + keys.String() + `"x":1}}}`},
		{"leads", "poltio", fill(`{"leads":[`, `{"created_at":"x","tc_checked":"y"}`, `],"complete_session":true}`)},
		{"options", "tally", fill(`{"eventType":"FORM_RESPONSE","data":{"fields":[{"key":"a","value":["1"],"options":[`, `{"id":"1","text":"x"}`, `]}]}}`)},
		{"a field in many fields", "tally", fill(`{"eventType":"FORM_RESPONSE","data":{"fields":[`, `{"key":"a","type":"b","value":""}`, `]}}`)},
		{"definitions", "typeform", fill(`{"event_type":"form_response","form_response":{"definition":{"fields":[`, `{"id":"a","title":"b"}`, `]},"answers":[{"type":"text","text":"x","field":{"id":"a"}}]}}`)},
		{"pages", "smartsurvey", fill(`[{"id":1,"pages":[`, `{"questions":[{"id":1}]}`, `]}]`)},
		{"events", "smartsurvey", fill(`[`, `{"id":1}`, `]`)},
		{"spaces", "pollqr", `{"event":"response.created"` + strings.Repeat(" ", size) + `}`},
		{"the whole body", "kobotoolbox", fill(`{`, `"k":{"a":[1,2]}`, `}`)},
		{"the whole body, empty", "kobotoolbox", `{` + keys.String() + `"x":1}`},
	}
	for _, tt := range bodies {
		s := open(t, profile(t, tt.profile), Settings{Roles: map[string]Field{"1": field(t, "nps_score")}})
		best := time.Hour
		for range 3 { // the shortest of three: the machine may be busy
			start := time.Now()
			_, err := s.Normalise(request([]byte(tt.body)), noon)
			if err != nil && !errors.Is(err, ErrTooManyAnswers) && !errors.Is(err, ErrTooManyEvents) {
				t.Fatalf("%s through %s: %v", tt.name, tt.profile, err)
			}
			if best = min(best, time.Since(start)); best < limit {
				break
			}
		}
		if best > limit {
			t.Errorf("%s through %s took %s", tt.name, tt.profile, best)
		}
	}
}
