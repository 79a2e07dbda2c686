package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// sparse counts requests that are sent one after the other. With -short, as the race detector is run, most are left out: in such a row it
// finds no more with all of them.
type sparse int

func (n *sparse) leavesOut() bool {
	*n++
	return testing.Short() && *n%9 > 0
}

// TestRefusedBodiesHaveAPlace: every route, sent each of its texts and names too long, empty or with control characters, refuses it with a
// `loc` that leads to a place of the body, or names a part of the path, a parameter or a header.
func TestRefusedBodiesHaveAPlace(t *testing.T) {
	t.Parallel()
	r := (&rig{measured: true}).open(t) // the description is held by other tests
	own := map[string]string{
		"connections": "own-crm", "webhooks": "own-hook", "destinations": "own-hook", "sources": "own-forms", "rules": "own-asks",
		"tenants": "acme", "department": "acme", "tokens": "own-other", "portal-links": "own-other", "secrets": "own-other", "replays": "own-other",
		"jobs": "own-other", "events": "own-other", "deliveries": "own-other", "webhook": "own-other",
	}
	for _, made := range []string{"connections", "webhooks", "sources", "rules"} {
		r.does(t, ask{method: "PUT", path: "/v1/" + made + "/" + own[made] + "?tenant=acme", token: operatorToken, body: bodies["/v1/"+made]}, http.StatusCreated)
	}
	forms := map[string]string{
		"PATCH /v1/tenants/:id":    `{"title":"Acme","metadata":{"plan":"team"}}`,
		"POST /v1/settings/import": `{"connections":{"new":` + bodies["/v1/connections"] + `},"rules":[{"name":"new","when":"nps_score <= 6","send":["new"]}]}`,
	}
	long := strings.Repeat("x", 5000)
	var requests sparse
	for _, declared := range Routes() {
		if declared.In == nil || declared.Path == "/v1/reload" {
			continue
		}
		path := fill(t, &declared, own)
		if declared.TenantIn == "" {
			path += "?tenant=acme"
		}
		base := baseBody(&declared)
		if own := forms[declared.Method+" "+declared.Path]; own != "" {
			base = own
		}
		for _, value := range []string{long, "a\u0000\nb"} {
			for _, body := range replaced(t, base, value) {
				if requests.leavesOut() {
					continue
				}
				got := r.ask(t, ask{method: declared.Method, path: path, token: operatorToken, body: body})
				if got.status >= http.StatusInternalServerError && got.status != http.StatusServiceUnavailable {
					t.Errorf("%s %s %.200s: %d %s", declared.Method, path, body, got.status, got.body)
				}
				if got.status != http.StatusUnprocessableEntity {
					continue
				}
				var problem view.Problem
				if err := json.Unmarshal([]byte(got.body), &problem); err != nil || len(problem.Detail) == 0 {
					t.Errorf("%s %s %.200s: %s", declared.Method, path, body, got.body)
				}
				for _, d := range problem.Detail {
					if !isPlace(body, d.Loc, append(slices.Clone(declared.Query), "id", "name", "tenant", "Idempotency-Key", "If-Match")) {
						t.Errorf("%s %s %.200s: no such place %q: %.300s", declared.Method, path, body, d.Loc, d.Msg)
					}
				}
			}
		}
	}
}

// TestRefusedNamesHaveAPlace: a name in a path that cannot be one, or is too long, is refused with the part of the path as its place, or is
// the name of nothing.
func TestRefusedNamesHaveAPlace(t *testing.T) {
	t.Parallel()
	r := (&rig{measured: true}).open(t)
	for _, declared := range Routes() {
		if declared.Method == http.MethodGet || !strings.Contains(declared.Path, "/:") || declared.TenantIn == "id" && strings.Count(declared.Path, "/:") > 1 {
			continue
		}
		for _, name := range []string{strings.Repeat("x", 200), "No%20Name", "%00", "caf%C3%A9", "x'y"} {
			path := strings.NewReplacer(":name", name, ":id", name, ":webhook", name).Replace(declared.Path)
			got := r.ask(t, ask{method: declared.Method, path: path, token: operatorToken, body: baseBody(&declared)})
			switch {
			case got.status == http.StatusNotFound, got.status == http.StatusUnprocessableEntity && (strings.Contains(got.body, `"loc":["name"`) || strings.Contains(got.body, `"loc":["id"`)):
			case strings.HasPrefix(declared.Path, "/department/") && got.status/100 == 4:
			default:
				t.Errorf("%s %s: %d %.300s", declared.Method, path, got.status, got.body)
			}
		}
	}
}

// isPlace reports whether loc leads to a value of a body or to one that its object may have, or is one of the names beside the body.
func isPlace(body string, loc, beside []string) bool {
	if len(loc) == 0 {
		return false
	}
	if len(loc) == 1 && slices.Contains(beside, loc[0]) {
		return true
	}
	var at any
	if json.Unmarshal([]byte(body), &at) != nil {
		return false
	}
	for i, step := range loc {
		switch in := at.(type) {
		case map[string]any:
			next, there := in[step]
			if !there {
				return i == len(loc)-1
			}
			at = next
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(in) {
				return false
			}
			at = in[n]
		default:
			return false
		}
	}
	return true
}
