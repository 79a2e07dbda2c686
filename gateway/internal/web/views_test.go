package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/live"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// views are the answers of the API by method and path; the first that matches counts.
var views = []struct {
	route *regexp.Regexp
	view  func() any
}{
	{asks("POST /v1/events"), viewOf[view.Results]},
	{asks("GET /v1/events"), viewOf[view.Page[view.Event]]},
	{asks("GET /v1/events/ID"), viewOf[view.Record]},
	{asks("GET /v1/events/ID/explain"), viewOf[view.Explanation]},
	{asks("POST /v1/events/ID/replay?normalise"), viewOf[view.Normalised]},
	{asks("POST /v1/events/ID/replay"), viewOf[view.Replay]},
	{asks("POST /v1/events/ID/drop"), viewOf[view.Event]},
	{asks("POST /v1/replays?normalise"), viewOf[view.NormalisedPage]},
	{regexp.MustCompile("^POST /v1/(replays|drops|(webhooks|connections)/[^/]+/recover) would$"), viewOf[view.WouldReplay]},
	{regexp.MustCompile("^POST /v1/erasures[^ ]* would$"), viewOf[view.WouldErase]},
	{asks("POST /v1/erasures"), viewOf[view.Erasure]},
	{asks("GET /v1/erasures"), viewOf[view.Page[view.Erasure]]},
	{asks("GET /v1/erasures/ID"), viewOf[view.Erasure]},
	{asks("POST /v1/replays"), viewOf[view.Job]},
	{asks("POST /v1/drops"), viewOf[view.Job]},
	{asks("GET /v1/drops"), viewOf[view.Page[view.Job]]},
	{asks("GET /v1/drops/ID"), viewOf[view.Job]},
	{asks("POST /v1/drops/ID/cancel"), viewOf[view.Job]},
	{asks("GET /v1/replays"), viewOf[view.Page[view.Job]]},
	{asks("GET /v1/replays/ID"), viewOf[view.Job]},
	{asks("POST /v1/replays/ID/cancel"), viewOf[view.Job]},
	{asks("POST /v1/(webhooks|connections)/ID/recover"), viewOf[view.Job]},
	{asks("GET /v1/deliveries"), viewOf[view.Page[view.Delivery]]},
	{asks("GET /v1/deliveries/ID"), viewOf[view.Delivery]},
	{asks("POST /v1/deliveries/ID/(retry|replay|drop)"), viewOf[view.Delivery]},
	{asks("GET /v1/destinations"), viewOf[view.Page[view.Destination]]},
	{asks("GET /v1/destinations/ID"), viewOf[view.Destination]},
	{asks("POST /v1/destinations/ID/(pause|resume)"), viewOf[view.Destination]},
	{asks("POST /v1/destinations/ID/test"), viewOf[view.Delivery]},
	{asks("GET /v1/sources"), viewOf[view.Page[view.Source]]},
	{asks("(GET|PUT|PATCH) /v1/sources/ID"), viewOf[view.Source]},
	{asks("POST /v1/settings/import"), viewOf[view.Import]},
	{asks("DELETE /v1/(sources|connections|webhooks|rules)/ID"), viewOf[view.Deleted]},
	{asks("GET /v1/sources/ID/rejected"), viewOf[view.RejectedPage]},
	{asks("GET /v1/sources/ID/questions"), viewOf[view.Questions]},
	{asks("GET /v1/suggestions"), viewOf[view.Suggestions]},
	{asks("GET /v1/sources/ID/captured"), viewOf[view.CapturedPage]},
	{asks("GET /v1/connections"), viewOf[view.Page[view.Connection]]},
	{asks("(GET|PUT|PATCH) /v1/connections/ID"), viewOf[view.Connection]},
	{asks("POST /v1/connections/ID/check"), viewOf[live.Connection]},
	{asks("PUT /v1/connections/ID/token"), viewOf[view.StoredToken]},
	{asks("POST /v1/vault/reseal"), viewOf[view.Resealed]},
	{asks("GET /v1/webhooks/ID/secrets"), viewOf[view.Page[view.WebhookSecret]]},
	{asks("DELETE /v1/webhooks/ID/secrets/ID"), viewOf[view.Page[view.WebhookSecret]]},
	{asks("POST /v1/webhooks/ID/secrets"), viewOf[view.WebhookSecret]},
	{asks("POST /v1/(webhooks|connections)/ID/test"), viewOf[view.Tested]},
	{asks("POST /v1/webhooks/ID/(enable|disable)"), viewOf[view.Webhook]},
	{asks("POST /v1/rules/ID/(enable|disable)"), viewOf[view.Rule]},
	{asks("POST /v1/webhooks"), viewOf[view.Webhook]},
	{asks("GET /v1/webhooks"), viewOf[view.Page[view.Webhook]]},
	{asks("(GET|PUT|PATCH) /v1/webhooks/ID"), viewOf[view.Webhook]},
	{asks("GET /v1/rules"), viewOf[view.Page[view.Rule]]},
	{asks("(GET|PUT|PATCH) /v1/rules/ID"), viewOf[view.Rule]},
	{asks("GET /v1/tokens"), viewOf[view.Page[view.Token]]},
	{asks("GET /v1/tokens/ID"), viewOf[view.Token]},
	{asks("POST /v1/tokens"), viewOf[view.MadeToken]},
	{asks("GET /v1/tenants"), viewOf[view.Page[view.Tenant]]},
	{asks("(GET|PUT|PATCH) /v1/tenants/ID"), viewOf[view.Tenant]},
	{asks("POST /v1/login-links"), viewOf[view.LoginLink]},
	{asks("GET /v1/tenants/ID/portal-links"), viewOf[view.Page[view.PortalLink]]},
	{asks("POST /v1/tenants/ID/portal-links"), viewOf[view.MadePortalLink]},
	{asks("GET /v1/stats?of=destination:&.*by=name"), viewOf[view.StatsByName[view.DestinationStat]]},
	{asks("GET /v1/stats?of=source:&.*by=name"), viewOf[view.StatsByName[view.SourceStat]]},
	{asks("GET /v1/stats?of=rule:&.*by=name"), viewOf[view.StatsByName[view.RuleStat]]},
	{asks("GET /v1/stats?of=survey:&.*by=name"), viewOf[view.StatsByName[view.SurveyStat]]},
	{asks("GET /v1/stats?of=destination:"), viewOf[view.Stats[view.DestinationStat]]},
	{asks("GET /v1/stats?of=source:"), viewOf[view.Stats[view.SourceStat]]},
	{asks("GET /v1/stats?of=rule:"), viewOf[view.Stats[view.RuleStat]]},
	{asks("GET /v1/stats?of=survey:"), viewOf[view.Stats[view.SurveyStat]]},
	{asks("GET /v1/event-types"), viewOf[view.EventTypes]},
	{asks("POST /v1/sources/ID/capture"), viewOf[view.Capturing]},
	{asks("POST /v1/sources/ID/test"), viewOf[view.SourceTested]},
	{asks("POST /v1/try"), viewOf[view.Tried]},
	{asks("POST /v1/plans"), viewOf[view.Plan]},
	{asks("GET /v1/health"), viewOf[view.Health]},
	{asks("GET /v1/overview"), viewOf[view.Overview]},
	{asks("GET /v1/surveys"), viewOf[view.Page[view.Survey]]},
	{asks("GET /v1/me"), viewOf[view.Me]},
	{asks("GET /v1/audit"), viewOf[view.Page[view.AuditLine]]},
	{asks("POST /v1/reload"), viewOf[view.Reloaded]},
	{asks("(GET|POST) /department/ID/webhook"), viewOf[view.Department]},
	{asks("POST /department/ID/webhook/add"), viewOf[view.Department]},
	{asks("PUT /department/ID/webhook/ID"), viewOf[view.Department]},
	{asks("POST /department/ID/webhook/test-send"), viewOf[view.TestSent]},
}

func viewOf[T any]() any { return new(T) }

func asks(text string) *regexp.Regexp {
	text, query, with := strings.Cut(text, "?")
	text = "^" + strings.ReplaceAll(text, "ID", "[^/?]+")
	if with {
		return regexp.MustCompile(text + `\?(.*&)?` + query)
	}
	return regexp.MustCompile(text + `/?(\?|$)`)
}

// holdsView checks every answer of the API in every test of this package: it is one of the types in package view, whole and
// without anything else. What package client reads is then what the API writes.
func holdsView(t testing.TB, method, path string, got told) {
	t.Helper()
	if !isManaged([]byte(path)) || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
		return
	}
	var to any
	if got.status >= http.StatusBadRequest {
		to = new(view.Problem)
		if method == http.MethodPost && strings.HasPrefix(path, "/v1/events") && strings.HasPrefix(got.body, `{"results"`) {
			to = new(view.Results)
		}
	} else {
		asked := method + " " + path
		if strings.HasPrefix(got.body, `{"would"`) { // of a dry run, which the body asked for
			asked += " would"
		}
		for _, v := range views {
			if v.route.MatchString(asked) {
				to = v.view()
				break
			}
		}
	}
	if to == nil {
		t.Errorf("%s %s: no view is known for its answer", method, path)
		return
	}
	dec := json.NewDecoder(strings.NewReader(got.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(to); err != nil {
		t.Errorf("%s %s: %T: %v in %s", method, path, to, err, got.body)
		return
	}
	again, err := json.Marshal(to)
	if err != nil {
		t.Error(err)
		return
	}
	if diff := cmp.Diff(numbers(t, []byte(got.body)), numbers(t, again)); diff != "" {
		t.Errorf("%s %s: %T does not hold all of its answer (-answer +view):\n%s", method, path, to, diff)
	}
}

// numbers decodes JSON and keeps numbers as they are written.
func numbers(t testing.TB, text []byte) (v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Error(err)
	}
	return v
}
