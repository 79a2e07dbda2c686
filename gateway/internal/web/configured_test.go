package web

import (
	"context"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	post := func(path string, want int) string {
		t.Helper()
		got := r.ask(t, ask{method: "POST", path: path, token: everyToken})
		if got.status != want {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		return got.body
	}
	if body := post("/v1/destinations/alarms/pause?reason=maintenance", 200); !strings.Contains(body, `"hold":{"kind":"paused","reason":"maintenance"`) {
		t.Error(body)
	}
	holds, err := r.store.Holds(context.Background(), "default")
	if err != nil || len(holds) != 1 || holds[0].Destination != "alarms" {
		t.Error(holds, err)
	}
	if body := post("/v1/destinations/alarms/resume", 200); strings.Contains(body, "hold") {
		t.Error(body)
	}
	post("/v1/destinations/crm/pause", 404) // another tenant's
	post("/v1/destinations/none/resume", 404)
}

func TestConfigured(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	get := func(path, token string) string {
		t.Helper()
		got := r.ask(t, ask{path: path, token: token})
		if got.status != 200 {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		return got.body
	}
	for path, parts := range map[string][]string{
		"/v1/sources":                            {`"name":"pollqr"`, `"path":"/in/pollqr"`, `"path":"/in/poltio/[secret]"`, `"enabled":false`, `"line":`},
		"/v1/sources/poltio":                     {`"profile":"poltio"`},
		"/v1/connections":                        {`"name":"alarms"`, `"product":"slack"`},
		"/v1/webhooks":                           {`"name":"warehouse"`, `"events":["response.updated"]`},
		"/v1/webhooks/warehouse":                 {`"when":"nps_score <= 8"`, `"url":"https://hook.example.com/in"`, `"body":"raw"`, `"signature":"standard"`},
		"/v1/webhooks/relay":                     {`"url":"[secret]"`, `"body":"a mapping of id, score"`, `"signature":"none"`},
		"/v1/webhooks/signed":                    {`"url":"https://hook.example.com/{{ response.id }}"`, `"body":"event"`, `"signature":"pollqr"`},
		"/v1/rules":                              {`"events":["response.completed"]`, `"name":"detractor"`, `"when":"nps_score <= 6"`, `"step":"warehouse"`},
		"/v1/destinations":                       {`"name":"alarms"`, `"name":"warehouse"`},
		"/v1/tokens":                             {`"name":"reader"`},
		"/v1/destinations?limit=1":               {`"next":"` + route.Next("alarms") + `"`},
		"/v1/destinations?limit=1&cursor=signed": {`"name":"warehouse"`, `"next":null`},
	} {
		body := get(path, readToken)
		for _, part := range parts {
			if !strings.Contains(body, part) {
				t.Errorf("%s lacks %s: %s", path, part, body)
			}
		}
		for _, secret := range []string{pollqrSecret, pathToken, everyToken, "whsec_", "a-secret-that", "hooks.zapier", "hooks.slack.com", `"crm"`, `"branch"`, `"angry"`, `"wide"`} {
			if strings.Contains(body, secret) {
				t.Errorf("%s shows %s", path, secret)
			}
		}
	}
	for _, path := range []string{"/v1/sources/poltio", "/v1/sources"} {
		if body := get(path, everyToken); strings.Contains(body, pathToken) || !strings.Contains(body, "/in/poltio/[secret]") {
			t.Errorf("%s shows a path token that nobody asked for: %s", path, body)
		}
		if body := get(path+"?show_secrets=true", everyToken); !strings.Contains(body, "/in/poltio/"+pathToken) {
			t.Errorf("%s: the scope `secrets` does not show the path: %s", path, body)
		}
		if got := r.ask(t, ask{path: path + "?show_secrets=true", token: readToken}); got.status != 403 || strings.Contains(got.body, pathToken) {
			t.Errorf("%s: without the scope `secrets`: %d %s", path, got.status, got.body)
		}
	}
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		got := r.ask(t, ask{method: method, path: "/v1/rules/detractor", token: settingsToken, body: `{}`})
		if got.status != 403 || !strings.Contains(got.body, `"type":"defined_in_file"`) || !strings.Contains(got.body, "surveygate.yaml:") {
			t.Errorf("%s: %d %s", method, got.status, got.body)
		}
	}
	if got := r.ask(t, ask{path: "/v1/nothing", token: everyToken}); got.status != 404 || !strings.Contains(got.body, `"type":"not_found"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.ask(t, ask{method: "PURGE", path: "/v1/events", token: everyToken}); got.status != 405 {
		t.Errorf("%d %s", got.status, got.body)
	}
}
