package web

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/browser"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/sse"
)

// signedIn opens a tab whose browser has the session of a token.
func (r *rig) signedIn(t *testing.T, token string) (p *browser.Page, base string) {
	t.Helper()
	conn, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	base = "http://" + conn.RemoteAddr().String()
	_ = conn.Close()
	p = browser.Start(t).Page(t, browser.Look{})
	p.Open(base + "/console/login")
	p.Fill("[name=token]", token)
	p.Follow("=Sign in")
	return p, base
}

// lives counts how often a tab asked for signals.
func lives(p *browser.Page) (n int) {
	for _, each := range p.Requests() {
		if strings.Contains(each, "/v1/live") {
			n++
		}
	}
	return n
}

// A page listens to one stream, which lasts longer than a write may; while its tab is hidden it has none; it reads anew when it is shown.
func TestPageListens(t *testing.T) {
	t.Parallel()
	r := (&rig{writeTimeout: 500 * time.Millisecond, streams: sse.Options{Heartbeat: 50 * time.Millisecond}}).open(t)
	p, base := r.signedIn(t, everyToken)
	open := func(n int) {
		t.Helper()
		r.until(t, fmt.Sprint(n, " streams are open"), func() bool { return r.app.streams.Open() == n })
	}
	dies := func(response string) {
		t.Helper()
		r.accept(t, pollqr(response, 3))
		r.decide(t, state.Dead)
	}
	dies("r0")
	p.Open(base + "/console/t/default/")
	open(1)
	const dead = ".tile:has(a[href$='state=dead']) b"
	p.WaitText(dead, "1")
	asked := lives(p)
	began := time.Now()
	for i := range 2 { // the gateway looks every two seconds
		dies(fmt.Sprint("later", i))
		p.WaitText(dead, fmt.Sprint(2+i))
	}
	if again := lives(p) - asked; again > 0 {
		t.Errorf("the stream was opened %d times more in %v", again, time.Since(began))
	}

	p.Hide()
	open(0)
	dies("hidden")
	p.Show()
	open(1)
	p.WaitText(dead, "4")
	p.Check()
}

// A stop takes less than a second while 50 streams are open, one of them that of a page.
func TestStopWithFiftyStreams(t *testing.T) {
	t.Parallel()
	var took []time.Duration
	for range 3 { // on a machine with other work, the best
		r := (&rig{streams: sse.Options{MaxPerOwner: 50}}).open(t)
		p, base := r.signedIn(t, everyToken)
		for range 49 {
			r.signalsOf(t, "", everyToken)
		}
		p.Open(base + "/console/t/default/deliveries")
		r.until(t, "50 streams are open", func() bool { return r.app.streams.Open() == 50 })
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := r.app.Shutdown(ctx)
		cancel()
		took = append(took, time.Since(began))
		if err != nil || r.app.streams.Open() > 0 {
			t.Fatalf("%d streams are open after the stop: %v", r.app.streams.Open(), err)
		}
		if took[len(took)-1] < time.Second {
			return
		}
	}
	t.Errorf("a stop took %v", took)
}
