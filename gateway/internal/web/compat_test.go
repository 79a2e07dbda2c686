package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

const (
	editorToken = "edit-0123456789-0123456789-012345"
	viewerToken = "view-0123456789-0123456789-012345"
	globexToken = "glob-0123456789-0123456789-012345"
	// departments is the path of the tenant acme's webhooks.
	departments = "/department/acme/webhook/"
)

// compatSettings have webhooks in files, and receivers behind a proxy.
const compatSettings = `
outbound: {allow_http: true, proxy: "http://%s"}
webhooks:
  - {name: warehouse, tenant: acme, url: "https://hook.example.com/in", events: [response.updated, response.completed], preset: pollarix, headers: {X-Key: in-a-file}}
  - {name: relay, tenant: acme, url: "https://hooks.zapier.com/hooks/catch/1/abcdef", enabled: false, signature: none}
  - {name: elsewhere, url: "https://elsewhere.example.com/in", events: ["*"], signature: none}
tokens:
  - {name: editor, secret: ` + editorToken + `, tenant: acme, scopes: [read, settings]}
  - {name: viewer, secret: ` + viewerToken + `, tenant: acme, scopes: [read]}
  - {name: acme, secret: ` + acmeToken + `, tenant: acme, scopes: [read, write, publish, secrets, admin]}
  - {name: globex, secret: ` + globexToken + `, tenant: globex, scopes: [read, settings]}
  - {name: wide, secret: ` + platformWide + `, tenant: "*", scopes: [read, settings]}
`

// newCompat is a rig whose requests to receivers arrive at a handler.
func newCompat(t *testing.T, receiver http.HandlerFunc) *rig {
	t.Helper()
	proxy := httptest.NewServer(receiver)
	t.Cleanup(proxy.Close)
	r := &rig{}
	r.plan.Store(load(t, fmt.Sprintf(compatSettings, proxy.Listener.Addr())))
	return r.open(t)
}

type department struct {
	ID       string              `json:"departmentId"`
	Webhooks []departmentWebhook `json:"webhooks"`
}

type departmentWebhook struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	URL      string            `json:"url"`
	Events   []string          `json:"events"`
	Headers  map[string]string `json:"headers"`
	IsActive bool              `json:"isActive"`
}

// departmentOf reads an answer with webhooks.
func departmentOf(t testing.TB, got told, status int) department {
	t.Helper()
	var d department
	if got.status != status {
		t.Fatalf("%d %s, want %d", got.status, got.body, status)
	}
	if err := json.Unmarshal([]byte(got.body), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// editor is a request of acme's editor; a body that is not text is written as JSON.
func (r *rig) editor(t testing.TB, method, path string, body any) told {
	t.Helper()
	text, isText := body.(string)
	if !isText && body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	return r.ask(t, ask{method: method, path: path, token: editorToken, header: map[string]string{"Content-Type": "application/json"}, body: text})
}

func nobody(http.ResponseWriter, *http.Request) {}

// TestCompatibleWebhooks makes, lists, changes and deletes webhooks as the platform's page shows it.
func TestCompatibleWebhooks(t *testing.T) {
	t.Parallel()
	r := newCompat(t, nobody)
	filed := departmentOf(t, r.editor(t, "GET", departments, nil), 200).Webhooks
	want := []departmentWebhook{
		{ID: "relay", Name: "relay", URL: filed[0].URL, Events: []string{}, Headers: map[string]string{}},
		{ID: "warehouse", Name: "warehouse", URL: "https://hook.example.com/in", Events: []string{"response.updated", "SURVEY_COMPLETED"}, Headers: filed[1].Headers, IsActive: true},
	}
	if diff := cmp.Diff(want, filed); diff != "" {
		t.Errorf("what files define (-want +got): %s", diff)
	}
	for _, shown := range []string{filed[0].URL, filed[1].Headers["X-Key"]} {
		if !strings.HasPrefix(shown, "••••••••-") {
			t.Errorf("a credential of a file is shown: %s", shown)
		}
	}

	body := `{"name": "My Webhook", "url": "https://your-server.example/webhooks", "events": ["SURVEY_COMPLETED", "COUPON_REDEEMED"],
		"headers": {"Authorization": "Bearer hush", "X-Custom-Header": "custom-value"}, "isActive": true}`
	made := departmentOf(t, r.editor(t, "POST", departments, body), 201)
	if made.ID != "acme" || len(made.Webhooks) != 1 {
		t.Fatalf("made %+v", made)
	}
	first := made.Webhooks[0]
	if !strings.HasPrefix(first.ID, "wh_") || len(first.ID) != 15 || first.Name != "My Webhook" || !first.IsActive ||
		!slices.Equal(first.Events, []string{"SURVEY_COMPLETED", "COUPON_REDEEMED"}) || strings.Contains(first.Headers["Authorization"], "hush") {
		t.Errorf("made %+v", first)
	}
	// Names are not unique, `headers: null` is none, and an absent isActive is true.
	ids := []string{first.ID}
	for _, path := range []string{departments + "add", departments + "add/", strings.TrimSuffix(departments, "/")} {
		got := departmentOf(t, r.editor(t, "POST", path, `{"name": "My Webhook", "url": "https://your-server.example/webhooks", "events": ["SURVEY_STATUS_CHANGED"], "headers": null}`), 201).Webhooks[0]
		if len(got.Headers) != 0 || !got.IsActive {
			t.Errorf("made %+v", got)
		}
		ids = append(ids, got.ID)
	}
	for _, path := range []string{departments, strings.TrimSuffix(departments, "/")} { // the oldest first
		got := departmentOf(t, r.editor(t, "GET", path, nil), 200).Webhooks
		for i, w := range got[len(filed):] {
			if w.ID != ids[i] {
				t.Errorf("%d: %s, want %s", i, w.ID, ids[i])
			}
		}
	}

	// The object that a list showed is sent back: nothing changes, and nothing is written.
	r.unchanged(t, first)
	setting, _ := r.store.Get(t.Context(), "acme", state.KindDocument, "webhook/"+first.ID)
	for _, part := range []string{`"preset":"pollarix"`, `"title":"My Webhook"`, `["response.completed","reward.redeemed"]`, `"provenance":"compat"`, `"created_by":"token:editor"`} {
		if !strings.Contains(string(setting.Value), part) {
			t.Errorf("the document lacks %s: %s", part, setting.Value)
		}
	}
	if strings.Contains(string(setting.Value), "hush") {
		t.Error("a header is kept in clear text")
	}
	changed := first
	changed.Name, changed.IsActive, changed.Events = "Updated", false, []string{"SURVEY_STATUS_CHANGED", "response.partial"}
	changed.Headers = map[string]string{"Authorization": first.Headers["Authorization"], "X-New": "1"}
	got := departmentOf(t, r.editor(t, "PUT", departments+first.ID, changed), 200).Webhooks
	changed.Headers["X-New"] = got[0].Headers["X-New"]
	if diff := cmp.Diff([]departmentWebhook{changed}, got); diff != "" {
		t.Errorf("changed (-want +got): %s", diff)
	}
	// A partial update switches on.
	got = departmentOf(t, r.editor(t, "PUT", departments+first.ID+"/", map[string]any{"id": first.ID, "name": "Partial", "url": "https://other.example/", "events": []string{"COUPON_REDEEMED"}}), 200).Webhooks
	if w := got[0]; !w.IsActive || len(w.Headers) != 0 || w.URL != "https://other.example/" {
		t.Errorf("a partial update gave %+v", w)
	}

	for _, id := range []string{first.ID, ids[1] + "/"} {
		if got := r.editor(t, "DELETE", departments+id, nil); got.status != 204 || got.body != "" {
			t.Errorf("deleted: %d %q", got.status, got.body)
		}
		if got := r.editor(t, "DELETE", departments+id, nil); got.status != 404 {
			t.Errorf("deleted again: %d", got.status)
		}
	}
	if left := departmentOf(t, r.editor(t, "GET", departments, nil), 200).Webhooks; len(left) != len(filed)+2 {
		t.Errorf("%d are left: %+v", len(left), left)
	}
}

// unchanged sends a webhook back as it was shown, and expects that nothing is written.
func (r *rig) unchanged(t *testing.T, w departmentWebhook) {
	t.Helper()
	before, err := r.store.Get(t.Context(), "acme", state.KindDocument, "webhook/"+w.ID)
	if err != nil {
		t.Fatal(err)
	}
	got := departmentOf(t, r.editor(t, "PUT", departments+w.ID, w), 200).Webhooks
	if diff := cmp.Diff([]departmentWebhook{w}, got); diff != "" {
		t.Errorf("sent back (-sent +got): %s", diff)
	}
	if after, _ := r.store.Get(t.Context(), "acme", state.KindDocument, "webhook/"+w.ID); after.Version != before.Version {
		t.Errorf("sent back, it was written: version %d, before %d: %s", after.Version, before.Version, after.Value)
	}
}

// TestCompatibleRefusals holds every status of the platform's page, and which of 400 and 422 a fault is.
func TestCompatibleRefusals(t *testing.T) {
	t.Parallel()
	r := newCompat(t, nobody)
	id := departmentOf(t, r.editor(t, "POST", departments, `{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"], "headers": {"A": "hush"}}`), 201).Webhooks[0]
	other := departmentOf(t, r.editor(t, "POST", departments, `{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"], "headers": {"A": "another"}}`), 201).Webhooks[0]
	for _, row := range []struct {
		body   string
		status int
		want   string // within the answer
	}{
		{``, 400, "the body is empty"},
		{`{`, 400, "not JSON"},
		{`[]`, 400, "must be a JSON object"},
		{`null`, 400, "must be a JSON object"},
		{`{}`, 400, "`events` is missing"},
		{`{"name": 1, "url": "https://a.example/", "events": ["SURVEY_COMPLETED"]}`, 400, "`name` must be text"},
		{`{"name": "n", "url": 1, "events": ["SURVEY_COMPLETED"]}`, 400, "`url` must be text"},
		{`{"name": "n", "url": "https://a.example/", "events": "SURVEY_COMPLETED"}`, 400, "`events` must be a list"},
		{`{"name": "n", "url": "https://a.example/", "events": [1]}`, 400, "`events` must be a list"},
		{`{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED", null]}`, 400, "`events` must be a list"},
		{`{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"], "headers": []}`, 400, "`headers` must be an object"},
		{`{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"], "headers": {"A": 1}}`, 400, "`headers` must be an object"},
		{`{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"], "headers": {"A": null}}`, 400, "`A` must be text"},
		{`{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"], "isActive": "true"}`, 400, "`isActive` must be true or false"},
		{`{"name": "n", "url": "not a url", "events": ["SURVEY_COMPLETED"]}`, 400, `"msg":"Invalid URL format","type":"validation_error"`},
		{`{"name": "n", "url": "", "events": ["SURVEY_COMPLETED"]}`, 400, "Invalid URL format"},
		{`{"name": "n", "url": "//a.example/", "events": ["SURVEY_COMPLETED"]}`, 400, "Invalid URL format"},
		{`{"name": "n", "url": "mailto:a@b.example", "events": ["SURVEY_COMPLETED"]}`, 400, "Invalid URL format"},
		{`{"name": "n", "url": "` + "••••••••-00000000" + `", "events": ["SURVEY_COMPLETED"]}`, 400, "Invalid URL format"},

		{`{"name": "", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"]}`, 422, "`name` is empty"},
		{`{"name": "n\u0000", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"]}`, 422, `"loc":["name"]`},
		{`{"name": "n", "url": "https://a.example/", "events": []}`, 422, "`events` is empty"},
		{`{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETE"]}`, 422, "did you mean SURVEY_COMPLETED"},
		{`{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED", "nonsense"]}`, 422, `"loc":["events","1"]`},
		{`{"name": "n", "url": "ftp://a.example/", "events": ["SURVEY_COMPLETED"]}`, 422, `"loc":["url"]`},
		{`{"name": "n", "url": "https://127.0.0.1/", "events": ["SURVEY_COMPLETED"]}`, 422, `"loc":["url"]`},
		{`{"name": "n", "url": "https://[::ffff:10.0.0.1]/", "events": ["SURVEY_COMPLETED"]}`, 422, `"loc":["url"]`},
		{`{"name": "n", "url": "https://jo:hush@a.example/", "events": ["SURVEY_COMPLETED"]}`, 422, `"loc":["url"]`},
		{`{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"], "headers": {"Host": "b.example"}}`, 422, "set by HTTP itself"},
		{`{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"], "headers": {"A": "` + id.Headers["A"] + `"}}`, 422, "masked value"},
		{`{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"], "isactive": false}`, 422, "did you mean `isActive`"},
	} {
		for method, path := range map[string]string{"POST": departments, "PUT": departments + other.ID} {
			body := row.body
			if method == "PUT" && strings.HasPrefix(body, "{\"") {
				body = `{"id": "` + other.ID + `", ` + body[1:]
			}
			got := r.editor(t, method, path, body)
			if got.status != row.status || !strings.Contains(got.body, row.want) {
				t.Errorf("%s %s: %d %s\nwant %d %s", method, body, got.status, got.body, row.status, row.want)
			}
			if !strings.HasPrefix(got.body, fmt.Sprintf(`{"status":%d,"detail":[{"msg":"`, row.status)) {
				t.Errorf("%s %s: the error has another shape: %s", method, body, got.body)
			}
			if strings.Contains(got.body, "hush") {
				t.Errorf("%s %s: the answer holds a credential: %s", method, body, got.body)
			}
		}
	}
	whole := `"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"]}`
	for _, row := range []struct {
		method, path, token, body string
		status                    int
		want                      string
	}{
		{"PUT", departments + id.ID, editorToken, `{` + whole, 400, "`id` is missing"},
		{"PUT", departments + id.ID, editorToken, `{"id": 1, ` + whole, 400, "`id` must be text"},
		{"PUT", departments + id.ID, editorToken, `{"id": "wh_other", ` + whole, 422, "not the one in the path"},
		{"PUT", departments + "wh_absent", editorToken, `{"id": "wh_absent", ` + whole, 404, "no such webhook"},
		{"DELETE", departments + "wh_absent", editorToken, ``, 404, "no such webhook"},
		{"PUT", departments + "warehouse", editorToken, `{"id": "warehouse", ` + whole, 403, `"type":"defined_in_file"`},
		{"DELETE", departments + "warehouse", editorToken, ``, 403, `"type":"defined_in_file"`},
		{"DELETE", departments + "elsewhere", editorToken, ``, 404, "no such webhook"}, // another tenant's
		{"GET", departments, "", ``, 401, "authentication_error"},
		{"GET", departments, "wrong", ``, 401, "authentication_error"},
		{"POST", departments, viewerToken, `{` + whole, 403, "settings"},
		{"POST", departments, acmeToken, `{` + whole, 403, "settings"}, // `write` and `admin` do not widen
		{"POST", departments + "test-send", acmeToken, `{"url": "https://a.example/"}`, 403, "settings"},
		{"GET", departments + "?page=1", editorToken, ``, 422, "no parameters"},
		{"GET", departments + "?tenant=globex", editorToken, ``, 422, "no parameters"},
		{"PATCH", departments + id.ID, editorToken, `{}`, 405, ""},
		{"GET", departments + id.ID, editorToken, ``, 405, ""},
	} {
		got := r.ask(t, ask{method: row.method, path: row.path, token: row.token, body: row.body})
		if got.status != row.status || !strings.Contains(got.body, row.want) {
			t.Errorf("%s %s: %d %s\nwant %d %s", row.method, row.path, got.status, got.body, row.status, row.want)
		}
	}
	// Other tenants' departments get one answer, whether they exist or not, and a name with capitals is nobody's.
	answers := map[string]string{}
	for _, tenant := range []string{"globex", "nobody"} {
		got := r.editor(t, "GET", "/department/"+tenant+"/webhook/", nil)
		if got.status != 403 && got.status != 404 {
			t.Errorf("%s: %d", tenant, got.status)
		}
		answers[plain(got.body)] = tenant
	}
	if len(answers) != 1 {
		t.Errorf("answers tell which departments exist: %v", answers)
	}
	for _, name := range []string{"ACME", "Acme", "%61cme", "acm%65", "acme.", "*"} {
		if got := r.editor(t, "GET", "/department/"+name+"/webhook/", nil); got.status != 422 {
			t.Errorf("department %s: %d %s", name, got.status, got.body)
		}
	}
	if got := r.ask(t, ask{path: "/department/nobody/webhook/", token: platformWide}); got.status != 404 {
		t.Errorf("a department that does not exist: %d %s", got.status, got.body)
	}
	// A token of every tenant reaches each department by its path.
	for tenant, want := range map[string]int{"acme": 4, "default": 1} {
		got := r.ask(t, ask{path: "/department/" + tenant + "/webhook/", token: platformWide})
		if d := departmentOf(t, got, 200); d.ID != tenant || len(d.Webhooks) != want {
			t.Errorf("%s: %+v", tenant, d)
		}
	}
}

// TestCompatibleBodies takes bodies whatever their content type says, and calls without a body whatever theirs says.
func TestCompatibleBodies(t *testing.T) {
	t.Parallel()
	r := newCompat(t, nobody)
	body := "\ufeff" + `{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"], "id": "wh_theirs", "createdAt": "2024-01-15T10:30:00Z", "departmentId": "dept_xyz789"}`
	var id string
	for _, contentType := range []string{"", "text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded"} {
		header := map[string]string{}
		if contentType != "" {
			header["Content-Type"] = contentType
		}
		id = departmentOf(t, r.ask(t, ask{method: "POST", path: departments, token: editorToken, header: header, body: body}), 201).Webhooks[0].ID
		if id == "wh_theirs" {
			t.Error("the caller's id was taken")
		}
	}
	for _, contentType := range []string{"", "application/json", "application/x-www-form-urlencoded"} {
		for _, length := range []string{"", "Content-Length: 0\r\n"} {
			for request, status := range map[string]int{"GET " + departments: 200, "DELETE " + departments + id: 204} {
				got := r.raw(t, request+" HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer "+editorToken+"\r\nContent-Type: "+contentType+"\r\n"+length+"\r\n")
				if got.status != status && (status != 204 || got.status != 404) {
					t.Errorf("%s as %q: %d %s", request, contentType, got.status, got.body)
				}
			}
		}
	}
	// The same key makes one webhook.
	key := map[string]string{"Idempotency-Key": "k1"}
	first := departmentOf(t, r.ask(t, ask{method: "POST", path: departments, token: editorToken, header: key, body: body}), 201)
	again := departmentOf(t, r.ask(t, ask{method: "POST", path: departments, token: editorToken, header: key, body: body}), 201)
	if first.Webhooks[0].ID != again.Webhooks[0].ID {
		t.Error("a repeated request made two webhooks")
	}
	// More than a webhook can have is refused before it is read.
	if got := r.claim(t, departments, editorToken, 1<<20); got.status != 413 {
		t.Errorf("a body of 1 MiB: %d %s", got.status, got.body)
	}
}

// TestCompatibleTestSend sends a test where it may, and says nothing of what the receiver answers but its status.
func TestCompatibleTestSend(t *testing.T) {
	t.Parallel()
	type sent struct {
		url    string
		header http.Header
		body   string
	}
	received := make(chan sent, 20)
	status := http.StatusOK
	r := newCompat(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		received <- sent{req.URL.String(), req.Header.Clone(), string(body)}
		if strings.HasSuffix(req.URL.Path, "/cut") {
			conn, _, _ := http.NewResponseController(w).Hijack()
			_ = conn.(*net.TCPConn).Close()
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "inside information")
	})
	test := func(body string) told { return r.editor(t, "POST", departments+"test-send", body) }
	for _, row := range []struct {
		body   string
		status int
		want   string
	}{
		{``, 400, "the body is empty"},
		{`{"url": 1}`, 400, "must be text"},
		{`{}`, 400, "`url` is missing"},
		{`{"url": "example"}`, 400, "Invalid URL format"},
		{`{"url": "http://127.0.0.1/"}`, 422, "use a public address"},
		{`{"url": "http://[fd00:ec2::254]/latest"}`, 422, "use a public address"},
		{`{"url": "http://2130706433/"}`, 422, `"loc":["url"]`},
		{`{"url": "http://localhost/"}`, 422, `"loc":["url"]`},
		{`{"url": "file://host/etc/passwd"}`, 422, `"loc":["url"]`},
		{`{"url": "http://a.example/{{ response.id }}"}`, 422, "holes"},
	} {
		if got := test(row.body); got.status != row.status || !strings.Contains(got.body, row.want) {
			t.Errorf("%s: %d %s, want %d %s", row.body, got.status, got.body, row.status, row.want)
		}
	}
	if len(received) != 0 {
		t.Fatalf("a refused test was sent: %v", <-received)
	}
	if got := test(`{"url": "http://receiver.example/in"}`); got.status != 200 || got.body != `{"sent":true,"status":200}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	one := <-received
	if one.url != "http://receiver.example/in" || one.header.Get("Authorization") != "" {
		t.Errorf("%+v", one)
	}
	var envelope struct{ Event, Timestamp, WebhookID, DepartmentID string }
	if err := json.Unmarshal([]byte(one.body), &envelope); err != nil || envelope.Event != "TEST" || envelope.DepartmentID != "acme" || envelope.WebhookID != "test-send" ||
		envelope.Timestamp != noon.Format(time.RFC3339) {
		t.Errorf("%v %s", err, one.body)
	}
	status = http.StatusUnauthorized // a receiver that checks a header refuses the platform's own tests too
	if got := test(`{"url": "http://receiver.example/in"}`); got.status != 200 || got.body != `{"sent":true,"status":401}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := test(`{"url": "http://receiver.example/cut"}`); got.status != 200 || !strings.Contains(got.body, `"sent":true,"problem":"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// All tests of a tenant are counted together, whatever route sends them, and those of another tenant are not counted with them.
func TestCompatibleTestsAreCounted(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(nobody))
	t.Cleanup(proxy.Close)
	r := &rig{rates: route.Rates{Tests: route.Rate{Burst: 2, Per: 0.001}}}
	r.plan.Store(load(t, fmt.Sprintf(compatSettings, proxy.Listener.Addr())))
	r.open(t)
	sends := ask{method: "POST", path: departments + "test-send", token: editorToken, body: `{"url": "http://receiver.example/in"}`}
	r.does(t, sends, 200)
	r.does(t, ask{method: "POST", path: "/v1/destinations/warehouse/test", token: acmeToken}, 200)
	if got := r.does(t, sends, 429, `"type":"rate_limited"`); got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	r.does(t, ask{method: "POST", path: "/v1/destinations/warehouse/test", token: acmeToken}, 429)
	r.does(t, ask{method: "POST", path: "/department/globex/webhook/test-send", token: globexToken, body: sends.body}, 200)
}

// Every refusal of the compatible API has the form that the platform's page shows: `status`, and `detail` with `msg` and `type`;
// also those that no handler of it makes.
func TestCompatibleErrorForm(t *testing.T) {
	t.Parallel()
	r := &rig{rates: route.Rates{Tests: route.Rate{Burst: 1, Per: 0.001}}}
	r.plan.Store(load(t, fmt.Sprintf(compatSettings, "127.0.0.1:1")))
	r.open(t)
	refused := func(status int, problem string, a ask) {
		t.Helper()
		got := r.ask(t, a)
		var body struct {
			Status int `json:"status"`
			Detail []struct {
				Msg  string `json:"msg"`
				Type string `json:"type"`
			} `json:"detail"`
		}
		err := json.Unmarshal([]byte(got.body), &body)
		if err != nil || got.status != status || body.Status != status || len(body.Detail) == 0 || body.Detail[0].Msg == "" || body.Detail[0].Type != problem ||
			!strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s %s: %d %s (%v), want %d %s", a.method, a.path, got.status, got.body, err, status, problem)
		}
	}
	long := ask{method: "POST", path: departments, token: editorToken, body: `{"name": "` + strings.Repeat("n", 600<<10) + `"}`}
	refused(401, "authentication_error", ask{method: "GET", path: departments})
	refused(403, "permission_error", ask{method: "POST", path: departments, token: viewerToken, body: "{}"})
	refused(404, "not_found", ask{method: "GET", path: "/department/nobody/webhook/", token: platformWide})
	refused(404, "not_found", ask{method: "GET", path: "/department/acme/other/", token: editorToken})
	refused(405, "validation_error", ask{method: "PATCH", path: departments + "wh_a", token: editorToken, body: "{}"})
	refused(413, "too_large", long)
	refused(400, "validation_error", ask{method: "POST", path: departments + "test-send", token: editorToken, body: "{"})
	refused(429, "rate_limited", ask{method: "POST", path: departments + "test-send", token: editorToken, body: "{"})
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	refused(503, "unavailable", ask{method: "GET", path: departments, token: editorToken})
}

// privateURLs are the forms in which somebody may write an address that the gateway must not reach.
var privateURLs = []string{
	"http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://[::1]/", "http://[::]/",
	"http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[fe80::1%25eth0]/",
	"http://localhost/", "http://localhost./", "http://a.localhost/", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[fd00::1]/",
	"http://127.0.0.1:8080/", "https://jo:hush@127.0.0.1/", "http://１２７.０.０.１/", "http://127。0。0。1/", "http://a.example@127.0.0.1/", "http://127.0.0.1#a.example/",
	"gopher://127.0.0.1/", "file:///etc/passwd", "unix:///run/surveygate.sock", "http:///a.example/", "http://a.example:0/", "javascript:alert(1)",
}

// TestCompatibleAddresses: no form of a private address is taken or sent to, in any field that takes an address.
func TestCompatibleAddresses(t *testing.T) {
	t.Parallel()
	sent := make(chan string, 100)
	r := newCompat(t, func(_ http.ResponseWriter, req *http.Request) { sent <- req.URL.String() })
	first := departmentOf(t, r.editor(t, "POST", departments, `{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"]}`), 201).Webhooks[0]
	for _, url := range privateURLs {
		object := map[string]any{"id": first.ID, "name": "n", "url": url, "events": []string{"SURVEY_COMPLETED"}}
		for path, got := range map[string]told{
			"POST":      r.editor(t, "POST", departments, object),
			"PUT":       r.editor(t, "PUT", departments+first.ID, object),
			"test-send": r.editor(t, "POST", departments+"test-send", map[string]string{"url": url}),
		} {
			if got.status != 400 && got.status != 422 || strings.Contains(got.body, "hush") {
				t.Errorf("%s %s: %d %s", path, url, got.status, got.body)
			}
		}
	}
	select {
	case url := <-sent:
		t.Errorf("a request was sent to %s", url)
	default:
	}
	r.unchanged(t, first)
}

// TestCompatibleAndOwn: a webhook of /v1 is listed, sent back and changed without losing what the platform's object does not have, and
// the other way around.
func TestCompatibleAndOwn(t *testing.T) {
	t.Parallel()
	r := newCompat(t, nobody)
	put := func(name, body string) {
		t.Helper()
		if got := r.editor(t, "PUT", "/v1/webhooks/"+name, body); got.status != 201 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	put("own", `{"url": "https://hooks.zapier.com/hooks/catch/1/abcdef", "events": ["response.*", "reward.redeemed"], "when": "nps_score <= 6", "timeout": "7s", "delay": "90s",
		"secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "headers": {"X-Key": "hush"}, "large_numbers": "text", "body": "event"}`)
	put("plain", `{"url": "https://a.example/", "signature": "none", "title": "Costs $${AMOUNT} {{ x }}", "enabled": false}`)
	put("enabled", `{"url": "https://a.example/", "signature": "none", "events": ["*"], "enabled": true, "title": "t"}`)
	put("verbatim", `{"url": "https://a.example/", "signature": "none", "events": ["SURVEY_COMPLETED"]}`)
	all := map[string]departmentWebhook{}
	for _, w := range departmentOf(t, r.editor(t, "GET", departments, nil), 200).Webhooks {
		all[w.ID] = w
	}
	own := all["own"]
	want := departmentWebhook{ID: "own", Name: "own", URL: own.URL, Events: []string{"response.*", "COUPON_REDEEMED"}, Headers: own.Headers, IsActive: true}
	if diff := cmp.Diff(want, own); diff != "" || !strings.HasPrefix(own.URL, "••••••••-") || !strings.HasPrefix(own.Headers["X-Key"], "••••••••-") {
		t.Errorf("own (-want +got): %s", diff)
	}
	if w := all["plain"]; w.Name != "Costs ${AMOUNT} {{ x }}" || w.IsActive || len(w.Events) != 0 {
		t.Errorf("plain: %+v", w)
	}
	for _, id := range []string{"own", "plain", "verbatim", "enabled"} {
		r.unchanged(t, all[id])
	}
	own.Name, own.Events = "Their name", []string{"SURVEY_COMPLETED"}
	departmentOf(t, r.editor(t, "PUT", departments+"own", own), 200)
	got := r.editor(t, "GET", "/v1/webhooks/own", nil)
	for _, part := range []string{`"title":"Their name"`, `"events":["response.completed"]`, `"when":"nps_score <= 6"`, `"timeout":"7s"`, `"delay":"90s"`, `"large_numbers":"text"`, `"secrets":[`, `"provenance":"api"`, `"state":"active"`} {
		if !strings.Contains(got.body, part) {
			t.Errorf("changed through Pollarix' API, it lacks %s: %s", part, got.body)
		}
	}
	// What has a meaning in files is text there.
	texts := departmentOf(t, r.editor(t, "POST", departments, `{"name": "$${a} ${b} $", "url": "https://a.example/${c}", "events": ["SURVEY_COMPLETED"], "headers": {"X-Key": "pa${s}w"}}`), 201).Webhooks[0]
	if texts.Name != "$${a} ${b} $" || texts.URL != "https://a.example/${c}" {
		t.Errorf("%+v", texts)
	}
	r.unchanged(t, texts)
	r.await(func(p *decide.Plan) bool { return p.Destination("acme", texts.ID) != nil })
	hook, _ := r.plan.Load().Destination("acme", texts.ID).Alone.(*webhook.Connector)
	if hook.Headers["X-Key"].Secret != connectors.NewSecret("pa${s}w") || hook.URL.String() != "https://a.example/$%7Bc%7D" {
		t.Errorf("%v %v", hook.URL, hook.Headers)
	}
	// The masked address of one is none of another.
	plain := all["plain"]
	plain.URL, plain.Events = own.URL, []string{"SURVEY_COMPLETED"}
	if got := r.editor(t, "PUT", departments+"plain", plain); got.status != 400 {
		t.Errorf("a mask was moved: %d %s", got.status, got.body)
	}
	// A rule names it, so it stays.
	rule := settings.Change{Name: "rule/needs", Spec: []byte(`{"when": "nps_score <= 6", "send": ["plain"]}`)}
	if _, err := r.app.options.Book.Apply(t.Context(), "acme", []settings.Change{rule}, settings.How{}); err != nil {
		t.Fatal(err)
	}
	if got := r.editor(t, "DELETE", departments+"plain", nil); got.status != 409 || !strings.Contains(got.body, "rule/needs") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestCompatibleBrokenDocuments: what cannot be read harms no other webhook, and can be written anew or deleted.
func TestCompatibleBrokenDocuments(t *testing.T) {
	t.Parallel()
	r := newCompat(t, nobody)
	good := departmentOf(t, r.editor(t, "POST", departments, `{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"]}`), 201).Webhooks[0]
	for name, value := range map[string]string{
		"wh_text": "nonsense", "wh_list": `{"v":1,"doc":[1],"meta":{}}`, "wh_types": `{"v":1,"doc":{"title":1,"url":{},"events":"x","headers":[],"enabled":"no","preset":"pollarix"},"meta":{}}`,
	} {
		if _, err := r.store.Put(t.Context(), "acme", state.KindDocument, "webhook/"+name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	list := departmentOf(t, r.editor(t, "GET", departments, nil), 200).Webhooks
	if len(list) != 6 || !slices.ContainsFunc(list, func(w departmentWebhook) bool { return cmp.Equal(w, good) }) {
		t.Errorf("%+v", list)
	}
	for _, name := range []string{"wh_text", "wh_list", "wh_types"} {
		body := map[string]any{"id": name, "name": "mended", "url": "https://a.example/", "events": []string{"SURVEY_COMPLETED"}}
		if got := departmentOf(t, r.editor(t, "PUT", departments+name, body), 200).Webhooks[0]; got.Name != "mended" {
			t.Errorf("%s: %+v", name, got)
		}
		if got := r.editor(t, "DELETE", departments+name, nil); got.status != 204 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// TestCompatibleSessions: a browser's session does as well as a token, from pages of the gateway, with the scopes of its token.
func TestCompatibleSessions(t *testing.T) {
	t.Parallel()
	r := newCompat(t, nobody)
	editor, viewer := r.session(t, editorToken), r.session(t, viewerToken)
	body := `{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"]}`
	own := []string{"Sec-Fetch-Site", "same-origin"}
	for _, row := range []struct {
		method, path, cookie string
		header               []string
		status               int
	}{
		{"GET", departments, editor, nil, 200},
		{"GET", departments, viewer, nil, 200},
		{"GET", departments, "__Host-sg=wrong", nil, 401},
		{"POST", departments, editor, own, 201},
		{"POST", departments, editor, nil, 403},
		{"POST", departments, editor, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"POST", departments, viewer, own, 403},
		{"POST", "/department/globex/webhook/", editor, own, 403},
		{"GET", "/department/globex/webhook/", editor, nil, 403},
	} {
		got := r.ask(t, ask{method: row.method, path: row.path, header: withCookie(row.cookie, row.header...), body: map[string]string{"POST": body}[row.method]})
		if got.status != row.status {
			t.Errorf("%s %s with %v: %d %s, want %d", row.method, row.path, row.header, got.status, got.body, row.status)
		}
	}
}

// TestCompatibleLimits: a plan without room is 403, and what is there can be changed.
func TestCompatibleLimits(t *testing.T) {
	t.Parallel()
	r := newCompat(t, nobody)
	r.app.options.Book.Limits = func(_ context.Context, tenant, kind string) (int, error) {
		return map[string]int{"acme webhook": 1}[tenant+" "+kind], nil
	}
	body := `{"name": "n", "url": "https://a.example/", "events": ["SURVEY_COMPLETED"]}`
	first := departmentOf(t, r.editor(t, "POST", departments, body), 201).Webhooks[0]
	got := r.editor(t, "POST", departments+"add", body)
	if got.status != 403 || !strings.Contains(got.body, `"type":"plan_restriction","loc":["limits","webhooks"]`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	first.Name = "changed"
	departmentOf(t, r.editor(t, "PUT", departments+first.ID, first), 200)
}
