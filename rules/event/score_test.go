package event

import (
	"math"
	"testing"
	"time"
)

// Scores agrees with Data, and does not decode it.
func TestScores(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"type":"response.completed","nps_score":9,"response":{"score":{"csat":4.5,"ces":2}}}`,
		`{"type":"response.completed","nps_score":0}`,
		`{"type":"response.completed","response":{"score":{"csat":"3"}}}`,
		`{"type":"response.completed","response":{"answers":[{"question_id":"score","value":{"nps":3}}]}}`,
		`{"type":"response.completed"}`,
	} {
		ev, err := ParseOne([]byte(body), Defaults{Tenant: "default", Source: "api", Received: time.Unix(1767323045, 0), Verified: "token"})
		if err != nil {
			t.Fatal(err)
		}
		stored, err := Decode(ev.Envelope(), ev.Raw.Body)
		if err != nil {
			t.Fatal(err)
		}
		nps, csat := stored.Scores()
		if stored.data != nil {
			t.Errorf("%s: Scores decodes Data", body)
		}
		if want := stored.Data().Response.Score; !same(nps, want.NPS) || !same(csat, want.CSAT) {
			t.Errorf("%s: %v %v, want %+v", body, nps, csat, want)
		}
	}
}

func same(got float64, want *float64) bool {
	if want == nil {
		return math.IsNaN(got)
	}
	return got == *want
}
