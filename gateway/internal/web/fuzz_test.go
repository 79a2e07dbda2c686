package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// check is what holds of every answer: no 500, no redirect, and every refusal in the one shape of errors.
func check(t *testing.T, what string, got told) {
	t.Helper()
	switch got.status {
	case 200, 400, 401, 403, 404, 405, 409, 413, 415, 422, 503:
	default:
		t.Errorf("%s: status %d: %s", what, got.status, got.body)
	}
	if got.status < 400 || got.body == "" {
		return
	}
	var problem struct {
		Status    int
		Detail    []struct{ Msg, Type string }
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(got.body), &problem); err != nil || problem.Status != got.status || len(problem.Detail) == 0 ||
		problem.Detail[0].Msg == "" || problem.Detail[0].Type == "" || problem.RequestID == "" {
		t.Errorf("%s: not the shape of an error: %s", what, got.body)
	}
}

var malformed = []string{
	"", " ", "\x00", "\xff\xfe", "null", "true", "0", `""`, "[]", "{}", "[[]]", "[null]", `{"a":1`, `{"a":1}}`, "{\"a\":\"\xff\"}", "\ufeff{}",
	`{"type":null}`, `{"type":7}`, `{"type":"response.completed","response":7}`, `{"type":"response.completed","response":{"answers":7}}`,
	`{"type":"response.completed","nps_score":"nine"}`, `{"type":"response.completed","nps_score":1e999}`, `{"type":"response.completed","time":{}}`,
	`{"event":{"event":1},"survey_id":[],"response":{"answers":[[[]]]},"timestamp":-1e400}`, `{"event":"response.created","response":{"answers":{"":""}}}`,
	`{"specversion":"1.0"}`, `{"specversion":"1.0","type":"response.completed","data":[]}`, "{}\n{", "{\"type\":\"test\"}\n\n{\"type\":\"test\"}\nx",
	strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000), `{"a":"` + strings.Repeat(`\u0000`, 1000) + `"}`, "a=1&b=2", "--x\r\n\r\n--x--",
}

// Whatever comes, to whichever door, is answered in the shape of an answer.
func TestMalformedIsNever500(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var requests sparse
	for _, body := range malformed {
		for _, contentType := range []string{
			"", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "application/cloudevents+json",
			"application/cloudevents-batch+json", "application/x-ndjson", "\x80",
		} {
			if requests.leavesOut() {
				continue
			}
			header := map[string]string{"X-PollQR-Signature": sign(pollqrSecret, body)}
			if contentType != "" && contentType != "\x80" {
				header["Content-Type"] = contentType
			}
			for _, path := range []string{"/in/pollqr", "/in/anyone", "/in/poltio/" + pathToken} {
				check(t, path, r.ask(t, ask{method: "POST", path: path, header: header, body: body}))
			}
			for _, path := range []string{"/v1/events", "/v1/events?source=pollqr"} {
				check(t, path, r.ask(t, ask{method: "POST", path: path, token: publishToken, header: header, body: body}))
			}
			header["Ce-Specversion"], header["Ce-Id"], header["Ce-Type"] = "1.0", "%%%\"\\", "test"
			check(t, "binary", r.ask(t, ask{method: "POST", path: "/v1/events", token: publishToken, header: header, body: body}))
		}
	}
	odd := []string{"%00", "%ff", "..%2f..", "a%2fb", strings.Repeat("x", 3000), "dl_", "dl__", "dl_%00_a", "*", "'", "%"}
	for _, route := range Routes() {
		if route.Path == "/v1/live" || route.Path == "/v1/tail" { // their answers have no end
			continue
		}
		for i, name := range odd {
			path := strings.NewReplacer(":id", name, ":name", name).Replace(route.Path)
			if path == route.Path && i > 0 {
				break // it has no name: the request would be the same
			}
			req := ask{method: route.Method, path: path, token: platformWide, body: "x"}
			if strings.HasSuffix(name, "%") {
				continue // net/http would not send it
			}
			if !requests.leavesOut() {
				check(t, route.Method+" "+path, r.ask(t, req))
			}
			for _, query := range []string{"?cursor=%00", "?limit=-1", "?since=%ff", "?tenant=%2f", "?fresh=%00", "?state=%00", "?respondent=%00"} {
				if requests.leavesOut() {
					continue
				}
				req.path = path + query
				check(t, route.Method+" "+req.path, r.ask(t, req))
			}
		}
	}
}

func FuzzIntake(f *testing.F) {
	for _, body := range malformed {
		f.Add("/in/pollqr", "application/json", []byte(body))
	}
	f.Add("/in/pollqr/x", "text/plain", []byte(pollqr("r1", 3)))
	f.Add("/t/acme/in/branch/", "", []byte(pollqr("r1", 9)))
	f.Add("/v1/events", "application/x-ndjson", []byte("{\"type\":\"test\"}\n{\"type\":\"test\"}"))
	f.Add("/v1/events", "application/x-ndjson", []byte("\n{\"type\":\n{\"type\":\"test\",\"time\":\"soon\"}"))
	f.Add("/v1/events", "application/cloudevents+json", []byte(`{"specversion":"1.0","type":"test","id":"1","source":"/tenants/default/sources/a","dedupekey":"k","data":{}}`))
	f.Add("/v1/events", "application/cloudevents-batch+json", []byte(`[{"specversion":"1.0","type":"test"},{"type":"x"},7]`))
	r := newRig(f)
	f.Fuzz(func(t *testing.T, path, contentType string, body []byte) {
		if !strings.HasPrefix(path, "/in/") && !strings.HasPrefix(path, "/t/") && !strings.HasPrefix(path, "/v1/events") {
			path = "/in/pollqr"
		}
		req, err := http.NewRequest(http.MethodPost, "http://gateway"+path, strings.NewReader(string(body)))
		if err != nil || strings.ContainsFunc(contentType, func(c rune) bool { return c < ' ' || c > '~' }) {
			return // net/http would not send it
		}
		path = req.URL.RequestURI()
		if len(path)+len(contentType) > maxHeader/2 {
			return // 431, as a test of its own says
		}
		check(t, path, r.ask(t, ask{method: http.MethodPost, path: path, token: publishToken, body: string(body), header: map[string]string{
			"Content-Type": contentType, "X-PollQR-Signature": sign(pollqrSecret, string(body)),
		}}))
	})
}
