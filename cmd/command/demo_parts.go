package command

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/offline"
	"github.com/surveygate/surveygate/gateway/receiver"
)

// demoPlatforms are the platforms whose samples the demo sends.
var demoPlatforms = []string{"pollqr", "popsee", "pollarix", "poltio", "chattosurvey"}

// demoConfig returns the demo's configuration, which is saved as a file for users to read.
func demoConfig(customer, chat string, secrets map[string]string) string {
	return strings.NewReplacer(
		"CUSTOMER", customer, "CHAT", chat, "$TOKEN", secrets["TOKEN"], "$HOOK", secrets["HOOK"],
		"$POLLQR", secrets["POLLQR"], "$POPSEE", secrets["POPSEE"], "$POLLARIX", secrets["POLLARIX"],
		"$POLTIO", secrets["POLTIO"], "$CHATTOSURVEY", secrets["CHATTOSURVEY"],
	).Replace(`# The demo's configuration. Its secrets are written here because they are for this demo only: use "${NAME}" instead.
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}   # the receivers run on this machine
tokens:
  - {name: demo, secret: "$TOKEN", scopes: [read, write, publish]}

sources:
  pollqr: {profile: pollqr, secrets: ["$POLLQR"], roles: {"2": feedback}}
  popsee: {profile: popsee, secrets: ["$POPSEE"], roles: {q1: nps_score, q2: feedback}}
  pollarix: {profile: pollarix, secrets: ["$POLLARIX"]}
  poltio: {profile: poltio, path_token: "$POLTIO"}
  chattosurvey: {profile: chattosurvey, path_token: "$CHATTOSURVEY"}

connections:
  alarms: {slack: {webhook: "CHAT/slack"}}

webhooks:
  - {name: warehouse, url: "CUSTOMER/warehouse", events: ["response.*"], secrets: ["$HOOK"]}
  - {name: helpdesk, url: "CUSTOMER/helpdesk", events: [response.completed], when: nps_score == 0, secrets: ["$HOOK"], retry: [1s, 2s]}
  # Only of visitors who have not finished two seconds after their first event, and once for each:
  - name: unfinished
    url: CUSTOMER/unfinished
    events: [response.partial]
    send_incomplete: true
    incomplete_delay: 2s
    body: {status: response.status, answered: "map(response.answers, .question)"}
    secrets: ["$HOOK"]

rules:
  - name: detractor
    when: nps_score <= 6
    send: [alarms]
`)
}

// unfinishedSession returns a sample of Poltio as Poltio sends a session that was not finished, with the first of its answers.
func unfinishedSession(sample *offline.SignedSample, answers int) (*offline.SignedSample, error) {
	var body map[string]any
	if err := json.Unmarshal(sample.Body, &body); err != nil {
		return nil, err
	}
	given, _ := body["answers"].([]any)
	body["complete_session"], body["session_end_date"], body["result"] = false, nil, nil
	body["answers"], body["leads"] = given[:min(answers, len(given))], []any{}
	text, err := json.Marshal(body)
	return &offline.SignedSample{Platform: sample.Platform, Headers: sample.Headers, Body: text}, err // nothing of it is signed
}

// requestLog records the requests to the demo's receivers.
type requestLog struct {
	mu    sync.Mutex
	all   []receiver.Received
	fails map[string]int // of the help desk, by delivery
	more  chan struct{}  // closed and replaced at every request
}

func newRequestLog() *requestLog {
	return &requestLog{fails: map[string]int{}, more: make(chan struct{})}
}

// answer returns the status for a request; the help desk fails twice for each delivery.
func (l *requestLog) answer(r receiver.Received) int {
	if !r.Good {
		return http.StatusUnauthorized
	}
	if r.Path != "/helpdesk" {
		return http.StatusOK
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails[r.ID]++; l.fails[r.ID] <= 2 {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func (l *requestLog) add(r receiver.Received) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r)
	close(l.more)
	l.more = make(chan struct{})
}

// wait returns the n-th request for an event at a path. Requests to Slack carry no event id; there it returns the n-th of all.
func (l *requestLog) wait(ctx context.Context, path, id string, n int) (receiver.Received, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		l.mu.Lock()
		seen := 0
		for _, r := range l.all {
			if r.Path == path && (r.ID == "" || client.EventID(r.ID) == id) {
				if seen++; seen == n {
					l.mu.Unlock()
					return r, nil
				}
			}
		}
		more := l.more
		l.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return receiver.Received{}, ctx.Err()
		}
	}
}

// good counts an event's deliveries at a path with a valid signature.
func (l *requestLog) good(path, id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, r := range l.all {
		if r.Path == path && r.Good && client.EventID(r.ID) == id {
			n++
		}
	}
	return n
}

// follow calls each for every further request, until ctx ends.
func (l *requestLog) follow(ctx context.Context, each func(receiver.Received)) {
	l.mu.Lock()
	from := len(l.all)
	l.mu.Unlock()
	for {
		l.mu.Lock()
		news := append([]receiver.Received(nil), l.all[from:]...)
		from = len(l.all)
		more := l.more
		l.mu.Unlock()
		for _, r := range news {
			each(r)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}
