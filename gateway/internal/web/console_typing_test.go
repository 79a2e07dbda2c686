//go:build !race

// What Chromium is shown here, the same goroutines show in the other tests of the editor, which the race detector looks at.

package web

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/browser"
)

// As a rule is typed, what it does is shown beside it: the text keeps the focus, and faults come and go.
func TestEditorWhileTyping(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	r, _, _ := ruleRig(t)
	conn, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + conn.RemoteAddr().String()
	_ = conn.Close()
	login := b.Page(t, browser.Look{})
	login.Open(base + "/console/login")
	login.Fill("[name=token]", acmeAdminToken)
	login.Follow("=Sign in")
	p := login.Tab(t, browser.Look{})
	p.Open(base + "/console/t/acme/rules/low/edit")
	p.WaitText("#outcome", "its condition is")
	p.WaitText("#difference", "Of the last 10 events")
	p.Fill("#text", "when: nps_scor <= 2\nsend: [crm]\n")
	p.WaitText("#faultline", "rule:1:7")
	if p.Attribute(":focus", "id") != "text" {
		t.Errorf("the focus is at %s", p.Focused())
	}
	p.Fill("#text", "when: nps_score <= 2\nsend: [crm]\n")
	p.WaitGone("#faults")
	p.WaitText("#difference", "4 removed")
	p.CheckLooks()
}

// What was typed is not lost with the session: a fragment without one leads to where another begins, and so does the form; after signing
// in the text is there again, with its version. Enter in the field beside the text inserts, and sends nothing.
func TestEditorOutlivesTheSession(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	r, _, _ := ruleRig(t)
	conn, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + conn.RemoteAddr().String()
	_ = conn.Close()
	p := b.Page(t, browser.Look{})
	signIn := func() {
		t.Helper()
		p.Fill("[name=token]", acmeAdminToken)
		p.Follow("=Sign in")
	}
	end := func() {
		t.Helper()
		if status := browser.Run[int](p, `fetch("/console/logout", {method: "POST"}).then((a) => a.status)`); status != 204 {
			t.Fatalf("the session ends with %d", status)
		}
	}
	const path = "/console/t/acme/rules/low/edit"
	p.Open(base + path)
	signIn()
	p.WaitText("#outcome", "its condition is")

	p.Fill("#text", "when: nps_score <= 2\nsend: [crm]\n# ")
	p.Fill("[data-insert] input", "nps_group")
	p.Press("Enter")
	const typed = "when: nps_score <= 2\nsend: [crm]\n# nps_group"
	if is := p.Value("#text"); is != typed || !strings.HasSuffix(p.URL(), path) {
		t.Errorf("Enter leads to %s, with %q", p.URL(), is)
	}
	p.WaitText("#difference", "4 removed")

	end()
	r.does(t, ask{method: "PUT", path: "/v1/rules/low", token: acmeAdminToken, header: map[string]string{"If-Match": "*"}, body: strings.ReplaceAll(editedRule, "<= 6", "<= 5")}, 200)
	p.Follow("=Save")
	p.WaitText("main", "Nothing was saved")
	signIn()
	p.WaitText("main", "is here again")
	if is := p.Value("#text"); is != typed {
		t.Errorf("after signing in the text is %q", is)
	}
	end()
	p.Fill("#text", typed+"s") // it is tried as it is typed
	p.Wait("[name=token]")
	signIn()
	p.WaitText("main", "is here again")
	if is := p.Value("#text"); is != typed+"s" {
		t.Errorf("after signing in the text is %q", is)
	}
	p.Follow("=Save")
	p.WaitText("main", "was written meanwhile") // it is still what the first version was made into
	p.Open(base + path)
	if is := p.Value("#text"); strings.Contains(is, "nps_group") {
		t.Errorf("what was left is there again: %q", is)
	}
}
