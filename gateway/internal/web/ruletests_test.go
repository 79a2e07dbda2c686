package web

import (
	"strings"
	"testing"
)

// A rule whose own test fails is not kept, by whatever way it comes; the answer leads to the test. A disabled one is tested when it is
// enabled.
func TestRuleTests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const (
		good   = `{"when": "nps_score <= 6", "send": ["crm"], "tests": [{"given": {"nps_score": 3}, "expect": ["crm"]}, {"given": {"nps_score": 9}, "expect": []}]}`
		failed = `{"when": "nps_score <= 6", "send": ["crm"], "tests": [{"given": {"nps_score": 3}, "expect": ["crm"]}, {"given": {"nps_score": 6}, "expect": []}]}`
		says   = `"msg":"this test of the rule fails: it expects [], and [crm] would be sent; change the test or the rule"`
	)
	as := func(method, path, body string, want int, parts ...string) {
		t.Helper()
		r.does(t, ask{method: method, path: path, body: body, token: acmeAdminToken}, want, parts...)
	}
	for _, query := range []string{"", "?dry_run=true"} {
		as("PUT", "/v1/rules/low"+query, failed, 422, says, `"loc":["tests","1"]`)
		as("PUT", "/v1/rules/low"+query, strings.Replace(good, "<= 6", "<= 2", 1), 422, `"loc":["tests","0"]`, "no match: ")
	}
	as("GET", "/v1/rules/low", "", 404)
	as("PUT", "/v1/rules/low", good, 201)
	as("PATCH", "/v1/rules/low", `{"when": "nps_score <= 9"}`, 422, `"loc":["tests","1"]`)
	as("PATCH", "/v1/rules/low", `{"enabled": false, "when": "nps_score <= 9"}`, 200)
	as("POST", "/v1/rules/low/enable", "", 422, `"loc":["tests","1"]`)
	as("PATCH", "/v1/rules/low", `{"enabled": true, "when": "nps_score <= 6"}`, 200)
	as("POST", "/v1/rules/low/disable", "", 200)

	const rules = "rules:\n  - name: high\n    when: nps_score >= 9\n    send: [crm]\n    tests:\n      - {given: {nps_score: 8}, expect: [crm]}\n"
	for _, query := range []string{"", "?dry_run=true"} {
		got := r.ask(t, ask{method: "POST", path: "/v1/settings/import" + query, token: acmeAdminToken, body: rules})
		if query == "" && got.status != 422 || !strings.Contains(got.body, `"loc":["rules","0","tests","0"]`) || !strings.Contains(got.body, `"line":6`) {
			t.Errorf("import%s: %d %s", query, got.status, got.body)
		}
	}
	as("GET", "/v1/rules/high", "", 404)
	as("POST", "/v1/settings/import", strings.Replace(rules, "nps_score: 8", "nps_score: 9", 1), 200)

	// What cannot be kept yet can be tried.
	as("POST", "/v1/try", `{"draft": {"rules": {"low": `+failed+`}}, "events": {"last": 1}}`, 200)
}

// A draft of a rule and a rule that is asked for alone come with their own tests, played: also those that fail.
func TestRuleTestsArePlayed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const rule = `{"when": "nps_score <= 6", "send": ["crm"], "tests": [{"given": {"nps_score": 3}, "expect": ["crm"]}, {"given": {"nps_score": 9}, "expect": []}]}`
	failing := strings.Replace(rule, "<= 6", "<= 2", 1)
	r.does(t, ask{method: "POST", path: "/v1/try", token: acmeAdminToken, body: `{"draft": {"rules": {"low": ` + failing + `}}, "events": {"last": 1}}`}, 200,
		`"tests":[{"given":{"nps_score":3},"expect":["crm"],"passed":false,"failure":"it expects [crm], and [] would be sent (no match: `,
		`{"given":{"nps_score":9},"expect":[],"passed":true}]`)
	r.does(t, ask{method: "PUT", path: "/v1/rules/low", token: acmeAdminToken, body: rule}, 201)
	r.does(t, ask{method: "GET", path: "/v1/rules?include=tests", token: acmeAdminToken}, 200, `"tests":[{"given":{"nps_score":3},"expect":["crm"],"passed":true},`)
	r.does(t, ask{method: "GET", path: "/v1/rules/low", token: acmeAdminToken}, 200, `"tests":[{"given":{"nps_score":3},"expect":["crm"],"passed":true},`)
}
