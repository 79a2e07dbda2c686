package web

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// read decodes an answer.
func read[T any](t testing.TB, got told, want int) (v T) {
	t.Helper()
	if got.status != want {
		t.Fatalf("%d, want %d: %s", got.status, want, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// shifted is a clock that is ahead.
type shifted struct {
	clock.Clock
	by atomic.Int64
}

func (s *shifted) Now() time.Time { return s.Clock.Now().Add(time.Duration(s.by.Load())) }

// TestSecretsOfWebhook: a webhook gets a secret, which is shown once; a second one counts beside it until the overlap ends; the list
// that is shown can be sent back; the last one stays.
func TestSecretsOfWebhook(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	do := func(method, path, body string, header map[string]string) told {
		t.Helper()
		return r.ask(t, ask{method: method, path: path, token: settingsToken, body: body, header: header})
	}
	once := map[string]string{"Idempotency-Key": "make-it"}
	posted := do("POST", "/v1/webhooks", `{"url": "https://hook.example.com/in", "events": ["response.completed"]}`, once)
	made := read[view.Webhook](t, posted, 201)
	path := "/v1/webhooks/" + made.Name
	if !strings.HasPrefix(made.Name, "wh_") || len(made.Name) != len("wh_")+12 || !strings.HasPrefix(made.Secret, "whsec_") || posted.header.Get("Location") != path {
		t.Fatalf("%+v", made)
	}
	if again := do("POST", "/v1/webhooks", `{"url": "https://hook.example.com/in", "events": ["response.completed"]}`, once); again.status != 201 || strings.Contains(again.body, made.Secret) || !strings.Contains(again.body, made.Name) {
		t.Errorf("the kept answer has the secret, or is another: %d %s", again.status, again.body)
	} else if again.header.Get("Location") != path || again.header.Get("ETag") != posted.header.Get("ETag") || again.header.Get("ETag") == "" {
		t.Errorf("the kept answer lacks headers of the first one: %v, %v", again.header, posted.header)
	}
	quiet := func(got told, want int) told {
		t.Helper()
		if got.status != want || strings.Contains(got.body, made.Secret) {
			t.Fatalf("%d, want %d, or with the secret: %s", got.status, want, got.body)
		}
		return got
	}
	first := read[view.Page[view.WebhookSecret]](t, quiet(do("GET", path+"/secrets", "", nil), 200), 200)
	if len(first.Data) != 1 || first.Data[0].Hint != "whsec_…"+strings.TrimRight(made.Secret, "=")[len(strings.TrimRight(made.Secret, "="))-4:] {
		t.Fatalf("%+v", first)
	}
	for _, refused := range []string{"25h ", "-1h", "721h", "soon"} {
		if got := do("POST", path+"/secrets", `{"overlap": "`+refused+`"}`, nil); got.status != 422 {
			t.Errorf("overlap %q: %d %s", refused, got.status, got.body)
		}
	}
	dry := read[view.WebhookSecret](t, quiet(do("POST", path+"/secrets?dry_run=true", `{"overlap": "1h"}`, nil), 200), 200)
	if dry.Secret != "" || dry.ID != "" || dry.Hint != "" || dry.Would != "create" {
		t.Errorf("a dry run answers %+v", dry)
	}
	if kept := read[view.Page[view.WebhookSecret]](t, do("GET", path+"/secrets", "", nil), 200); !reflect.DeepEqual(kept, first) {
		t.Errorf("after a dry run: %+v", kept)
	}
	quiet(do("DELETE", path+"/secrets/"+first.Data[0].ID+"?dry_run=true", "", nil), 409)
	second := read[view.WebhookSecret](t, quiet(do("POST", path+"/secrets", `{"overlap": "1h"}`, nil), 201), 201)
	if second.Secret == "" || second.Secret == made.Secret || !second.Until.IsZero() {
		t.Errorf("%+v", second)
	}
	if got := quiet(do("POST", path+"/secrets", "", nil), 409); !strings.Contains(got.body, "two secrets count already") {
		t.Error(got.body)
	}
	both := read[view.Page[view.WebhookSecret]](t, quiet(do("GET", path+"/secrets", "", nil), 200), 200)
	if len(both.Data) != 2 || both.Data[0].ID != second.ID || both.Data[1].ID != first.Data[0].ID || both.Data[1].Until.IsZero() {
		t.Fatalf("%+v", both)
	}
	if left := read[view.Page[view.WebhookSecret]](t, do("DELETE", path+"/secrets/"+second.ID+"?dry_run=true", "", nil), 200); len(left.Data) != 1 || left.Data[0].ID != first.Data[0].ID {
		t.Errorf("a dry run answers %+v", left)
	}
	quiet(do("POST", path+"/secrets?dry_run=true", "", nil), 409)
	if kept := read[view.Page[view.WebhookSecret]](t, do("GET", path+"/secrets", "", nil), 200); !reflect.DeepEqual(kept, both) {
		t.Errorf("after a dry run: %+v", kept)
	}
	// What is shown can be sent back; altered, it stands for nothing.
	shown := quiet(do("GET", path, "", nil), 200)
	spec := string(read[view.Webhook](t, shown, 200).Spec)
	if got := do("PUT", path, spec, nil); got.header.Get("ETag") != shown.header.Get("ETag") || got.status != 200 {
		t.Errorf("sent back: %d %s", got.status, got.body)
	}
	for _, altered := range []string{
		strings.Replace(spec, second.ID, "s_aaaaaaaa", 1), strings.Replace(spec, second.Hint, "whsec_…aaaa", 1),
		strings.Replace(spec, `"url"`, `"headers":{"X-A":`+`"`+second.Hint+`"},"url"`, 1),
		`{"url": "https://hook.example.com/in", "signature": "github", "secrets": ["` + second.Hint + `"]}`,
	} {
		if got := do("PUT", path, altered, nil); got.status != 422 && !strings.Contains(altered, "X-A") {
			t.Errorf("%s: %d %s", altered, got.status, got.body)
		}
	}
	if got := do("PATCH", path, `{"secrets": [{"id": "`+first.Data[0].ID+`"}]}`, nil); got.status != 200 || strings.Contains(got.body, second.ID) {
		t.Errorf("one of both: %d %s", got.status, got.body)
	}
	if got := quiet(do("DELETE", path+"/secrets/"+first.Data[0].ID, "", nil), 409); !strings.Contains(got.body, "only secret") {
		t.Error(got.body)
	}
	quiet(do("DELETE", path+"/secrets/"+second.ID, "", nil), 404)
	quiet(do("POST", path+"/secrets", `{"overlap": "0s"}`, nil), 201)
	if all := read[view.Page[view.WebhookSecret]](t, do("GET", path+"/secrets", "", nil), 200); len(all.Data) != 1 || all.Data[0].ID == first.Data[0].ID {
		t.Errorf("%+v", all)
	}
	if got := do("POST", "/v1/webhooks/warehouse/secrets", "", nil); got.status != 403 || !strings.Contains(got.body, "defined_in_file") {
		t.Errorf("a file's webhook: %d %s", got.status, got.body)
	}
}

// TestPutAgainKeepsSecrets: a PUT without secrets does the same when it is repeated, because its answer was lost: it changes nothing. One
// that changes something else leaves the webhook all its secrets.
func TestPutAgainKeepsSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	put := func(url string, want int) view.Webhook {
		t.Helper()
		body := `{"url": "` + url + `", "events": ["response.completed"]}`
		return read[view.Webhook](t, r.ask(t, ask{method: "PUT", path: "/v1/webhooks/partner", token: settingsToken, body: body}), want)
	}
	secrets := func() view.Page[view.WebhookSecret] {
		t.Helper()
		return read[view.Page[view.WebhookSecret]](t, r.ask(t, ask{method: "GET", path: "/v1/webhooks/partner/secrets", token: settingsToken}), 200)
	}
	made := put("https://hook.example.com/in", 201)
	if again := put("https://hook.example.com/in", 200); again.Version != made.Version || again.Secret != "" {
		t.Errorf("made %+v, then %+v", made, again)
	}
	if got := r.ask(t, ask{method: "POST", path: "/v1/webhooks/partner/secrets", token: settingsToken, body: `{"overlap": "1h"}`}); got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	before := secrets()
	if changed := put("https://hook.example.com/other", 200); changed.Version == made.Version || changed.Secret != "" {
		t.Errorf("changed: %+v", changed)
	}
	if after := secrets(); len(before.Data) != 2 || !reflect.DeepEqual(before, after) {
		t.Errorf("the secrets were %+v, and are %+v", before, after)
	}
}

// TestSecretEnds: the gateway removes a secret when its overlap is over, once, whichever replica does it, and never the last one.
func TestSecretEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	later := &shifted{Clock: clock.System()}
	r.book.Writer.Clock = later
	do := func(method, path, body string) told {
		t.Helper()
		return r.ask(t, ask{method: method, path: path, token: settingsToken, body: body})
	}
	read[view.Webhook](t, do("PUT", "/v1/webhooks/hook", `{"url": "https://hook.example.com/in", "signature": "github"}`), 201)
	added := read[view.WebhookSecret](t, do("POST", "/v1/webhooks/hook/secrets", `{"overlap": "1h"}`), 201)
	secrets := func() []view.WebhookSecret {
		t.Helper()
		return read[view.Page[view.WebhookSecret]](t, do("GET", "/v1/webhooks/hook/secrets", ""), 200).Data
	}
	if all := secrets(); len(all) != 2 || all[1].ID != added.ID || all[0].Until.IsZero() {
		t.Fatalf("a style with one signature signs with the former secret until it ends: %+v", all)
	}
	end := func() {
		t.Helper()
		if err := r.book.EndSecrets(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	end()
	if all := secrets(); len(all) != 2 {
		t.Fatalf("ended too early: %+v", all)
	}
	later.by.Add(int64(61 * time.Minute))
	end()
	end()
	if all := secrets(); len(all) != 1 || all[0].ID != added.ID || !all[0].Until.IsZero() {
		t.Fatalf("%+v", all)
	}
	if left, err := r.store.List(t.Context(), "*", "secret-ending"); err != nil || len(left) != 0 {
		t.Errorf("notes are left: %v, %v", left, err)
	}
	lines, err := r.book.Audit.Lines(t.Context(), "default", 0, 1)
	if err != nil || len(lines) != 1 || lines[0].Name != "gateway" || lines[0].Did != "webhook.update" {
		t.Errorf("%+v, %v", lines, err)
	}
	// A secret whose webhook is deleted ends with it.
	read[view.WebhookSecret](t, do("POST", "/v1/webhooks/hook/secrets", `{"overlap": "1h"}`), 201)
	do("DELETE", "/v1/webhooks/hook", "")
	later.by.Add(int64(61 * time.Minute))
	end()
	if left, err := r.store.List(t.Context(), "*", "secret-ending"); err != nil || len(left) != 0 {
		t.Errorf("notes are left: %v, %v", left, err)
	}
}
