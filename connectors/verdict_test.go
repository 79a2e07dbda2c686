package connectors_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// TestByStatus checks every row of the design's table, column product.
func TestByStatus(t *testing.T) {
	t.Parallel()
	for status := 100; status < 600; status++ {
		want := connectors.Rejected
		switch {
		case status >= 200 && status <= 299:
			want = connectors.Delivered
		case status == 408, status == 425, status == 429, status >= 500:
			want = connectors.Retry
		case status == 401, status == 403:
			want = connectors.Revoked
		}
		got := connectors.ByStatus(&connectors.Response{Status: status})
		if got.Kind != want || (want != connectors.Delivered) != (got.Reason != "") {
			t.Errorf("%d: got %v, want %s", status, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rows := map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"2":                             2 * time.Second,
		" 2 ":                           2 * time.Second,
		"0.5":                           500 * time.Millisecond,
		"-5":                            0,
		"86400":                         24 * time.Hour,
		"86401":                         24 * time.Hour,
		"1e300":                         24 * time.Hour,
		"Inf":                           24 * time.Hour,
		"NaN":                           0,
		"99999999999999999999":          24 * time.Hour,
		"soon":                          0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:04:04 GMT": 0,
		"Fri, 02 Jan 2099 03:04:05 GMT": 24 * time.Hour,
	}
	for text, want := range rows {
		res := &connectors.Response{Header: http.Header{"Retry-After": {text}}, At: at}
		if got := connectors.RetryAfter(res); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	if got := connectors.RetryAfter(&connectors.Response{Header: http.Header{"Retry-After": {"Fri, 02 Jan 2026 03:05:05 GMT"}}}); got != 0 {
		t.Errorf("a date without a time to count from is %v", got)
	}
}

func TestVerdictInWords(t *testing.T) {
	t.Parallel()
	rows := map[string]connectors.Verdict{
		"delivered":                       connectors.Deliver(),
		"rejected: no_text":               connectors.Reject("no_text"),
		"revoked: 401 Unauthorized":       connectors.Revoke("401 Unauthorized"),
		"retry: busy":                     connectors.TryAgain("busy"),
		"retry after 2s: busy":            {Kind: connectors.Retry, After: 2 * time.Second, Reason: "busy"},
		"rejected, gone: 410 Gone":        {Kind: connectors.Rejected, Gone: true, Reason: "410 Gone"},
		"continue":                        connectors.Then(connectors.Get("https://a.example")),
		"retry after 1m0s: 503 or so now": connectors.TryAfter(&connectors.Response{Header: http.Header{"Retry-After": {"60"}}}, "503 or so now"),
	}
	for want, v := range rows {
		if got := v.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestARevokedSettingIsNamed(t *testing.T) {
	t.Parallel()
	v := connectors.Revoke("channel_not_found").ForSetting("channel")
	if v.Kind != connectors.Revoked || v.String() != "revoked for channel: channel_not_found" {
		t.Errorf("got %v", v)
	}
}

func TestProofByStatus(t *testing.T) {
	t.Parallel()
	for status, missing := range map[int]int{200: 0, 204: 0, 302: 1, 400: 1, 401: 1, 403: 1, 404: 1} {
		if p := connectors.ProofByStatus(&connectors.Response{Status: status}); len(p.Missing) != missing || len(p.Unproved) != 0 {
			t.Errorf("%d: got %v", status, p)
		}
	}
}
