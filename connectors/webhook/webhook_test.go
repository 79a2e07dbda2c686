package webhook

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "webhook")
}

// TestStatusTable checks every row of the design's table, column webhook.
func TestStatusTable(t *testing.T) {
	t.Parallel()
	c := &Connector{}
	want := func(status int) connectors.Kind {
		switch {
		case status >= 200 && status <= 299:
			return connectors.Delivered
		case status == 410:
			return connectors.Rejected
		case status == 401, status == 403, status == 404, status == 408, status == 425, status == 429:
			return connectors.Retry
		case status >= 400 && status <= 499:
			return connectors.Rejected
		}
		return connectors.Retry // 3xx, 5xx, and what is no answer at all
	}
	for status := 100; status < 600; status++ {
		got := c.Judge(&connectors.Response{Status: status})
		if got.Kind != want(status) {
			t.Errorf("%d: got %v, want %s", status, got, want(status))
		}
		if got.Gone != (status == 410) {
			t.Errorf("%d: gone is %v", status, got.Gone)
		}
	}
}

func TestPresetsAreAsPublished(t *testing.T) {
	t.Parallel()
	type row struct {
		Waits   string
		Timeout time.Duration
		Only200 bool
	}
	got := map[PresetName]row{}
	for name, preset := range Presets {
		var waits []byte
		for _, wait := range preset.Retry {
			waits = append(append(waits, wait.String()...), ' ')
		}
		got[name] = row{string(bytes.TrimSpace(waits)), preset.Timeout, preset.Only200}
		if style := preset.Signature.Style; style != string(name) && (name != pollarix || style != "none") {
			t.Errorf("%s signs as %s", name, style)
		}
	}
	want := map[PresetName]row{
		"standard":     {"5s 5m0s 30m0s 2h0m0s 5h0m0s 10h0m0s 14h0m0s 20h0m0s 24h0m0s", 15 * time.Second, false},
		"pollqr":       {"10s 1m0s 5m0s", 15 * time.Second, false},
		"popsee":       {"10s 1m0s 5m0s", 5 * time.Second, false},
		"chattosurvey": {"10s 30s 2m0s 10m0s 30m0s", 30 * time.Second, true},
		"pollarix":     {"5s 5m0s 30m0s 2h0m0s 5h0m0s 10h0m0s 14h0m0s 20h0m0s 24h0m0s", 15 * time.Second, false}, // ours: none are published
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSignatureBesideAPreset(t *testing.T) {
	t.Parallel()
	rows := []struct {
		preset    PresetName
		signature connectors.Signature
		want      connectors.Signature
	}{
		{"", connectors.Signature{}, connectors.Signature{Style: "standard"}},
		{"pollqr", connectors.Signature{}, connectors.Signature{Style: "pollqr"}},
		{"pollqr", connectors.Signature{Style: "github"}, connectors.Signature{Style: "github"}},
		{"", connectors.Signature{Header: "X-Sign"}, connectors.Signature{Header: "X-Sign"}},
	}
	for _, row := range rows {
		c := &Connector{Preset: row.preset, Signature: row.signature}
		if got := c.Style(); got != row.want {
			t.Errorf("%s with %v: got %v, want %v", row.preset, row.signature, got, row.want)
		}
	}
}

// Whole numbers beyond 2^53 keep their digits in every body but raw. For receivers that verify the body as JavaScript rewrites
// it, they are written as text, unless the setting says otherwise.
func TestLargeNumbers(t *testing.T) {
	t.Parallel()
	ev, err := event.ParseOne([]byte(`{"type":"response.completed","params":{"id":9007199254740993}}`), event.Defaults{Received: connectortest.ReceivedAt, Verified: "token"})
	if err != nil {
		t.Fatal(err)
	}
	values, err := expression.CompileValues([]expression.Pair{{Key: "id", Value: "params.id"}, {Key: "list", Value: []any{"params.id", json.Number("12345678901234567891")}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		preset  PresetName
		numbers LargeNumbers
		want    string
	}{
		{"", "", `{"id":9007199254740993,"list":[9007199254740993,12345678901234567891]}`},
		{"pollqr", "", `{"id":"9007199254740993","list":["9007199254740993","12345678901234567891"]}`},
		{"", AsText, `{"id":"9007199254740993","list":["9007199254740993","12345678901234567891"]}`},
		{"pollqr", Rounded, `{"id":9007199254740992,"list":[9007199254740992,12345678901234567000]}`},
	} {
		c := &Connector{Preset: row.preset, LargeNumbers: row.numbers, Body: Body{Values: values}}
		req, err := c.Build(ev)
		if err != nil || string(req.Body) != row.want {
			t.Errorf("%q %q: %s, %v; want %s", row.preset, row.numbers, req.Body, err, row.want)
		}
		number := map[bool]string{true: `"9007199254740993"`, false: "9007199254740993"}[strings.Contains(row.want, `"9007`)]
		if row.numbers == Rounded {
			number = "9007199254740992"
		}
		for _, word := range []Format{Envelope, CloudEvents, BinaryCloudEvents} {
			c.Body = Body{Format: word}
			if req, err := c.Build(ev); err != nil || !strings.Contains(string(req.Body), `"params":{"id":`+number+`}`) {
				t.Errorf("%q %q %s: %s, %v", row.preset, row.numbers, word, req.Body, err)
			}
		}
	}
}

// A custom signature and the operator's headers take precedence over the headers that are added to raw bytes.
func TestHeadersBesideRawBytes(t *testing.T) {
	t.Parallel()
	ev := rawEvent(t, []byte("{}"), "application/json")
	for name, row := range map[string]struct {
		connector Connector
		want      string
	}{
		"raw":           {Connector{}, "Content-Type=application/json webhook-event=response.completed webhook-source=app webhook-tenant=default"},
		"raw by name":   {Connector{Body: Body{Format: RawBytes}, Preset: "chattosurvey"}, "Content-Type=application/json webhook-event=response.completed webhook-source=app webhook-tenant=default"},
		"own signature": {Connector{Signature: connectors.Signature{Header: "Webhook-Event"}}, "Content-Type=application/json webhook-source=app webhook-tenant=default"},
		"own header": {
			Connector{Headers: map[string]connectors.HeaderValue{"Webhook-Source": {Secret: connectors.NewSecret("mine")}}},
			"Content-Type=application/json webhook-event=response.completed Webhook-Source=mine webhook-tenant=default",
		},
		"event":  {Connector{Body: Body{Format: Envelope}}, "Content-Type=application/json"},
		"values": {Connector{Body: Body{Values: mustValues(t)}}, "Content-Type=application/json"},
	} {
		row.connector.SendAnswers, row.connector.SendLeads = true, true
		req, err := row.connector.Build(ev)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]string, len(req.Header))
		for i, f := range req.Header {
			got[i] = f.Name + "=" + f.Value
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
	ev.Source, ev.Tenant = "a\r\nX-Evil: ü", ""
	if fields := appendEventHeaders(nil, ev, connectors.Signature{}); len(fields) != 2 || fields[1].Value != "a%0D%0AX-Evil:%20%C3%BC" {
		t.Errorf("%v", fields)
	}
}

// TestRawIsByteForByte uses bytes that any re-encoding would change.
func TestRawIsByteForByte(t *testing.T) {
	t.Parallel()
	raw := []byte("{ \"b\" : 1.0 ,\t\"a\":\"\\u00e9\\/\", \"a\": [ 1 , 2 ],\n\"answers\" : {\"2\": 1e2} , \"leads\":[ ] }\r\n")
	ev := rawEvent(t, raw, "application/json; charset=utf-8")

	req, err := (&Connector{SendAnswers: true, SendLeads: true}).Build(ev)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(req.Body, raw) {
		t.Errorf("the body is %q", req.Body)
	}
	if want := "application/json; charset=utf-8"; req.Header[0].Value != want {
		t.Errorf("the content type is %q, want %q", req.Header[0].Value, want)
	}

	rows := []struct {
		answers, leads bool
		want           string
	}{
		{false, true, "{ \"b\" : 1.0 ,\t\"a\":\"\\u00e9\\/\", \"a\": [ 1 , 2 ] , \"leads\":[ ] }\r\n"},
		{true, false, "{ \"b\" : 1.0 ,\t\"a\":\"\\u00e9\\/\", \"a\": [ 1 , 2 ],\n\"answers\" : {\"2\": 1e2} }\r\n"},
		{false, false, "{ \"b\" : 1.0 ,\t\"a\":\"\\u00e9\\/\", \"a\": [ 1 , 2 ] }\r\n"},
	}
	for _, row := range rows {
		req, err := (&Connector{SendAnswers: row.answers, SendLeads: row.leads}).Build(ev)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(req.Body); got != row.want {
			t.Errorf("answers %v leads %v: got %q, want %q", row.answers, row.leads, got, row.want)
		}
	}
}

// A byte order mark is sent with the body, complete or cut.
// Notices of the gateway have no original bytes: a webhook that asks for them gets them in the envelope, and without its `body` set.
func TestNoticesHaveABody(t *testing.T) {
	t.Parallel()
	ev, err := event.New(event.Header{
		ID: "1", Tenant: "acme", Source: event.NoticeSource, Type: event.TypeDeliveryDead, Received: connectortest.ReceivedAt,
	}, &event.Data{Notice: event.Notice{Summary: "2 deliveries to crm became dead letters", Destination: "crm"}}, event.Raw{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Connector{{}, {Body: Body{Format: RawBytes}}, {Preset: "pollqr"}} {
		body, contentType, err := c.body(ev)
		if err != nil || contentType != "application/json" || !strings.Contains(string(body), `"summary":"2 deliveries to crm became dead letters"`) {
			t.Errorf("%+v: %s %s, %v", c, contentType, body, err)
		}
	}
}

func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	ev := rawEvent(t, []byte("\ufeff{\"a\":1,\"answers\":{\"2\":3}}"), "application/json")
	for answers, want := range map[bool]string{true: "\ufeff{\"a\":1,\"answers\":{\"2\":3}}", false: "\ufeff{\"a\":1}"} {
		if req, err := (&Connector{SendAnswers: answers, SendLeads: true}).Build(ev); err != nil || string(req.Body) != want {
			t.Errorf("answers %v: sent %v, %v", answers, req, err)
		}
	}
}

func TestUncuttableBodiesAreNotSent(t *testing.T) {
	t.Parallel()
	ev := rawEvent(t, []byte("answers=1&leads=2"), "application/x-www-form-urlencoded")
	if req, err := (&Connector{SendLeads: true}).Build(ev); err == nil {
		t.Errorf("sent %q", req.Body)
	}
	if _, err := (&Connector{SendAnswers: true, SendLeads: true}).Build(rawEvent(t, nil, "")); err == nil {
		t.Error("an event without its bytes was sent")
	}
}

func TestContentTypeIsAHeader(t *testing.T) {
	t.Parallel()
	for _, given := range []string{"", "text/plain\r\nX-Evil: 1", "text/ş"} {
		req, err := (&Connector{SendAnswers: true, SendLeads: true}).Build(rawEvent(t, []byte("{}"), given))
		if err != nil {
			t.Fatal(err)
		}
		if got := req.Header[0].Value; got != "application/json" {
			t.Errorf("%q became %q", given, got)
		}
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	rows := map[string]string{
		"plain-1:2/3": "plain-1:2/3", "a b": "a%20b", `"q"`: "%22q%22", "100%": "100%25", "ş": "%C5%9F", "\r\nX: 1": "%0D%0AX:%201", "~!": "~!",
	}
	for in, want := range rows {
		if got := encode(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func rawEvent(t testing.TB, body []byte, contentType string) *event.Event {
	t.Helper()
	ev, err := event.New(
		event.Header{ID: "1", Tenant: "default", Source: "app", SourceKind: "app", Type: event.TypeResponseCompleted, Time: connectortest.ReceivedAt, Received: connectortest.ReceivedAt},
		&event.Data{},
		event.Raw{ContentType: contentType, Body: body, AnswersAt: []string{"answers"}, LeadsAt: []string{"leads"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func mustValues(t testing.TB) expression.Values {
	t.Helper()
	values, err := expression.CompileValues([]expression.Pair{{Key: "a", Value: true}})
	if err != nil {
		t.Fatal(err)
	}
	return values
}
