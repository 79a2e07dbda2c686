package web

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

const someImport = `# of a repository
tenant: acme
sources:
  forms: {profile: pollqr, secrets: [pollqr-secret-abcdef]}
connections:
  chat:
    slack: {webhook: "https://hooks.slack.com/services/T9/B9/abcdefghijkl"}
webhooks:
  - name: hook
    url: https://hook.example.com/in
    events: [response.updated]
    secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]
    headers: {X-Api-Key: a-secret-key}
rules:
  - {name: happy, when: nps_score >= 9, send: [chat, hook]}
`

// imported sends an import, and returns its answer.
func (r *rig) imported(t *testing.T, token, query, body string, want int) (told, view.Import) {
	t.Helper()
	got := r.ask(t, ask{method: "POST", path: "/v1/settings/import" + query, token: token, body: body})
	if got.status != want {
		t.Fatalf("import%s: %d %s", query, got.status, got.body)
	}
	var v view.Import
	if want == 200 {
		if err := json.Unmarshal([]byte(got.body), &v); err != nil {
			t.Fatal(err)
		}
	}
	for _, secret := range []string{"secret-abcdef", "abcdefghijkl", "MfKQ9r8", "a-secret-key"} {
		if strings.Contains(got.body, secret) {
			t.Errorf("import%s shows a secret: %s", query, got.body)
		}
	}
	return got, v
}

// An import is planned, made, repeated, changed and replaced; only what the owner had is deleted.
func TestImport(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	plan := func(query, body, want string) view.Import {
		t.Helper()
		_, v := r.imported(t, acmeAdminToken, query, body, 200)
		if v.Plan != want {
			t.Errorf("%s: plan %s, want %s: %+v", query, v.Plan, want, v)
		}
		return v
	}
	if v := plan("?dry_run=true&owner=ci&mode=replace", someImport, "+4 ~0 -0"); v.Tenants[0].Done || !v.DryRun || len(v.Tenants) != 1 || v.Tenants[0].Tenant != "acme" {
		t.Errorf("%+v", v)
	}
	if got := r.ask(t, ask{method: "GET", path: "/v1/webhooks/hook", token: acmeAdminToken}); got.status != 404 {
		t.Fatalf("a dry run wrote: %s", got.body)
	}
	byHand := r.ask(t, ask{method: "PUT", path: "/v1/webhooks/by-hand", token: acmeAdminToken, body: `{"url": "https://hook.example.com/in", "signature": "none"}`})
	if byHand.status != 201 {
		t.Fatal(byHand.body)
	}
	v := plan("?owner=ci&mode=replace", someImport, "+4 ~0 -0")
	if items := v.Tenants[0].Items; !v.Tenants[0].Done || len(items) != 4 || items[0].Kind != "source" || items[3].Name != "happy" || items[3].Version == 0 {
		t.Errorf("%+v", v)
	}
	if v := plan("?owner=ci&mode=replace", someImport, "+0 ~0 -0"); v.Nothing != 4 {
		t.Errorf("repeated: %+v", v)
	}
	less := someImport[:strings.Index(someImport, "rules:")]
	plan("?owner=other&mode=replace", "tenant: acme", "+0 ~0 -0")
	plan("?owner=ci", less, "+0 ~0 -0")
	plan("?owner=ci&mode=replace&dry_run=true", less, "+0 ~0 -1")
	if v := plan("?owner=ci&mode=replace", strings.Replace(less, "hook.example.com/in", "hook.example.com/other", 1), "+0 ~1 -1"); v.Tenants[0].Items[3].Change != "delete" {
		t.Errorf("%+v", v)
	}
	if v := plan("?owner=ci&mode=replace", "rules: []", "+0 ~0 -3"); v.Nothing != 0 {
		t.Errorf("%+v", v)
	}
	if got := r.ask(t, ask{method: "GET", path: "/v1/webhooks/by-hand", token: acmeAdminToken}); got.status != 200 {
		t.Errorf("what the owner did not have was deleted: %s", got.body)
	}
}

// The plan says which documents get another owner, or are locked or not any more, although nothing else of them changes.
func TestImportTakesOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.imported(t, acmeAdminToken, "?owner=console", someImport, 200)
	for _, query := range []string{"?owner=ci&dry_run=true", "?owner=ci"} {
		_, v := r.imported(t, acmeAdminToken, query, someImport, 200)
		for _, item := range v.Tenants[0].Items {
			if item.Change != "update" || item.Owner == nil || *item.Owner != (view.ChangedOwner{From: "console", To: "ci"}) || item.Locked != nil {
				t.Errorf("%s: %+v", query, item)
			}
		}
	}
	got, v := r.imported(t, acmeAdminToken, "?owner=ci", someImport, 200)
	if strings.Contains(got.body, `"owner"`) || v.Nothing != 4 {
		t.Errorf("nothing changes: %s", got.body)
	}
	_, v = r.imported(t, acmeAdminToken, "?owner=ci&lock=true&dry_run=true", someImport, 200)
	for _, item := range v.Tenants[0].Items {
		if item.Owner != nil || item.Locked == nil || !*item.Locked {
			t.Errorf("%+v", item)
		}
	}
	// A change without an owner leaves it.
	if got, _ := r.imported(t, acmeAdminToken, "", strings.Replace(someImport, "hook.example.com", "hook2.example.com", 1), 200); strings.Contains(got.body, `"owner"`) {
		t.Errorf("the owner changes: %s", got.body)
	}
	r.imported(t, acmeAdminToken, "?owner=ci&lock=true", someImport, 200)
	r.imported(t, acmeAdminToken, "?owner=console&dry_run=true", someImport, 403)
	r.imported(t, acmeAdminToken, "?owner=console", someImport, 403)
}

// A locked document is changed by its owner's imports alone; one that is not is changed with a warning.
func TestImportedDocumentsAreManaged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.imported(t, acmeAdminToken, "?owner=ci", someImport, 200)
	patch := ask{method: "PATCH", path: "/v1/webhooks/hook", token: acmeAdminToken, body: `{"timeout": "5s"}`}
	if got := r.ask(t, patch); got.status != 200 || !strings.Contains(got.body, "`ci` manages this document, and its next import will write over it") {
		t.Errorf("%d %s", got.status, got.body)
	}
	r.imported(t, acmeAdminToken, "?owner=ci&lock=true", someImport, 200)
	patch.body = `{"timeout": "6s"}`
	if got := r.ask(t, patch); got.status != 403 || !strings.Contains(got.body, `"type":"managed_by"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.ask(t, ask{method: "DELETE", path: "/v1/webhooks/hook", token: acmeAdminToken}); got.status != 403 {
		t.Errorf("%d %s", got.status, got.body)
	}
	got, _ := r.imported(t, acmeAdminToken, "?owner=other", someImport, 403)
	if !strings.Contains(got.body, `"loc":["webhooks","0"],"line":9`) || strings.Count(got.body, "managed_by") != 4 {
		t.Errorf("%s", got.body)
	}
	r.imported(t, acmeAdminToken, "?owner=ci&mode=replace", "rules: []", 200)
}

// What is wrong with an import is said with its place, all at once, and nothing is written.
func TestImportIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tt := range []struct {
		name, query, body string
		status            int
		parts             []string
	}{
		{"YAML", "", "sources: [", 422, []string{`"line":1`}},
		{"a list", "", "- a", 422, []string{"this is no file of documents"}},
		{"other settings", "", "listen: 1\ntokens: []\n", 422, []string{"an import has no `listen`", "an import has no `tokens`", `"loc":["tokens"],"line":2,"column":1`}},
		{"another tenant", "", "tenant: default", 422, []string{"this import is for the tenant `acme`"}},
		{"another tenant's document", "", "rules:\n  - {name: x, tenant: default, send: [a]}", 422, []string{`"loc":["rules","0","tenant"],"line":2,"column":23`}},
		{"every tenant", "", "rules:\n  - {name: x, tenant: \"*\", send: [a]}", 422, []string{"rules of every tenant stay"}},
		{"twice", "", "rules:\n  - {name: x, send: [a]}\n  - {name: x, send: [a]}", 422, []string{"is there twice", "line 2"}},
		{"no name", "", "rules:\n  - {send: [a]}", 422, []string{"there is no `name`"}},
		{"a mask", "", "connections:\n  a: {slack: {webhook: \"••••••••-0123abcd\"}}", 422, []string{"masked value", `"loc":["connections","a","slack","webhook"]`}},
		{"a hint", "", "webhooks:\n  - {name: a, url: \"https://a.example.com\", secrets: [{id: s_1}]}", 422, []string{"masked value"}},
		{"a variable", "", "connections:\n  a: {slack: {webhook: \"${HOOK}\"}}", 422, []string{`"loc":["connections","a","slack","webhook"],"at":[0,7],"line":2,"column":24`}},
		{"a name of a file", "", "connections:\n  crm: {slack: {webhook: \"https://hooks.slack.com/services/T9/B9/abcdefghijkl\"}}", 403, []string{`"type":"defined_in_file"`, "surveygate.yaml:", `"line":2`}},
		{"several", "", "connections:\n  a: {slak: {}}\nwebhooks:\n  - {name: b, url: nothing, events: [respons.updated]}", 422, []string{"slak", `"loc":["webhooks","0","url"],"line":4`, "respons.updated"}},
		{"nothing", "?mode=replace&owner=ci", " \n", 400, []string{"the body is empty"}},
		{"null", "", "null", 422, []string{"is null"}},
		{"no owner", "?mode=replace", "", 422, []string{`"loc":["owner"]`}},
		{"no mode", "?mode=other", "", 422, []string{`"loc":["mode"]`}},
		{"no owner of the lock", "?lock=true", "", 422, []string{`"loc":["owner"]`}},
		{"no name of an owner", "?owner=A%20b", "", 422, []string{`"loc":["owner"]`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _ := r.imported(t, acmeAdminToken, tt.query, tt.body, tt.status)
			for _, part := range tt.parts {
				if !strings.Contains(got.body, part) {
					t.Errorf("lacks %s: %s", part, got.body)
				}
			}
		})
	}
}

// Who may not write a document may not import it either.
func TestImportNeedsSettings(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	only := r.makeToken(t, acmeAdminToken, "", `{"name":"only","scopes":["admin","read"]}`)
	r.does(t, ask{method: "POST", path: "/v1/settings/import", token: only, body: "rules: []"}, 403, "lacks the scope `settings`")
	r.does(t, ask{path: "/v1/settings/export", token: only}, 200)
}

// A token of every tenant imports documents of several tenants; all are checked before one is changed.
func TestImportOfSeveralTenants(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hook := func(name, tenant string) string {
		return "  - {name: " + name + ", tenant: " + tenant + ", url: \"https://hook.example.com/\", signature: none}\n"
	}
	got, _ := r.imported(t, operatorToken, "", "webhooks:\n"+hook("a", "acme")+hook("b", "acmee"), 404)
	if !strings.Contains(got.body, "acmee") || !strings.Contains(got.body, "did you mean `acme`?") {
		t.Error(got.body)
	}
	r.imported(t, operatorToken, "", "webhooks:\n"+hook("a", "acme")+hook("b", "default")+"  - {name: c, url: 1}", 422)
	if got := r.ask(t, ask{method: "GET", path: "/v1/webhooks/a?tenant=acme", token: operatorToken}); got.status != 404 {
		t.Errorf("%d %s", got.status, got.body)
	}
	_, v := r.imported(t, operatorToken, "?owner=ci&mode=replace", "webhooks:\n"+hook("a", "acme")+hook("b", "default")+"  - {name: c, url: \"https://hook.example.com/\", signature: none}", 200)
	if len(v.Tenants) != 2 || v.Tenants[0].Plan != "+1 ~0 -0" || v.Tenants[1].Plan != "+2 ~0 -0" || v.Plan != "+3 ~0 -0" {
		t.Errorf("%+v", v)
	}
	if _, v := r.imported(t, operatorToken, "?owner=ci&mode=replace", "webhooks:\n"+hook("a", "acme"), 200); v.Plan != "+0 ~0 -0" {
		t.Errorf("a tenant that the import does not name was changed: %+v", v)
	}
	r.imported(t, operatorToken, "?tenant=acme", "webhooks:\n"+hook("a", "default"), 422)
}

// An export is imported into an empty tenant, whose export is equal.
func TestExportIsImported(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	export := func() string {
		got := r.ask(t, ask{method: "GET", path: "/v1/settings/export", token: acmeAdminToken})
		if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "application/yaml") {
			t.Fatalf("%d %s", got.status, got.body)
		}
		return got.body
	}
	if got := export(); got != "tenant: acme\n" {
		t.Errorf("%s", got)
	}
	r.imported(t, acmeAdminToken, "?owner=ci", someImport, 200)
	first := export()
	t.Log(first)
	for _, secret := range []string{"secret-abcdef", "abcdefghijkl", "MfKQ9r8", "a-secret-key"} {
		if strings.Contains(first, secret) {
			t.Errorf("the export shows a secret: %s", first)
		}
	}
	r.imported(t, acmeAdminToken, "?owner=ci&mode=replace", "rules: []", 200)
	set := strings.NewReplacer(
		"${ACME_SOURCE_FORMS_SECRETS_0}", "pollqr-secret-abcdef",
		"${ACME_CONNECTION_CHAT_SLACK_WEBHOOK}", "https://hooks.slack.com/services/T9/B9/abcdefghijkl",
		"${ACME_WEBHOOK_HOOK_SECRETS_0}", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"${ACME_WEBHOOK_HOOK_HEADERS_X_API_KEY}", "a-secret-key")
	if _, v := r.imported(t, acmeAdminToken, "?owner=ci", set.Replace(first), 200); v.Plan != "+4 ~0 -0" {
		t.Errorf("%+v", v)
	}
	if again := export(); again != first {
		t.Errorf("%s\nis not\n%s", again, first)
	}
}

// A sealed export has no secret in clear, and is imported by the gateway that sealed it: into the same tenant, document and setting alone.
func TestSealedExport(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.imported(t, acmeAdminToken, "?owner=ci", strings.Replace(someImport, "a-secret-key", `"a-secret-key$${x}"`, 1), 200)
	export := func(r *rig, token string) told {
		return r.ask(t, ask{method: "GET", path: "/v1/settings/export?tenant=acme&sealed=true", token: token})
	}
	if got := export(r, acmeAdminToken); got.status != 403 || !strings.Contains(got.body, "lacks the scope `secrets`") {
		t.Errorf("%d %s", got.status, got.body)
	}
	got := export(r, operatorToken)
	if got.status != 200 || strings.Count(got.body, "k1:") != 4 || strings.Contains(got.body, "${") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, secret := range []string{"secret-abcdef", "abcdefghijkl", "MfKQ9r8", "a-secret-key"} {
		if strings.Contains(got.body, secret) {
			t.Errorf("the export shows a secret: %s", got.body)
		}
	}
	if lines := r.ask(t, ask{method: "GET", path: "/v1/audit?of=settings", token: acmeAdminToken}); !strings.Contains(lines.body, `"settings.export"`) {
		t.Errorf("audit: %s", lines.body)
	}
	sealed := got.body
	in := func(body string, want int) (told, view.Import) {
		t.Helper()
		return r.imported(t, operatorToken, "?tenant=acme&owner=ci", body, want)
	}
	if _, v := in(sealed, 200); v.Plan != "+0 ~0 -0" {
		t.Errorf("it is not what is there: %+v", v)
	}
	r.imported(t, acmeAdminToken, "", sealed, 403)
	r.imported(t, acmeAdminToken, "?owner=ci&mode=replace", "rules: []\n", 200)
	if _, v := in(sealed, 200); v.Plan != "+4 ~0 -0" {
		t.Errorf("%+v", v)
	}
	if _, v := r.imported(t, acmeAdminToken, "?owner=ci&dry_run=true", strings.Replace(someImport, "a-secret-key", `"a-secret-key$${x}"`, 1), 200); v.Plan != "+0 ~0 -0" {
		t.Errorf("the secrets are not those of before: %+v", v)
	}

	value := regexp.MustCompile(`k1:[A-Za-z0-9_-]+`)
	const known = "this gateway, which has k1"
	for name, c := range map[string]struct{ body, says, loc string }{
		"another tenant":      {strings.Replace(sealed, "tenant: acme", "tenant: default", 1), known, `["sealed","connection/chat","slack.webhook"]`},
		"another document":    {strings.NewReplacer("  chat:", "  talk:", "connection/chat", "connection/talk", "- chat", "- talk").Replace(sealed), known, `["sealed","connection/talk","slack.webhook"]`},
		"another setting":     {strings.Replace(sealed, "headers.X-Api-Key: ", "headers.X-Other: ", 1), known, `["sealed","webhook/hook","headers.X-Other"]`},
		"changed":             {strings.Replace(sealed, "slack.webhook: k1:", "slack.webhook: k1:AA", 1), known, `["sealed","connection/chat","slack.webhook"]`},
		"a key that is not":   {strings.ReplaceAll(sealed, "k1:", "k7:"), "sealed with the key k7, and this gateway has k1", `["sealed","connection/chat","slack.webhook"]`},
		"in clear":            {value.ReplaceAllString(sealed, "text"), "is not a sealed value", `["sealed","source/forms","secrets.0"]`},
		"no such document":    {"tenant: acme\nsealed: {webhook/none: {secrets.0: x}}\n", "has no `webhook/none`", `["sealed","webhook/none"]`},
		"in the document too": {strings.Replace(sealed, "slack: {}", "slack: {webhook: \"https://hooks.slack.com/services/T9/B9/abcdefghijkl\"}", 1), "is in the document too", `["sealed","connection/chat","slack.webhook"]`},
		"no mapping":          {"tenant: acme\nsealed: [x]\n", "is a mapping", `["sealed"]`},
	} {
		query := "?tenant=acme"
		if name == "another tenant" {
			query = ""
		}
		told, _ := r.imported(t, operatorToken, query, c.body, 422)
		if !strings.Contains(told.body, c.says) || !strings.Contains(told.body, c.loc) {
			t.Errorf("%s: %s", name, told.body)
		}
	}
}
