package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// planRig is a tryRig, with the text of its configuration.
func planRig(t *testing.T) (r *rig, text string) {
	t.Helper()
	r, _ = tryRig(t)
	return r, string(r.plan.Load().Config.Bundle.Files[0].Text)
}

func planBody(t *testing.T, text string) string {
	t.Helper()
	body, err := json.Marshal(view.PlanRequest{Files: []view.PlanFile{{Name: "surveygate.yaml", Text: text}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestPlans: over the control socket, and with a token of every tenant that may read and write settings, a new configuration is compared.
// Nothing is sent or written.
func TestPlans(t *testing.T) {
	t.Parallel()
	r, text := planRig(t)
	changed := strings.Replace(text, "rules:", "rules:\n  - {name: low, events: [response.updated, response.completed], when: nps_score <= 4, send: [alarms]}", 1)
	if changed == text {
		t.Fatal("there are no rules")
	}
	for _, a := range []ask{{socket: true}, {token: platformWide}} {
		a.method, a.path, a.body = http.MethodPost, "/v1/plans", planBody(t, text)
		if got := r.does(t, a, 200); decoded[view.Plan](t, got).Changes {
			t.Errorf("the same: %s", got.body)
		}
		a.body = planBody(t, changed)
		got := r.does(t, a, 200)
		if plan := decoded[view.Plan](t, got); plan.Deliveries != (view.PlanCounts{Added: 5}) || plan.Events != 10 || len(plan.Rules) != 1 || plan.Rules[0].Name != "low" {
			t.Errorf("%s", got.body)
		}
		if strings.Contains(got.body, "abcdefghijkl") || strings.Contains(got.body, platformWide) {
			t.Errorf("a secret is answered: %s", got.body)
		}
		a.header = map[string]string{"Accept": "text/event-stream"}
		if got := r.does(t, a, 200, "event: result\n"); !strings.Contains(got.body, `"changes":true`) {
			t.Errorf("%s", got.body)
		}
	}
	for _, token := range []string{editToken, readToken, adminToken} {
		r.does(t, ask{method: http.MethodPost, path: "/v1/plans", token: token, body: planBody(t, text)}, 403)
	}
}

// TestHostilePlans: files of a stranger read no file and no environment, and are refused within bounds.
func TestHostilePlans(t *testing.T) {
	t.Parallel()
	r, text := planRig(t)
	plan := func(text string, status int, contains ...string) told {
		t.Helper()
		return r.does(t, ask{method: http.MethodPost, path: "/v1/plans", token: platformWide, body: planBody(t, text)}, status, contains...)
	}
	got := plan(strings.Replace(text, "rules:", "rules:\n  - {name: spy, events: [response.updated], when: \"email != '${HOME}'\", send: [{alarms: {text: \"${file:/etc/passwd} ${PATH}\"}}]}", 1), 200)
	if strings.Contains(got.body, "root:") || strings.Contains(got.body, "/bin") {
		t.Errorf("a file or the environment is answered: %s", got.body)
	}
	for _, file := range []string{"/etc/passwd.yaml", "../../../../etc/hosts.yaml", "./own.yaml"} {
		plan(strings.Replace(text, "sources:", "sources:\n  spy: {profile: "+file+", secrets: [0123456789-0123456789]}", 1), 422, "surveygate.yaml:", "cannot read the profile")
	}
	plan("key_file: /etc/shadow\n"+text, 200)
	var bomb strings.Builder
	bomb.WriteString("x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n")
	for n := 1; n < 9; n++ {
		fmt.Fprintf(&bomb, "x%d: &x%d [%s]\n", n, n, strings.Repeat(fmt.Sprintf("*x%d, ", n-1), 10))
	}
	plan(bomb.String(), 422, "aliases expand to more than")
	plan(strings.Replace(text, "rules:", "rules:\n"+strings.Repeat("  - {name: a, send: [alarms]}\n", 20_001), 1), 422, "defines more than 20000")
	plan("rules: [", 422, `"line":1`)
	plan("#"+strings.Repeat("x", config.MaxBundle), 422, "more than 4 MiB")
	plan("#"+strings.Repeat("x", 2*config.MaxBundle), 413)
	for _, body := range []string{
		`{}`, `{"files": []}`, `{"files": [{"name": "a/b.yaml", "text": ""}]}`, `{"files": [{"name": "a.yaml", "text": ""}], "limit": -1}`,
		`{"files": [{"name": "a.yaml", "text": ""}], "since": "tomorrow"}`, `{"files": [{"name": "a.yaml", "text": ""}, {"name": "a.yaml", "text": ""}]}`,
	} {
		r.does(t, ask{method: http.MethodPost, path: "/v1/plans", token: platformWide, body: body}, 422)
	}
	r.does(t, ask{method: http.MethodPost, path: "/v1/plans", token: editToken, body: planBody(t, "#"+strings.Repeat("x", 3<<20))}, 413)
}
