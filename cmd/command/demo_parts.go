package command

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/receiver"
)

// demoPlatforms are those whose samples the demo sends.
var demoPlatforms = []string{"pollqr", "popsee", "pollarix", "poltio", "chattosurvey"}

// demoConfig is the demo's configuration, written down where one can look at it.
func demoConfig(customer, chat string, secrets map[string]string) string {
	return strings.NewReplacer(
		"CUSTOMER", customer, "CHAT", chat, "$TOKEN", secrets["TOKEN"], "$HOOK", secrets["HOOK"],
		"$POLLQR", secrets["POLLQR"], "$POPSEE", secrets["POPSEE"], "$POLLARIX", secrets["POLLARIX"],
		"$POLTIO", secrets["POLTIO"], "$CHATTOSURVEY", secrets["CHATTOSURVEY"],
	).Replace(`# The demo's configuration. Secrets stand here only because they were made for this demo: use "${NAME}".
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

rules:
  - name: detractor
    when: nps_score <= 6
    send: [alarms]
`)
}

// ledger remembers what the demo's receivers heard.
type ledger struct {
	mu    sync.Mutex
	all   []receiver.Received
	fails map[string]int // of the help desk, by delivery
	more  chan struct{}  // closed and replaced with every request
}

func newLedger() *ledger { return &ledger{fails: map[string]int{}, more: make(chan struct{})} }

// answer lets the help desk fail twice for each delivery.
func (l *ledger) answer(r receiver.Received) int {
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

func (l *ledger) add(r receiver.Received) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r)
	close(l.more)
	l.more = make(chan struct{})
}

// wait returns the n-th request of an event at a path. Slack's carry no id: there the n-th request counts.
func (l *ledger) wait(ctx context.Context, path, id string, n int) (receiver.Received, error) {
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

// good counts an event's deliveries at a path whose signature was right.
func (l *ledger) good(path, id string) int {
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

// follow calls back for every request from now on, until ctx ends.
func (l *ledger) follow(ctx context.Context, each func(receiver.Received)) {
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
