package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/surveygate/surveygate/gateway/browser"
	"github.com/surveygate/surveygate/gateway/client"
)

const suggestYAML = `
sources:
  forms:
    profile: surveyjs
    secrets: ["token-of-the-forms-0123456789"]
rules:
  - {name: detractor, when: "nps_score <= 6", send: [hook]}
connections:
  hook: {webhook: {url: "https://example.com/in", signature: none}}
`

// What events suggest is shown with YAML that can be pasted: check accepts it, a reload takes it, and then the question is read.
func TestSuggest(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), suggestYAML)
	if text, code := p.say("suggest"); code != 0 || !strings.HasPrefix(text, "nothing to suggest: ") || !strings.Contains(text, "looked at 0 events of the source forms\n") {
		t.Errorf("exit %d: %s", code, text)
	}
	send := func(i int) {
		body := fmt.Sprintf(`{"id": "r%d", "surveyId": "s1", "data": {"nps_question": %d, "mail": "jo%d@example.com", "why": "The delivery of parcel %d took a week."}}`, i, i%11, i, i)
		if status, answer := p.send(http.MethodPost, "/in/forms", map[string]string{"X-Surveygate-Token": "token-of-the-forms-0123456789"}, body); status != http.StatusOK {
			t.Fatalf("%d: %s", status, answer)
		}
	}
	for i := range 60 {
		send(i)
	}
	text, code := p.say("suggest", "--source", "forms")
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{
		"  mail: email\n    60 of 60 answers are e-mail addresses\n    such as: j***@e***.com\n", "  nps_question: nps_score\n", "  why: feedback\n",
		"\nsources:\n  forms:\n    roles:\n      \"mail\": email\n      \"nps_question\": nps_score\n      \"why\": feedback\n",
		"  detractor, asked about 60 events: nps_score <= 6\n", "`nps_score <= 6` was unknown in 60, because nps_score is missing\n    `nps_score` was in none of these events; a suggested role reads it\n", "looked at 60 events of the source forms\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if code != 0 {
		t.Fatalf("exit %d", code)
	}
	var found client.Suggestions
	p.ask(&found, "suggest")
	lines, ok := strings.CutPrefix(found.Sources[0].YAML, "sources:\n  forms:\n")
	if !ok {
		t.Fatalf("%+v", found)
	}
	p.reload(strings.Replace(suggestYAML, "rules:\n", lines+"rules:\n", 1))
	send(63)
	var list struct{ Data []struct{ ID string } }
	p.ask(&list, "events", "list", "--limit", "1")
	shown, _ := p.say("events", "show", list.Data[0].ID, "--json")
	if fields := unfolded(shown); !strings.Contains(fields, `"respondent": { "email": "jo63@example.com"`) || !strings.Contains(fields, `"score": { "nps": 8 }`) {
		t.Errorf("not read: %s", fields)
	}
	var again client.Suggestions
	p.ask(&again, "suggest")
	if len(again.Sources[0].Roles) != 0 || len(again.Rules) != 1 || !strings.HasSuffix(again.Rules[0].Parts[0].Why, "was false in 1 and unknown in 60, because nps_score is missing") {
		t.Errorf("suggested again: %+v", again)
	}
	if text, code := p.say("suggest", "--source", "frms"); code != 4 || !strings.Contains(text, "forms") {
		t.Errorf("exit %d: %s", code, text)
	}
}

// The page of the suggestions works in both themes and widths, and without script.
func TestSuggestionsPage(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), suggestYAML)
	for i := range 60 {
		body := fmt.Sprintf(`{"id": "r%d", "surveyId": "s1", "data": {"how_likely_are_you_to_recommend_the_shop_to_a_friend_or_a_colleague": %d, "mail": "jo%d@example.com", "why": "The delivery of parcel %d took a week."}}`, i, i%11, i, i)
		if status, answer := p.send(http.MethodPost, "/in/forms", map[string]string{"X-Surveygate-Token": "token-of-the-forms-0123456789"}, body); status != http.StatusOK {
			t.Fatalf("%d: %s", status, answer)
		}
	}
	link, code := p.say("console")
	if code != 0 {
		t.Fatal(link)
	}
	page := browser.Start(t).Page(t, browser.Look{})
	page.Open(regexp.MustCompile(`http\S+`).FindString(link))
	page.WaitText("h1", "Overview")
	plain := page.Tab(t, browser.Look{Width: browser.Narrow, NoScript: true})
	at := "http://" + p.address + "/console/t/default/sources/forms"
	page.CheckPage(plain, at+"/suggestions")
	page.CheckPage(plain, at+"/suggestions?look=yes")
	page.Open(at)
	page.Click(`a[href$="/suggestions?look=yes"]`)
	page.WaitText("h1", "Suggestions")
	page.WaitText("pre.copied", `"mail": email`)
	page.Wait("button[data-copy]:not([hidden])")
}
