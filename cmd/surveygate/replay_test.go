package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// What went in wrongly is put right: explain says that a role changed and offers the command, the command counts first, and
// after kills at any moment it goes on: no corrected event is lost, and none is made a second delivery of.
func TestReplayNormalise(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		putRight(t, "")
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		putRight(t, fmt.Sprintf("redis: %q\n", redistest.Start(t, redistest.EverySecond...).URL()))
	})
}

func putRight(t *testing.T, engine string) {
	const (
		events = 300
		kills  = 3
	)
	receiver := newSink(t, nil)
	config := func(roles string) string {
		return engine + fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: all, secret: %q, scopes: [publish, read, write]}]
sources: {forms: {profile: surveyjs, secrets: [token-of-the-forms]%s}}
webhooks:
  - {name: whole, url: %q, events: [response.completed], body: event, signature: none}
  - {name: raw, url: %q, events: [response.completed], signature: none}
`, testToken, roles, receiver.url, receiver.url)
	}
	const roles = ", roles: {why: feedback, mail: email}"
	dir := t.TempDir()
	p := start(t, dir, config(""))
	ids := make([]string, events)
	for i := range ids {
		var answer struct{ ID, Status string }
		p.submit(&answer, "forms", fmt.Sprintf(`{"surveyId":"s","resultId":"r%d","data":{"nps":3,"why":"slow %d","mail":"jo%d@example.com"}}`, i, i, i))
		ids[i] = answer.ID
	}
	receiver.await(t, func(times map[string][]time.Time) bool { return len(times) >= 2*events })
	text, code := p.say("explain", ids[0])
	if code != 0 || strings.Contains(text, "--normalise") {
		t.Errorf("nothing changed, and explain says:\n%s", text)
	}

	p.reload(config(roles))
	if text, _ = p.say("explain", ids[0]); !strings.Contains(text, "surveygate replay --normalise "+ids[0]) || !strings.Contains(text, "response.feedback") {
		t.Errorf("a role changed, and explain says:\n%s", text)
	}
	if text, code = p.say("replay", ids[0], "--normalise", "--dry-run"); code != 0 || !strings.Contains(text, "would have revision 1") || !strings.Contains(text, "would deliver whole") || !strings.Contains(text, "leaves raw") {
		t.Errorf("exit %d:\n%s", code, text)
	}
	var counted struct{ Events, Revised, Unchanged, Left, Deliveries, Kept int }
	p.ask(&counted, "replay", "--normalise", "--source", "forms", "--since", "1h", "--dry-run")
	if counted.Events != events || counted.Revised != events || counted.Deliveries != events || counted.Kept != events {
		t.Errorf("counted %+v", counted)
	}
	if text, code = p.say("replay", "--normalise", "--source", "forms"); code == 0 || !strings.Contains(text, "nothing was changed") {
		t.Errorf("without an answer: exit %d\n%s", code, text)
	}

	for k := range kills {
		done := make(chan struct{})
		go func(data string) {
			defer close(done)
			invoke(t, dir, nil, "replay", "--normalise", "--source", "forms", "--yes", "--data", data)
		}(filepath.Join(dir, "data"))
		// Somewhere in the middle of it: when so many more of the corrected have come.
		receiver.await(t, func(map[string][]time.Time) bool { return len(receiver.corrected(t)) > k*events/(kills+1) })
		p.kill()
		<-done
		p = start(t, dir, config(roles))
	}
	p.ask(&counted, "replay", "--normalise", "--source", "forms", "--yes")
	if counted.Left != 0 || counted.Revised+counted.Unchanged != events {
		t.Errorf("at last %+v", counted)
	}
	receiver.await(t, func(map[string][]time.Time) bool { return len(receiver.corrected(t)) == events })
	p.ask(&counted, "replay", "--normalise", "--source", "forms", "--dry-run")
	if counted.Unchanged != events {
		t.Errorf("put right, and still counted: %+v", counted)
	}
	receiver.mu.Lock()
	if n := len(receiver.times); n != 3*events {
		t.Errorf("%d deliveries of %d events: two at first, and one that is corrected", n, events)
	}
	for event, deliveries := range receiver.corrected(t) {
		if len(deliveries) != 1 {
			t.Errorf("event %s was corrected by %d deliveries", event, len(deliveries))
		}
	}
	receiver.mu.Unlock()

	until(t, "all is delivered", func() bool {
		text, _ = p.say("explain", ids[0])
		return !strings.Contains(text, "waiting")
	})
	for _, want := range []string{"revision 1: its raw body was read again", "as it came: webhook whole, webhook raw matched", "delivered (as it came)"} {
		if !strings.Contains(text, want) {
			t.Errorf("explain does not say %q:\n%s", want, text)
		}
	}
	var list struct{ Data []struct{ ID string } }
	p.get(&list, "/v1/events?respondent=jo7@example.com")
	if len(list.Data) != 1 || list.Data[0].ID != ids[7] {
		t.Errorf("found by the mended e-mail: %+v", list.Data)
	}
}

// corrected are the deliveries of events that have a revision, by event. The caller holds s.mu, as await does.
func (s *sink) corrected(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for delivery, text := range s.bodies {
		var body struct {
			ID       string
			Revision int
			Data     struct{ Response struct{ Feedback string } }
		}
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			t.Fatal(err)
		}
		if body.Revision == 1 && body.Data.Response.Feedback != "" {
			all[body.ID] = append(all[body.ID], delivery)
		}
	}
	return all
}

// submit posts a platform's body, with its token.
func (p *process) submit(into any, source, body string) {
	p.t.Helper()
	p.do(into, http.MethodPost, "/in/"+source, body, "X-Surveygate-Token", "token-of-the-forms")
}

func (p *process) get(into any, path string) {
	p.t.Helper()
	p.do(into, http.MethodGet, path, "", "Authorization", "Bearer "+p.token)
}

func (p *process) do(into any, method, path, body, header, value string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.address+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set(header, value)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %d, %v", method, path, res.StatusCode, err)
	}
}
