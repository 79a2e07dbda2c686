package main

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/browser"
)

// reach presses Tab until the focus is within the page's content on something whose kind and name begin so.
func reach(t *testing.T, p *browser.Page, name string) {
	t.Helper()
	for range 60 {
		p.Press("Tab")
		if strings.HasPrefix(p.Focused(), name) && browser.Ask[bool](p, `document.activeElement.closest("main") !== null`) {
			return
		}
	}
	t.Fatalf("%s: Tab does not lead to %q", p.URL(), name)
}

// TestConsoleByKeyboard plays what a person does most, without a mouse: sign in, find a delivery, replay an event, pause a destination and
// resume it, and read the shortcuts.
func TestConsoleByKeyboard(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	p := browser.Start(t).Page(t, browser.Look{})
	p.Open("http://" + d.address + "/console/t/default/deliveries")
	if got := p.Focused(); !strings.HasPrefix(got, "input") {
		t.Errorf("the login page begins on %q", got)
	}
	p.Type("#token", d.token)
	p.Press("Enter")
	p.WaitText("h1", "Deliveries") // the page that was asked for

	p.Press("?")
	p.Wait("dialog[open]")
	p.Press("Escape")
	p.WaitGone("dialog[open]")

	p.Press(".")
	p.Wait(`#pause[aria-pressed="true"]`)
	p.Press(".")
	p.Wait(`#pause[aria-pressed="false"]`)

	p.Press("j", "j", "k")
	if got := p.Focused(); !strings.HasPrefix(got, "a ") {
		t.Errorf("a row is on %q", got)
	}
	p.Press("Enter")
	p.WaitFor(`location.pathname.includes("/deliveries/dl_")`)
	id := p.URL()[strings.LastIndexByte(p.URL(), '/')+1:]

	p.Press("g", "d")
	p.WaitText("h1", "Deliveries")
	p.Press("/")
	p.Fill("[data-search]", id)
	p.Press("Enter")
	p.WaitFor(`location.search.includes("q=dl_")`)
	p.Press("j", "Enter")
	p.WaitFor(`location.pathname.endsWith("` + id + `")`)

	p.Press("g", "e")
	p.WaitText("h1", "Events")
	p.Press("j", "Enter")
	p.WaitFor(`/\/events\/[0-9a-f]{32}/.test(location.pathname)`)
	reach(t, p, "a Replay…")
	p.Press("Enter")
	p.WaitFor(`location.pathname.endsWith("/replay")`)
	reach(t, p, "button ")
	p.Press("Enter")
	p.Wait(".note")

	p.Press("g", "t")
	p.WaitText("h1", "Destinations")
	p.Press("j", "Enter")
	p.WaitFor(`/\/destinations\/[a-z]+$/.test(location.pathname)`)
	reach(t, p, "a Pause")
	p.Press("Enter")
	p.WaitFor(`location.pathname.endsWith("/pause")`)
	reach(t, p, "button Pause")
	p.Press("Enter")
	p.WaitText("main .tag", "paused")
	reach(t, p, "button Resume")
	p.Press("Enter")
	p.WaitText("main .tag", "serving")
	p.Check()
}
