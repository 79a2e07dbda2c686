package salesforce

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "salesforce")
}

func TestCaseTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.PlayFiles(t, "salesforce.case", "testdata/case/*.txtar", connectortest.Bind)
}

const org = "domain: acme.my.salesforce.com\nclient_id: app\nclient_secret: s3cret\n"

// TestFields is the contract's table of the upsert of a contact, and of the case that follows.
func TestFields(t *testing.T) {
	t.Parallel()
	const path = "/services/data/v67.0/composite/sobjects/"
	connectortest.CheckFields(t, "salesforce", org+"key: SG_Key__c\nfields: {NPS__c: nps_score, Comment__c: feedback, VIP__c: respondent.params.vip}", []connectortest.Field{
		{To: "method", From: "always", Want: "PATCH"},
		{To: "url", From: "object and key", Want: path + "Contact/SG_Key__c"},
		{To: "header.Content-Type", From: "always", Want: "application/json"},
		{To: "allOrNone", From: "always", Want: false},
		{To: "records.0.attributes.type", From: "object", Want: "Contact"},
		{To: "records.0.SG_Key__c", From: "respondent.email, in lower case", Want: "jane@example.com"},
		{To: "records.0.Email", From: "respondent.email", Sample: "Jane@Example.com", Want: "jane@example.com"},
		{To: "records.0.FirstName", From: "respondent.first_name", Sample: "Jane"},
		{To: "records.0.LastName", From: "respondent.last_name", Sample: "de la Cruz"},
		{To: "records.0.Phone", From: "respondent.phone", Sample: "+905550001122"},
		{To: "records.0.NPS__c", From: "response.score.nps", Sample: 9},
		{To: "records.0.Comment__c", From: "response.feedback", Sample: "Fast"},
		{To: "records.0.VIP__c", From: "respondent.params.vip", Sample: true},
	})

	c := bound(t, "salesforce.case", "key: SG_Key__c\ncase_key: SG_Response__c").(*Case)
	ev := given(t, `{"type":"response.completed","email":"jane@example.com","feedback":"Fast","nps_score":9,"response":{"id":"r1"}}`)
	contact := &connectors.Response{Status: 200, Body: []byte(`[{"id":"003000000000001AAA","success":true,"errors":[]}]`), Events: []*event.Event{ev}}
	connectortest.CheckRequest(t, c.Judge(contact).Next, map[string]any{
		"method":                    "PATCH",
		"url":                       path + "Case/SG_Response__c",
		"allOrNone":                 false,
		"records.0.attributes.type": "Case",
		"records.0.SG_Response__c":  "d2765f975d5f8ac0068b53b5b879ebc2", // the response
		"records.0.Subject":         "New response: Score 9/10",
		"records.0.Description":     "Customer: jane@example.com\nFeedback: Fast",
		"records.0.ContactId":       "003000000000001AAA", // the contact
	})
}

func given(t testing.TB, text string) *event.Event {
	t.Helper()
	ev, err := connectortest.ParseEvent([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func bound(t testing.TB, name, config string) connectors.Connector {
	t.Helper()
	c, _ := connectors.New(name)
	if err := connectortest.Bind([]byte(org+config), c); err != nil {
		t.Fatal(err)
	}
	return c
}

// A client secret asks My Domain for the token. A private key names the login host as the audience: that of sandboxes for one.
func TestAuth(t *testing.T) {
	t.Parallel()
	ev := given(t, `{"type":"response.completed","email":"jane@example.com"}`)
	authOf := func(config string) connectors.OAuth2 {
		c, _ := connectors.New("salesforce")
		if err := connectortest.Bind([]byte(config), c); err != nil {
			t.Fatal(err)
		}
		req, err := c.Build(ev)
		if err != nil {
			t.Fatal(err)
		}
		return req.Auth.(connectors.OAuth2)
	}
	want := connectors.OAuth2{
		Grant: connectors.GrantClientCredentials, TokenURL: "https://acme.my.salesforce.com/services/oauth2/token",
		ClientID: "app", ClientSecret: connectors.NewSecret("s3cret"),
	}
	if got := authOf(org); got.Grant != want.Grant || got.TokenURL != want.TokenURL || got.ClientID != want.ClientID || got.ClientSecret != want.ClientSecret {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := authOf(org + "base_url: https://proxy.example/x").TokenURL; got != "https://proxy.example/x/services/oauth2/token" {
		t.Errorf("behind a proxy: %s", got)
	}
	archive, err := txtar.ParseFile("testdata/jwt.txtar")
	if err != nil {
		t.Fatal(err)
	}
	config := string(archive.Files[0].Data)
	for domain, audience := range map[string]string{
		"acme--test.sandbox.my.salesforce.com": "https://test.salesforce.com",
		"acme.my.salesforce.com":               "https://login.salesforce.com",
	} {
		got := authOf(strings.Replace(config, "acme--test.sandbox.my.salesforce.com", domain, 1))
		if got.Grant != connectors.GrantAssertion || got.TokenURL != "https://"+domain+"/services/oauth2/token" || got.Audience != audience ||
			got.Issuer != "3MVG9consumerkey" || got.Subject != "gateway@acme.com" || got.PrivateKey.IsZero() || !got.ClientSecret.IsZero() {
			t.Errorf("%s: %+v", domain, got)
		}
	}
}

func TestDomains(t *testing.T) {
	t.Parallel()
	for domain, valid := range map[string]bool{
		"acme.my.salesforce.com": true, "acme--uat.sandbox.my.salesforce.com": true, "acme-dev-ed.develop.my.salesforce.com": true,
		"agency.my.salesforce.mil": true, "my.salesforce.com": false, "na139.salesforce.com": false, "acme.my.salesforce.com.evil.example": false,
		"acme.my.salesforce.com:8443": false, "user@acme.my.salesforce.com": false, "": false,
	} {
		o := Org{Domain: domain, ClientSecret: connectors.NewSecret("x")}
		if err := o.validate(); (err == nil) != valid {
			t.Errorf("%s: %v", domain, err)
		}
	}
}

// A person has one key for any spelling of their address. A case that belongs to nobody has its response's.
func TestOnePersonIsOneKey(t *testing.T) {
	t.Parallel()
	const response = "d2765f975d5f8ac0068b53b5b879ebc2"
	rows := []struct{ product, config, event, want string }{
		{"salesforce", "", `{"type":"test","email":"Jane@Example.com"}`, ""},
		{"salesforce", "key: SG_Key__c", `{"type":"test","email":"Jane@Example.com"}`, "jane@example.com"},
		{"salesforce", "key: SG_Key__c", `{"type":"test"}`, ""},
		{"salesforce", "key: SG_Key__c\nfields: {sg_key__C: respondent.external_id}", `{"type":"test","respondent":{"external_id":"U1"}}`, "u1"},
		{"salesforce", "key: SG_Key__c\nfields: {SG_Key__c: respondent.external_id}", `{"type":"test","email":"a@example.com"}`, ""},
		{"salesforce.case", "key: SG_Key__c", `{"type":"test","email":"Jane@Example.com"}`, "jane@example.com"},
		{"salesforce.case", "key: SG_Key__c", `{"type":"test","response":{"id":"r1"}}`, response},
		{"salesforce.case", "", `{"type":"test","email":"Jane@Example.com","response":{"id":"r1"}}`, response},
	}
	for _, row := range rows {
		if got := bound(t, row.product, row.config).(connectors.Keyer).Key(given(t, row.event)); got != row.want {
			t.Errorf("%s %s: %q, want %q", row.product, row.config, got, row.want)
		}
	}
}

// Without a key every event is sent alone, because a repeated batch would create all its records again.
func TestBatches(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]int{"": 1, "key: SG_Key__c": 200} {
		if got := bound(t, "salesforce", config).(connectors.Batcher).Batch().Events; got != want {
			t.Errorf("%q: %d events, want %d", config, got, want)
		}
	}
	c := bound(t, "salesforce", "key: SG_Key__c").(*Connector)
	req, err := c.BuildBatch(batch(t, maxBatch))
	if err != nil || req.ResponseLimit != maxBatch*resultBytes {
		t.Errorf("%v, the response limit is %d", err, req.ResponseLimit)
	}
}

// The response's id is not unique: two surveys, sources or tenants may have the same, and their cases differ.
func TestOneResponseIsOneCase(t *testing.T) {
	t.Parallel()
	of := func(tenant, source, survey, key string) string {
		body := fmt.Sprintf(`{"type":"response.completed","id":%q,"survey":{"id":%q},"response":{"id":"1"}}`, key, survey)
		ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: tenant, Source: source, Received: connectortest.ReceivedAt, Verified: "hmac"})
		if err != nil {
			t.Fatal(err)
		}
		return responseID(ev)
	}
	one := of("acme", "wufoo", "7", "a")
	if later := of("acme", "wufoo", "7", "b"); later != one {
		t.Errorf("a later event of the response has the case %s, the first one %s", later, one)
	}
	for name, other := range map[string]string{
		"another survey": of("acme", "wufoo", "8", "c"), "another platform": of("acme", "tally", "7", "d"), "another tenant": of("zeta", "wufoo", "7", "e"),
	} {
		if other == one {
			t.Errorf("%s has the same case", name)
		}
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]int{"": 1, "case_key: R__c": 2, "key: K__c": 3, "key: K__c\ncase_key: R__c": 4, "key: K__c\nobject: Lead": 1} {
		c := bound(t, "salesforce.case", config).(*Case)
		if got := c.MaxRequests(); got != want {
			t.Errorf("%q: %d requests, want %d", config, got, want)
		}
		ev := given(t, `{"type":"response.completed","feedback":"Slow"}`)
		other := given(t, `{"type":"response.completed","feedback":"Fast"}`)
		a, err := c.LaterContent(ev)
		b, err2 := c.LaterContent(other)
		if err != nil || err2 != nil || string(a) == string(b) || !json.Valid(a) {
			t.Errorf("%q: %v, %v, the content is %s and %s", config, err, err2, a, b)
		}
	}
}

func TestQuoted(t *testing.T) {
	t.Parallel()
	if got, want := quoted(`o'b\n`+"\n"), `'o\'b\\n\n'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c := bound(t, "salesforce", "key: SG_Key__c\nfields: {NPS__c: nps_score, firstname: name}").(*Connector)
	fields, key := c.Check()[0], c.Check()[1]
	connectortest.CheckRequest(t, fields, map[string]any{
		"method": "GET",
		"url":    "/services/data/v67.0/query?q=SELECT+Email%2C+FirstName%2C+LastName%2C+NPS__c%2C+Phone%2C+SG_Key__c+FROM+Contact+LIMIT+0",
	})
	connectortest.CheckRequest(t, key, map[string]any{
		"method": "GET",
		"url":    "/services/data/v67.0/query?q=SELECT+IsIdLookup+FROM+EntityParticle+WHERE+EntityDefinition.QualifiedApiName+%3D+%27Contact%27+AND+QualifiedApiName+%3D+%27SG_Key__c%27",
	})
	unproved := connectors.Proof{Unproved: []string{"that the field SG_Key__c of Contact is an External ID: the user may not read the org's setup"}}
	rows := []struct {
		to     *connectors.Request
		status int
		body   string
		want   connectors.Proof
	}{
		{fields, 200, `{"totalSize":0,"done":true,"records":[]}`, connectors.Proof{}},
		{fields, 200, `<html>`, connectors.Missing("an answer from Salesforce: asked for the fields of Contact, got 200 OK, not JSON (6 bytes); check the proxies and gateways in between")},
		{fields, 400, `[{"message":"SELECT Email, NPS__c FROM\nERROR at Row:1:Column:8\nNo such column 'NPS__c' on entity 'Contact'. If you are","errorCode":"INVALID_FIELD"}]`, connectors.Missing("the field NPS__c of Contact, or the user's access to it")},
		{fields, 400, `[{"message":"?","errorCode":"INVALID_FIELD"}]`, connectors.Missing("a field of Contact, or the user's access to it")},
		{fields, 400, `[{"message":"sObject type 'Contact' is not supported.","errorCode":"INVALID_TYPE"}]`, connectors.Missing("the user's access to the object Contact")},
		{fields, 401, `[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]`, connectors.Missing("an app and a user that Salesforce accepts (INVALID_SESSION_ID)")},
		{fields, 403, `[{"message":"off","errorCode":"API_DISABLED_FOR_ORG"}]`, connectors.Missing("an app and a user that Salesforce accepts (API_DISABLED_FOR_ORG)")},
		{fields, 404, ``, connectors.Missing("an answer to the check (404 Not Found)")},
		{key, 200, `{"totalSize":1,"done":true,"records":[{"IsIdLookup":true}]}`, connectors.Proof{}},
		{key, 200, `{"totalSize":1,"done":true,"records":[{"IsIdLookup":false}]}`, connectors.Missing("the attribute External ID of the field SG_Key__c of Contact")},
		{key, 200, `{"totalSize":0,"done":true,"records":[]}`, unproved},
		{key, 400, `[{"message":"?","errorCode":"INVALID_TYPE"}]`, unproved},
	}
	for _, row := range rows {
		got := c.JudgeCheck(&connectors.Response{Status: row.status, Body: []byte(row.body), To: row.to})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%d %s (-want +got):\n%s", row.status, row.body, diff)
		}
	}

	feedback := bound(t, "salesforce.case", "key: SG_Key__c\ncase_key: SG_Response__c").(*Case)
	var names []string
	for _, req := range feedback.Check() {
		names = append(names, req.Name)
		none := &connectors.Response{Status: 200, Body: []byte(`{"done":true,"records":[{"IsIdLookup":false}]}`), To: req}
		names = append(names, feedback.JudgeCheck(none).Missing...)
	}
	want := []string{
		"fields of Case", "key of Case", "the attribute External ID of the field SG_Response__c of Case",
		"fields of Contact", "key of Contact", "the attribute External ID of the field SG_Key__c of Contact",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("the checks of a case (-want +got):\n%s", diff)
	}
}

// TestEveryCodeHasItsHint checks the codes of the contract sheet, for a request and for a record.
func TestEveryCodeHasItsHint(t *testing.T) {
	t.Parallel()
	c := bound(t, "salesforce", "key: SG_Key__c").(*Connector)
	ev := given(t, `{"type":"response.completed","email":"jane@example.com"}`)
	for _, row := range []struct {
		status int
		code   string
		kind   connectors.Kind
		fix    connectors.Fix
	}{
		{400, "REQUIRED_FIELD_MISSING", connectors.Rejected, connectors.FixConfiguration},
		{400, "INVALID_FIELD", connectors.Rejected, connectors.FixProduct},
		{400, "INVALID_FIELD_FOR_INSERT_UPDATE", connectors.Rejected, connectors.FixProduct},
		{400, "STRING_TOO_LONG", connectors.Rejected, connectors.FixProduct},
		{400, "INVALID_EMAIL_ADDRESS", connectors.Rejected, connectors.FixNone},
		{400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", connectors.Rejected, connectors.FixProduct},
		{400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", connectors.Rejected, connectors.FixProduct},
		{400, "JSON_PARSER_ERROR", connectors.Rejected, connectors.FixConfiguration},
		{400, "MALFORMED_ID", connectors.Rejected, connectors.FixConfiguration},
		{400, "DUPLICATES_DETECTED", connectors.Rejected, connectors.FixProduct},
		{400, "DUPLICATE_VALUE", connectors.Rejected, connectors.FixProduct},
		{400, "UNABLE_TO_LOCK_ROW", connectors.Retry, connectors.FixWait},
		{401, "INVALID_SESSION_ID", connectors.Revoked, connectors.FixCredentials},
		{403, "REQUEST_LIMIT_EXCEEDED", connectors.Retry, connectors.FixWait},
		{403, "API_DISABLED_FOR_ORG", connectors.Revoked, connectors.FixProduct},
		{403, "INSUFFICIENT_ACCESS", connectors.Revoked, connectors.FixProduct},
		{404, "NOT_FOUND", connectors.Revoked, connectors.FixProduct},
		{405, "METHOD_NOT_ALLOWED", connectors.Rejected, connectors.FixConfiguration},
		{410, "UNSUPPORTED_API_VERSION", connectors.Revoked, connectors.FixConfiguration},
		{500, "UNKNOWN_EXCEPTION", connectors.Retry, connectors.FixWait},
		{503, "SERVER_UNAVAILABLE", connectors.Retry, connectors.FixWait},
	} {
		body := fmt.Sprintf(`[{"message":"jane@example.com","errorCode":%q}]`, row.code)
		v := c.Judge(&connectors.Response{Status: row.status, Body: []byte(body), Events: []*event.Event{ev}})
		cause, ok := connectors.CauseOf("salesforce", v.Reason)
		if v.Kind != row.kind || !ok || cause.Fix != row.fix || strings.Contains(v.Reason, "@") {
			t.Errorf("%d %s: %v, mended by %+v, want %s and %s", row.status, row.code, v, cause, row.kind, row.fix)
		}
	}
}

// Addresses of people are in bodies only, because servers in between log URLs.
func TestNoAddressIsPartOfAURL(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file.IsDir() {
			continue
		}
		text, err := os.ReadFile("testdata/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		requests, err := connectortest.Requests("salesforce", text, connectortest.Bind)
		if err != nil {
			t.Fatal(err)
		}
		for _, req := range requests {
			if strings.ContainsAny(req.URL, "@%'") {
				t.Errorf("%s: %s", file.Name(), req.URL)
			}
		}
	}
}

func batch(t testing.TB, n int) []*event.Event {
	t.Helper()
	events := make([]*event.Event, n)
	for i := range events {
		events[i] = given(t, fmt.Sprintf(`{"type":"response.completed","id":"ev-%d","nps_score":9,"feedback":"Fast","email":"jo%d@example.com","name":"Jo Doe"}`, i, i))
	}
	return events
}
