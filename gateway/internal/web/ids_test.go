package web

import (
	"context"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/web/intake"
)

// An id that is no text would read as another one: it is refused by every way in, and of a platform the request is kept.
func TestIDsAreText(t *testing.T) {
	t.Parallel()
	const what = "is no text: it holds bytes that are not UTF-8, or half of a surrogate pair"
	media := func(kind string) map[string]string { return map[string]string{"Content-Type": kind} }
	const cloud = `{"specversion":"1.0","type":"response.completed","source":"https://x.example","id":"BAD","data":{}}`
	const platform = `{"event":"response.created","survey_id":"s","response_id":"BAD","timestamp":"2026-01-01T00:00:00Z","response":{}}`
	ways := map[string]struct {
		path   string
		header map[string]string
		body   string
		single bool // the fault is the request's
		kept   string
	}{
		"alone":             {"/v1/events", nil, `{"type":"response.completed","id":"BAD"}`, true, ""},
		"in an array":       {"/v1/events", nil, `[{"type":"response.completed","id":"BAD"}]`, false, ""},
		"in lines":          {"/v1/events", media("application/x-ndjson"), `{"type":"response.completed","response":{"id":"BAD"}}`, false, ""},
		"of a survey":       {"/v1/events", nil, `{"type":"response.completed","survey":{"id":"BAD"}}`, true, ""},
		"structured":        {"/v1/events", media("application/cloudevents+json"), cloud, true, ""},
		"batch":             {"/v1/events", media("application/cloudevents-batch+json"), "[" + cloud + "]", false, ""},
		"through a source":  {"/v1/events?source=pollqr", nil, platform, true, ""},
		"from the platform": {"/in/pollqr", nil, platform, true, "pollqr"},
		"in a form":         {"/in/wufoo", media("application/x-www-form-urlencoded"), "EntryId=BAD&HandshakeKey=" + pollqrSecret, true, "wufoo"},
		"in headers": {"/v1/events", map[string]string{
			"Ce-Specversion": "1.0", "Ce-Type": "response.completed", "Ce-Source": "app", "Ce-Id": "BAD",
		}, `{}`, true, ""},
	}
	bads := []string{"a\xff", "a\xfe", `a\ud800`, `a\udc00`}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRigOf(t, "sources:\n  pollqr: {profile: pollqr, secrets: ["+pollqrSecret+"]}\n  wufoo: {profile: wufoo, secrets: ["+pollqrSecret+"]}\n")
			bads := bads
			if name == "in a form" || name == "in headers" {
				bads = []string{"a%FF", "a%FE"}
			}
			for _, bad := range bads {
				body := strings.ReplaceAll(way.body, "BAD", bad)
				header := map[string]string{}
				for name, value := range way.header {
					header[name] = strings.ReplaceAll(value, "BAD", bad)
				}
				a := ask{method: "POST", path: way.path, header: header, body: body}
				if strings.HasPrefix(way.path, "/v1") {
					a.token = publishToken
				} else if name == "from the platform" {
					a.header = signed(body)
				}
				got := r.ask(t, a)
				if want := map[bool]int{true: 422, false: 200}[way.single]; got.status != want || !strings.Contains(got.body, what) || strings.Contains(got.body, "accepted") {
					t.Errorf("%q: %d %s", bad, got.status, got.body)
				}
			}
			if way.kept == "" {
				return
			}
			kept, err := intake.RejectedOf(context.Background(), r.store, "default", way.kept)
			if err != nil || len(kept) != len(bads) {
				t.Fatal(len(kept), err)
			}
			for _, k := range kept {
				if k.Reason != "invalid" || !k.Proved || !strings.Contains(k.Detail, what) {
					t.Errorf("kept %+v", k)
				}
			}
		})
	}
}

// A proof that stands twice is told from another only to the operator.
func TestProofTwice(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, `
sources:
  pollqr: {profile: pollqr, secrets: [`+pollqrSecret+`]}
  asked:  {profile: pollqr, secrets: [`+pollqrSecret+`], verify: [{kind: token, query: key}]}
  wufoo:  {profile: wufoo, secrets: [`+pollqrSecret+`]}
`)
	body := pollqr("r1", 3)
	plainly := r.ask(t, ask{method: "POST", path: "/in/pollqr", body: body})
	for name, a := range map[string]struct {
		ask ask
		why string
	}{
		"pollqr": {ask{method: "POST", path: "/in/pollqr", header: signed(body), again: map[string]string{"x-pollqr-signature": "00ff"}, body: body}, "the header `X-PollQR-Signature` occurs twice"},
		"asked":  {ask{method: "POST", path: "/in/asked?key=" + pollqrSecret + "&k%65y=1", body: body}, "the query parameter `key` occurs twice"},
		"wufoo":  {ask{method: "POST", path: "/in/wufoo", body: "EntryId=1&HandshakeKey=" + pollqrSecret + "&HandshakeKey=x", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, "the form field `HandshakeKey` occurs twice"},
	} {
		got := r.ask(t, a.ask)
		if got.status != 401 || plain(got.body) != plain(plainly.body) {
			t.Errorf("%s: %d %s, want %s", name, got.status, got.body, plainly.body)
		}
		kept, err := intake.RejectedOf(context.Background(), r.store, "default", name)
		if err != nil || len(kept) == 0 || !strings.HasSuffix(kept[0].Detail, a.why) || kept[0].Checks[0].Reason != a.why {
			t.Errorf("%s: kept %+v, %v", name, kept, err)
		}
	}
}

// An attribute of a CloudEvent in headers stands once: what stands before us may read the other one.
func TestAttributeInHeadersTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	header := map[string]string{"ce-specversion": "1.0", "ce-type": "response.completed", "ce-source": "urn:shop", "ce-id": "1"}
	for name := range header {
		got := r.ask(t, ask{method: "POST", path: "/v1/events", token: publishToken, body: `{}`, header: header, again: map[string]string{strings.ToUpper(name): "x"}})
		if got.status != 422 || !strings.Contains(got.body, "`"+name+"` stands twice") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}
