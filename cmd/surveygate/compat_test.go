package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// managers is the folder of the clients that Pollarix' page shows.
const managers = "testdata/pollarix"

// pollarixReceiver is a receiver written from Pollarix' page of payloads. It stands behind the gateway's egress proxy, because
// documents reach no private addresses.
type pollarixReceiver struct {
	address string
	mu      sync.Mutex
	// got are the bodies by department and the survey that they are about; tests are those of test-send.
	got    map[string]map[string]string
	tests  int
	faults []string
	came   chan struct{}
}

// pollarixPayload is the published payload. Whatever else a body has is a fault.
type pollarixPayload struct {
	Event        string `json:"event"`
	Timestamp    string `json:"timestamp"`
	WebhookID    string `json:"webhookId"`
	DepartmentID string `json:"departmentId"`
	Data         struct {
		SurveyID      string `json:"surveyId"`
		SurveyName    string `json:"surveyName"`
		ResponseID    string `json:"responseId"`
		CollectorID   string `json:"collectorId"`
		CollectorType string `json:"collectorType"`
		CompletedAt   string `json:"completedAt"`
		Contact       struct {
			ID           string         `json:"id"`
			Email        string         `json:"email"`
			Phone        string         `json:"phone"`
			CustomFields map[string]any `json:"customFields"`
		} `json:"contact"`
		Responses []struct {
			QuestionID    string `json:"questionId"`
			QuestionTitle string `json:"questionTitle"`
			QuestionType  string `json:"questionType"`
			Answer        any    `json:"answer"`
		} `json:"responses"`
		Metadata struct {
			IPAddress string  `json:"ipAddress"`
			UserAgent string  `json:"userAgent"`
			Duration  float64 `json:"duration"`
			Language  string  `json:"language"`
		} `json:"metadata"`
	} `json:"data"`
}

func newPollarixReceiver(t *testing.T) *pollarixReceiver {
	t.Helper()
	r := &pollarixReceiver{got: map[string]map[string]string{}, came: make(chan struct{}, 1)}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: r}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return r
}

func (r *pollarixReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err == nil {
		err = r.receive(req, body)
	}
	if err != nil {
		r.mu.Lock()
		r.faults = append(r.faults, fmt.Sprintf("%s %s: %v: %s", req.Method, req.URL, err, body))
		r.mu.Unlock()
		w.WriteHeader(http.StatusBadRequest)
	}
	select {
	case r.came <- struct{}{}:
	default:
	}
}

func (r *pollarixReceiver) receive(req *http.Request, body []byte) error {
	var p pollarixPayload
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.Event == "TEST" && req.Header.Get("Authorization") == "" {
		r.tests++
		return nil
	}
	if _, err := time.Parse(time.RFC3339, p.Timestamp); err != nil {
		return err
	}
	switch {
	case req.Header.Get("Authorization") != "Bearer secret123":
		return errors.New("its own header is missing")
	case req.Header.Get("Content-Type") != "application/json":
		return errors.New("the content type is " + req.Header.Get("Content-Type"))
	case p.Event != "SURVEY_COMPLETED" && p.Event != "COUPON_REDEEMED":
		return errors.New("it did not subscribe to " + p.Event)
	case !strings.HasSuffix(req.URL.Path, "/"+p.DepartmentID):
		return errors.New("it is another department's")
	}
	if r.got[p.DepartmentID] == nil {
		r.got[p.DepartmentID] = map[string]string{}
	}
	r.got[p.DepartmentID][p.Data.SurveyID] = string(body)
	return nil
}

// await waits until a department's webhook got an event of a survey.
func (r *pollarixReceiver) await(t *testing.T, department, survey string) string {
	t.Helper()
	end := time.After(patience)
	for {
		r.mu.Lock()
		body, ok := r.got[department][survey]
		r.mu.Unlock()
		if ok {
			return body
		}
		select {
		case <-r.came:
		case <-end:
			t.Fatalf("%s: nothing came of %s; faults: %v", department, survey, r.faults)
		}
	}
}

// pollarixClient is a way to run a client of the page.
type pollarixClient struct {
	department string
	run        func(t *testing.T, env []string) (out []byte)
}

// pollarixClients are the page's two classes, unchanged. With what they run:
//
//   - python: manager.py on python3, over a stand-in for the module requests.
//   - requests: the same over the real module, where the machine has it.
//   - node: manager.js on node, where the machine has it, over a stand-in for the module axios.
//   - axios: the same over the real module, where node finds it. Its requests are also recorded: see TestPollarixRecorded.
func pollarixClients(t *testing.T) []pollarixClient {
	t.Helper()
	runs := func(name, program, file string, more ...string) pollarixClient {
		return pollarixClient{name, func(t *testing.T, env []string) []byte {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), program, filepath.Join(managers, file))
			cmd.Env = append(append(os.Environ(), env...), more...)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v\n%s%s", name, err, out, errs.String())
			}
			return out
		}}
	}
	standin, err := filepath.Abs(filepath.Join(managers, "standin"))
	if err != nil {
		t.Fatal(err)
	}
	all := []pollarixClient{runs("python", "python3", "drive.py", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+standin)}
	has := func(program string, args ...string) bool {
		return exec.CommandContext(t.Context(), program, args...).Run() == nil
	}
	if has("python3", "-c", "import requests") {
		all = append(all, runs("requests", "python3", "drive.py", "PYTHONDONTWRITEBYTECODE=1"))
	}
	if has("node", "--version") {
		all = append(all, runs("node", "node", "drive.js", "STANDIN="+filepath.Join(standin, "axios.js")))
	}
	if has("node", "-e", "require('axios')") {
		all = append(all, runs("axios", "node", "drive.js"))
	}
	return all
}

// completedEvent is the event of the page's example of SURVEY_COMPLETED as somebody publishes it, and completedBody the example.
const (
	completedEvent = `{"type": "response.completed", "time": "2024-01-15T10:30:00Z", "survey": {"id": "SURVEY", "title": "Customer Satisfaction Survey"},
		"response": {"id": "resp_456", "completed_at": "2024-01-15T10:30:00Z", "duration_s": 245, "answers": [
			{"question_id": "q1", "question": "How satisfied are you?", "type": "rating", "value": 9},
			{"question_id": "q2", "question": "Would you recommend us?", "type": "boolean", "value": true},
			{"question_id": "q3", "question": "Additional comments", "type": "text", "value": "Great service!"}]},
		"respondent": {"id": "contact_001", "email": "customer@example.com", "phone": "+1234567890", "first_name": "John", "last_name": "Doe"},
		"context": {"ip": "192.168.1.1", "user_agent": "Mozilla/5.0...", "language": "en", "channel": "email", "collector_id": "col_789"}}`
	completedBody = `{"event": "SURVEY_COMPLETED", "timestamp": "2024-01-15T10:30:00Z", "webhookId": "wh_abc123", "departmentId": "dept_xyz789", "data": {
		"surveyId": "SURVEY", "surveyName": "Customer Satisfaction Survey", "responseId": "resp_456", "collectorId": "col_789", "collectorType": "email", "completedAt": "2024-01-15T10:30:00Z",
		"contact": {"id": "contact_001", "email": "customer@example.com", "phone": "+1234567890", "customFields": {"firstName": "John", "lastName": "Doe"}},
		"responses": [{"questionId": "q1", "questionTitle": "How satisfied are you?", "questionType": "rating", "answer": 9},
			{"questionId": "q2", "questionTitle": "Would you recommend us?", "questionType": "boolean", "answer": true},
			{"questionId": "q3", "questionTitle": "Additional comments", "questionType": "text", "answer": "Great service!"}],
		"metadata": {"ipAddress": "192.168.1.1", "userAgent": "Mozilla/5.0...", "duration": 245, "language": "en"}}}`
	pollarixHeader = "pollarix-header-0123456789"
)

// pollarixConfig is a gateway with a department for each name, each of which Pollarix sends to as well.
func pollarixConfig(proxy string, departments ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "outbound: {allow_http: true, proxy: \"http://%s\"}\ntokens:\n", proxy)
	for _, name := range departments {
		fmt.Fprintf(&b, "  - {name: %s, tenant: %s, secret: %q, scopes: [read, settings, publish]}\n", name, name, departmentToken(name))
	}
	b.WriteString("sources:\n")
	for _, name := range departments {
		fmt.Fprintf(&b, "  from-%s: {profile: pollarix, tenant: %s, secrets: [%s]}\n", name, name, pollarixHeader)
	}
	return b.String()
}

func departmentToken(name string) string { return "token-of-" + name + strings.Repeat("0", 32) }

// send makes a request and returns its answer.
func (p *process) send(method, path string, header map[string]string, body string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+p.address+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// TestPollarixManagers runs the clients of Pollarix' page against the gateway, and then sends events: what is published and what
// Pollarix itself sends arrive at a receiver that was written for that platform, and are the same there.
func TestPollarixManagers(t *testing.T) {
	t.Parallel()
	playPollarix(t, pollarixClients(t), "")
}

// TestPollarixOnRedis is TestPollarixManagers with one of the clients, on Redis.
func TestPollarixOnRedis(t *testing.T) {
	t.Parallel()
	playPollarix(t, pollarixClients(t)[:1], "redis: "+startRedis(t).url()+"\n", exampleEnv...)
}

func playPollarix(t *testing.T, clients []pollarixClient, store string, env ...string) {
	t.Helper()
	names := make([]string, len(clients))
	for i, c := range clients {
		names[i] = c.department
	}
	receiver := newPollarixReceiver(t)
	p := start(t, t.TempDir(), store+pollarixConfig(receiver.address, names...), env...)
	for _, c := range clients {
		t.Run(c.department, func(t *testing.T) {
			env := []string{
				"SERVER=http://" + p.address, "TOKEN=" + departmentToken(c.department), "DEPARTMENT=" + c.department,
				"RECEIVER=http://receiver.example/" + c.department, "NO_PROXY=*", "no_proxy=*",
			}
			out := c.run(t, env)
			id := checkManager(t, c.department, out)
			token := map[string]string{"Authorization": "Bearer " + departmentToken(c.department)}
			until(t, "the webhook alone is in use", func() bool { // and no longer the one that was deleted
				_, list := p.send("GET", "/v1/destinations", token, "")
				return strings.Count(list, `"name":`) == 1 && strings.Contains(list, id)
			})
			if status, body := p.send("POST", "/v1/events", token, strings.Replace(completedEvent, "SURVEY", "published", 1)); status != http.StatusOK {
				t.Fatal(status, body)
			}
			platform := map[string]string{"X-Webhook-Secret": pollarixHeader, "Content-Type": "application/json"}
			if status, body := p.send("POST", "/t/"+c.department+"/in/from-"+c.department, platform, strings.Replace(completedBody, "\"SURVEY\"", "\"received\"", 1)); status != http.StatusOK {
				t.Fatal(status, body)
			}
			want := strings.NewReplacer("\"SURVEY\"", "\"S\"", "wh_abc123", id, "dept_xyz789", c.department).Replace(completedBody)
			for _, survey := range []string{"published", "received"} {
				got := strings.Replace(receiver.await(t, c.department, survey), survey, "S", 1)
				if diff := cmp.Diff(decoded(t, want), decoded(t, got)); diff != "" {
					t.Errorf("%s (-the page +got): %s", survey, diff)
				}
			}
		})
	}
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	if len(receiver.faults) > 0 {
		t.Errorf("the receiver refused: %v", receiver.faults)
	}
	if receiver.tests != len(clients) {
		t.Errorf("%d tests came, of %d clients", receiver.tests, len(clients))
	}
}

func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// checkManager checks what the calls of a client returned, and returns the id of the webhook that it left.
func checkManager(t *testing.T, department string, out []byte) string {
	t.Helper()
	all := map[string]json.RawMessage{}
	for line := range bytes.Lines(out) {
		if err := json.Unmarshal(line, &all); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	type webhook struct {
		ID, Name, URL string
		Events        []string
		Headers       map[string]string
		IsActive      bool
	}
	type envelope struct {
		DepartmentID string
		Webhooks     []webhook
	}
	read := func(name string, into any) {
		t.Helper()
		if err := json.Unmarshal(all[name], into); err != nil {
			t.Fatalf("%s: %v in %s", name, err, out)
		}
	}
	var made, sent, changed envelope
	var listed []webhook
	read("made", &made)
	read("sent back", &sent)
	read("changed", &changed)
	read("listed", &listed)
	if len(made.Webhooks) != 1 || made.DepartmentID != department {
		t.Fatalf("made %+v", made)
	}
	first := made.Webhooks[0]
	want := webhook{first.ID, "My Integration", "http://receiver.example/" + department, []string{"SURVEY_COMPLETED"}, first.Headers, true}
	if diff := cmp.Diff(want, first); diff != "" || len(first.Headers) != 1 {
		t.Errorf("made (-want +got): %s", diff)
	}
	if diff := cmp.Diff(made, sent); diff != "" {
		t.Errorf("sent back as it was shown, it changed (-made +sent back): %s", diff)
	}
	want.Name, want.Events = "Updated Name", []string{"SURVEY_COMPLETED", "COUPON_REDEEMED"}
	if diff := cmp.Diff([]webhook{want}, changed.Webhooks); diff != "" {
		t.Errorf("changed (-want +got): %s", diff)
	}
	if diff := cmp.Diff([]webhook{want}, listed); diff != "" {
		t.Errorf("listed (-want +got): %s", diff)
	}
	for name, want := range map[string]string{
		"empty": "[]", "tested": "null", "deleted": "null", "left": "1",
		"wrong address": `{"status":400,"type":"validation_error"}`, "wrong event": `{"status":422,"type":"validation_error"}`,
		"deleted again": `{"status":404,"type":"not_found"}`, "wrong token": `{"status":401,"type":"authentication_error"}`,
	} {
		if diff := cmp.Diff(decoded(t, want), decoded(t, string(all[name]))); diff != "" {
			t.Errorf("%s (-want +got): %s", name, diff)
		}
	}
	return first.ID
}

// TestPollarixRecorded plays what axios sent for the class of the page, recorded byte for byte: the bytes are real, and neither node nor
// axios runs. Each answer comes at once on the same connection, without a redirect.
func TestPollarixRecorded(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile(filepath.Join(managers, "axios.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]string{}
	for _, file := range archive.Files {
		head, body, _ := strings.Cut(string(file.Data), "\n\n")
		recorded[file.Name] = strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + strings.TrimSuffix(body, "\n")
	}
	receiver := newPollarixReceiver(t)
	p := start(t, t.TempDir(), pollarixConfig(receiver.address, "acme"))
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	answers := bufio.NewReader(conn)
	id := "wh_abc123abc123"
	for _, row := range []struct {
		name   string
		status int
		within string
	}{
		{"list", 200, `{"departmentId":"acme","webhooks":[]}`},
		{"create", 201, `{"departmentId":"acme","webhooks":[{"id":"wh_`},
		{"list", 200, `"name":"My Integration"`},
		{"update", 200, `"headers":{}`}, // the recorded one sends none
		{"test-send", 200, `{"sent":true,"status":200}`},
		{"delete", 204, ""},
		{"delete", 404, "no such webhook"},
		{"list", 200, `{"departmentId":"acme","webhooks":[]}`},
	} {
		request := strings.NewReplacer("TOKEN", departmentToken("acme"), "HOST", p.address, "wh_abc123abc123", id).Replace(recorded[row.name])
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, &http.Request{Method: strings.Fields(request)[0]})
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != row.status || !strings.Contains(string(body), row.within) || res.Close {
			t.Errorf("%s: %d %s, want %d %s", row.name, res.StatusCode, body, row.status, row.within)
		}
		if row.name == "create" {
			_, rest, _ := strings.Cut(string(body), `"id":"`)
			id, _, _ = strings.Cut(rest, `"`)
		}
	}
}
