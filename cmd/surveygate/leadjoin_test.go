package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// The story of examples/lead-join comes true: three requests of Poltio become one contact and one alarm, of what all of them tell.
func TestLeadJoin(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	heard := map[string][]string{} // bodies, by path
	products := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		heard[r.URL.Path] = append(heard[r.URL.Path], string(body))
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		answer := `{"ok": true, "channel": "C1", "ts": "1.2"}`
		if strings.HasPrefix(r.URL.Path, "/crm/") {
			answer = `{"status": "COMPLETE", "results": [{"id": "512", "properties": {"email": "jo@example.com"}}]}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(products.Close)
	story, err := os.ReadFile("../../examples/lead-join/surveygate.yaml")
	if err != nil {
		t.Fatal(err)
	}
	here := fmt.Sprintf(`_TOKEN}", base_url: %q`, products.URL)
	text := strings.NewReplacer(`HUBSPOT_TOKEN}"`, "HUBSPOT"+here, `SLACK_TOKEN}"`, "SLACK"+here, "settle: 2m", "settle: 2s").Replace(string(story))
	p := start(t, t.TempDir(), text+fmt.Sprintf("outbound: {allow_addresses: [\"127.0.0.0/8\"], allow_http: true}\ntokens: [{name: test, secret: %q, scopes: [read]}]\n", testToken), exampleEnv...)

	const score = `{"question_id": 1001, "question": "Would you recommend us?", "answers": [{"answer_id": 1, "answer": "3"}]}`
	const reason = `{"question_id": 1002, "question": "Why?", "answers": [{"answer_id": 2, "answer": "Too slow"}]}`
	for _, r := range []struct{ complete, answers, leads string }{
		{"false", score, ""},
		{"true", score + "," + reason, ""},
		{"true", score + "," + reason, `{"email": "jo@example.com", "name": "Jo Doe"}`},
	} {
		body := fmt.Sprintf(`{"session_id": "r1", "content_id": "s1", "content_type": "survey", "complete_session": %s, "answers": [%s], "leads": [%s]}`, r.complete, r.answers, r.leads)
		if status, answer := p.send(http.MethodPost, "/in/poltio/0123456789abcdef0123456789abcdef", nil, body); status != http.StatusOK {
			t.Fatal(status, answer)
		}
	}
	until(t, "the alarm comes", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(strings.Join(heard["/chat.postMessage"], ""), "#unhappy")
	})
	var shown string
	until(t, "its delivery is recorded", func() bool {
		shown, _ = p.say("explain", "--response", "r1")
		return strings.Count(shown, "delivered  ") == 3
	})
	mu.Lock()
	defer mu.Unlock()
	if contacts := heard["/crm/v3/objects/contacts/batch/upsert"]; len(contacts) != 1 || !strings.Contains(contacts[0], `"last_nps":"3","last_comment":"Too slow"`) {
		t.Errorf("HubSpot heard %q", contacts)
	}
	messages := strings.Join(heard["/chat.postMessage"], "\n")
	if strings.Count(messages, "#leads") != 1 || strings.Count(messages, "#unhappy") != 1 || !strings.Contains(messages, "Jo Doe gave 3: Too slow") {
		t.Errorf("Slack heard %s", messages)
	}
	for _, text := range []string{"completed, version 2, 3 events", "jo@example.com", "superseded by a newer event of its response: "} {
		if !strings.Contains(shown, text) {
			t.Errorf("lacks %q:\n%s", text, shown)
		}
	}
}
