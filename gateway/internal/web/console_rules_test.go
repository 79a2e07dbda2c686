package web

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const editedRule = `{"when": "nps_score <= 6", "send": ["crm"], "tests": [{"given": {"nps_score": 3}, "expect": ["crm"]}]}`

// ruleRig is a server with a rule as a document, and events of the scores 0 to 9.
func ruleRig(t *testing.T) (r *rig, visitor map[string]string, ids []string) {
	t.Helper()
	r = newRig(t)
	r.does(t, ask{method: "PUT", path: "/v1/rules/low", token: acmeAdminToken, body: editedRule}, 201)
	for score := range 10 {
		body := fmt.Sprintf(`{"type": "response.completed", "id": "e%d", "nps_score": %d, "survey": {"id": "s", "title": "<script>x</script>"}}`, score, score)
		got := r.does(t, ask{method: "POST", path: "/v1/events", token: acmeToken, body: body}, 200)
		id := regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(got.body)
		if id == nil {
			t.Fatal(got.body)
		}
		ids = append(ids, id[1])
	}
	return r, r.visitor(t, acmeAdminToken), ids
}

// form is the body of a form: names and values in turn.
func form(pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

func valueOf(t *testing.T, page, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("the page has no %s: %s", name, page)
	}
	return m[1]
}

func TestRulePages(t *testing.T) {
	t.Parallel()
	r, visitor, _ := ruleRig(t)
	const base = "/console/t/acme"
	r.does(t, ask{path: base + "/rules", header: visitor}, 200, `href="/console/t/acme/rules/low"`, "nps_score &lt;= 6", "1 passes", `href="/console/t/acme/rules/angry"`, `surveygate.yaml:`)
	r.does(t, ask{path: base + "/rules/low", header: visitor}, 200, "when: nps_score &lt;= 6", "Delete…", "Disable", "passed")
	if page := r.does(t, ask{path: base + "/rules/angry", header: visitor}, 200, "Edit a copy").body; strings.Contains(page, "Delete…") {
		t.Error("a file's rule can be deleted")
	}
	r.does(t, ask{path: base + "/rules/none", header: visitor}, 404)
	r.does(t, ask{path: "/console/t/default/rules/low", header: visitor}, 403)
	reader := r.visitor(t, readToken)
	if page := r.does(t, ask{path: "/console/t/default/rules", header: reader}, 200).body; strings.Contains(page, "New rule") {
		t.Error("who may not write is offered a new rule")
	}
	r.does(t, ask{path: "/console/t/default/rules/detractor/edit", header: reader}, 403)
	r.does(t, ask{path: "/console/t/default/new/rule", header: reader}, 403)

	if page := r.does(t, ask{path: base + "/rules/low", header: visitor}, 200, `href="/console/t/acme/rules/low/disable"`).body; strings.Contains(page, `action="/console/t/acme/rules/low/disable"`) {
		t.Error("a rule is disabled without a question")
	}
	r.does(t, ask{path: base + "/rules/low/disable", header: visitor}, 200, "Disable low?", `name="version"`)
	r.does(t, ask{path: base + "/rules/none/disable", header: visitor}, 404)
	r.does(t, ask{method: "POST", path: base + "/rules/low/disable", header: visitor, body: form("version", "1")}, 412, "Changed meanwhile")
	r.does(t, ask{method: "POST", path: base + "/rules/low/disable", header: visitor}, 303)
	r.does(t, ask{path: base + "/rules/low", header: visitor}, 200, "Enable")
	r.does(t, ask{method: "POST", path: base + "/rules/low/enable", header: visitor}, 303)
	page := r.does(t, ask{path: base + "/rules/low/delete", header: visitor}, 200, "Of the last 10 events", "7 removed", "Delete it").body
	r.does(t, ask{method: "POST", path: base + "/rules/low/delete", header: visitor, body: form("version", "1")}, 412, "Delete it")
	r.does(t, ask{method: "POST", path: base + "/rules/low/delete", header: visitor, body: form("version", valueOf(t, page, "version"))}, 303)
	r.does(t, ask{path: base + "/rules/low", header: visitor}, 404)
}

func TestEditor(t *testing.T) {
	t.Parallel()
	r, visitor, ids := ruleRig(t)
	const path = "/console/t/acme/rules/low/edit"
	post := func(query, body string, want int, parts ...string) string {
		t.Helper()
		return r.does(t, ask{method: "POST", path: path + query, header: visitor, body: body}, want, parts...).body
	}
	page := r.does(t, ask{path: path, header: visitor}, 200, "when: nps_score &lt;= 6\nsend: [crm]\n", `<datalist id="fields">`, "example:response.completed").body
	version := valueOf(t, page, "version")

	// A fault stands at its place in the text, as check shows it, and what was typed stays.
	const faulty = "# about it\nwhen: nps_scor <= 3\nsend: [crm]\n"
	post("", form("do", "try", "version", version, "text", faulty), 200, "rule:2:7: ", "    2 | when: nps_scor &lt;= 3\n      |       ^~~~~~~~", "# about it")
	post("", form("do", "save", "version", version, "text", "when: [\n"), 422, "rule:", "when: [\n")
	post("?part=outcome", form("version", version, "text", faulty), 200, `hx-swap-oob="innerHTML:#faultline"`, "rule:2:7: ")

	// A draft is tried with an event, an example, and the newest events; its own tests are played.
	const less = "when: nps_score <= 2\nsend: [crm]\ntests: [{given: {nps_score: 3}, expect: []}]\n"
	post("?part=outcome", form("version", version, "text", less, "event", ids[2]), 200, "matched", "<dt><code>nps_score</code></dt><dd class=\"\">2</dd>", "POST [secret]", "1 passes", "part=difference")
	post("?part=outcome", form("version", version, "text", less, "event", ids[5]), 200, "no match", "Nothing would be sent")
	post("?part=outcome", form("version", version, "text", less, "event", "example:response.completed"), 200, "its condition is")
	post("?part=outcome", form("version", version, "text", less, "event", "gone"), 200, "There is no event <code>gone</code>")
	post("?part=difference", form("version", version, "text", less), 200, "Of the last 10 events", "before <b>7</b>, now <b>3</b>", "4 removed", "the first three")

	// What stops deliveries is saved after a question about this very text.
	page = post("", form("do", "save", "version", version, "text", less), 200, "This would stop deliveries", "Save, and stop 4 deliveries like these")
	confirmed := valueOf(t, page, "confirmed")
	post("", form("confirmed", confirmed, "version", version, "text", strings.Replace(less, "<= 2", "<= 1", 1)), 200, "This would stop deliveries")
	post("", form("confirmed", confirmed, "version", version, "text", less), 303)
	r.does(t, ask{path: "/v1/rules/low", token: acmeToken}, 200, `"when":"nps_score <= 2"`)
	post("", form("do", "save", "text", less, "version", valueOf(t, r.does(t, ask{path: path, header: visitor}, 200).body, "version")), 303)

	// A version of somebody else is shown beside the text, and is not written over without a word.
	page = post("", form("do", "save", "version", version, "text", "when: nps_score <= 9\nsend: [crm]\n"), 412,
		"was written meanwhile by token:acme-admin", "<ins>+ when: nps_score &lt;= 9</ins>", "<del>- when: nps_score &lt;= 2</del>", "when: nps_score &lt;= 9\n")
	newest := regexp.MustCompile(`Save mine over version (\d+)`).FindStringSubmatch(page)
	if newest == nil || newest[1] == version {
		t.Fatalf("%q: %s", newest, page)
	}
	_, press := buttonsOf(page, "edit")
	post("", press(newest[0]), 303)
	r.does(t, ask{path: "/v1/rules/low", token: acmeToken}, 200, `"when":"nps_score <= 9"`)

	got := r.does(t, ask{method: "POST", path: path, header: visitor, body: form("do", "download", "text", "# why\nwhen: nps_score <= 9\nsend: [crm]\n")}, 200)
	if want := "rules:\n  - name: low\n    tenant: acme\n    # why\n    when: nps_score <= 9\n    send: [crm]\n"; got.body != want || !strings.Contains(got.header.Get("Content-Disposition"), `"low.yaml"`) {
		t.Errorf("%s %q", got.header.Get("Content-Disposition"), got.body)
	}
}

func TestEditorOfFiles(t *testing.T) {
	t.Parallel()
	r, visitor, _ := ruleRig(t)
	const path = "/console/t/acme/rules/angry/edit"
	page := r.does(t, ask{path: path, header: visitor}, 200, "A copy of angry", "nothing can be saved", "rules:\n  - name: angry\n").body
	if strings.Contains(page, `value="save"`) {
		t.Error("a copy can be saved")
	}
	r.does(t, ask{method: "POST", path: path + "?part=difference", header: visitor, body: form("text", "when: nps_score <= 4\nsend: [crm]\n")}, 200, "now <b>5</b>", "beside the one of the file")
	r.does(t, ask{method: "POST", path: path, header: visitor, body: form("do", "save", "text", "when: nps_score <= 4\nsend: [crm]\n")}, 403, "is defined in", "when: nps_score &lt;= 4\n")
}

// New documents of each kind are made by the editor, and secrets stay behind their masks.
func TestEditorOfKinds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	visitor := r.visitor(t, acmeAdminToken)
	save := func(path, name, text string, want int, parts ...string) string {
		t.Helper()
		return r.does(t, ask{method: "POST", path: "/console/t/acme" + path, header: visitor, body: form("do", "save", "name", name, "text", text)}, want, parts...).body
	}
	r.does(t, ask{path: "/console/t/acme/new/nothing", header: visitor}, 404)
	for _, kind := range []string{"rule", "webhook", "connection", "source"} {
		r.does(t, ask{path: "/console/t/acme/new/" + kind, header: visitor}, 200, "New "+kind)
	}
	save("/new/rule", "", "when: nps_score <= 6\nsend: [crm]\n", 422, "give it a name", "send: [crm]")
	save("/new/rule", "Not A Name", "when: nps_score <= 6\nsend: [crm]\n", 422, "is not a rule", "send: [crm]")
	save("/new/rule", "low", "when: nps_score <= 6\nsend: [crm]\n", 303)
	save("/new/rule", "low", "when: nps_score <= 1\nsend: [crm]\n", 412, "nps_score &lt;= 1")
	save("/new/connection", "chat", "slack: {webhook: \"https://hooks.slack.com/services/T9/B9/abcdefghijkl\"}\n", 303)
	page := r.does(t, ask{path: "/console/t/acme/destinations/chat/edit", header: visitor}, 200, "••••••••-").body
	if strings.Contains(page, "abcdefghijkl") {
		t.Error("the editor shows a secret")
	}
	mask := regexp.MustCompile(`••••••••-[0-9a-f]{8}`).FindString(page)
	r.does(t, ask{method: "POST", path: "/console/t/acme/destinations/chat/edit", header: visitor, body: form("do", "save", "version", valueOf(t, page, "version"), "text",
		"rate: 5/s\nslack: {webhook: \""+mask+"\"}\n")}, 303)
	r.does(t, ask{path: "/v1/connections/chat", token: acmeToken}, 200, `"rate":"5/s"`, mask)
	save("/new/source", "forms", "profile: pollqr\nsecrets: [a-secret-of-pollqr-0123456789]\n", 303)
	page = save("/new/webhook", "", "url: https://hook.example.com/in\nevents: [response.completed]\n", 200, "It is shown this once", "whsec_")
	if !regexp.MustCompile(`href="/console/t/acme/destinations/wh_[a-z0-9]+"`).MatchString(page) {
		t.Errorf("the page does not lead to the webhook: %s", page)
	}
}
