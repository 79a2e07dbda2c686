// Package connectortest tests connectors: it plays transcripts (Play), and has the tests that every connector must pass (Suite).
//
// A transcript is a txtar file (https://pkg.go.dev/golang.org/x/tools/txtar) with these parts, in this order:
//
//   - a comment that says what the transcript shows,
//   - `config.yaml`: the connector's settings; `${PRIVATE_KEY}` and `${GOOGLE_CREDENTIALS}` stand for a new private key and a new key
//     file of a service account, since no private key belongs in a repository,
//   - `event.json`: the event, in the form that POST /v1/events accepts; several such parts are a batch,
//   - `amend` or `retract`: a receipt. The request is then the one of Amend or of Retract, and not that of Build,
//   - `forget`: nothing. The request is then the one of Forget,
//   - `digest`: an object with the rule, the times from and to, total and more. The request is then the one of Digest about the events,
//     of which there may be none,
//   - `build`: the error of Build or Validate, if there is one; in a batch, one line for each event that is left out,
//   - `request`: the request, without credentials,
//   - `response`: an answer with status, headers, an empty line and the body, followed by its `verdict`, or by the next `request` of a
//     chain. A verdict on a batch has one line per event if Judge returns Verdict.Each. A `response` after a `verdict` is
//     another answer to the last request,
//   - `receipt`, in a transcript with `amend`, `retract` or an empty `receipt`: the Ref of the verdict before it.
//
// `go test -update` rewrites the parts build, request, verdict and receipt. Read the diff: a transcript proves nothing by itself.
package connectortest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// Update is the flag -update of all tests of a package that use connectortest.
var Update = flag.Bool("update", false, "rewrite requests and verdicts in transcripts, and whatever else a test compares with a file")

// ReceivedAt is the time at which every transcript's event is received and every answer arrives.
var ReceivedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Binder decodes YAML over a connector's default settings and validates them, as Bind does.
type Binder func(text []byte, into connectors.Connector) error

// Play plays every transcript testdata/*.txtar for a registered connector, and reports the parts that differ.
func Play(t *testing.T, name string) {
	t.Helper()
	PlayFiles(t, name, filepath.Join("testdata", "*.txtar"), Bind)
}

// PlayFiles is Play for the files that match a glob, with another Binder, such as the gateway's.
func PlayFiles(t *testing.T, name, glob string, bind Binder) {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts in %s (%v)", glob, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Transcribe(name, text, bind)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(got, text) {
				return
			}
			if *Update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s differs (-want +got); -update rewrites it:\n%s", file, cmp.Diff(string(text), string(got)))
		})
	}
}

// Transcribe plays one transcript and returns it with the actual requests and verdicts.
func Transcribe(name string, text []byte, bind Binder) ([]byte, error) {
	out, _, err := transcribe(name, text, bind)
	return out, err
}

// Requests returns the requests that a transcript sends, in order.
func Requests(name string, text []byte, bind Binder) ([]*connectors.Request, error) {
	_, requests, err := transcribe(name, text, bind)
	return requests, err
}

func transcribe(name string, text []byte, bind Binder) (_ []byte, requests []*connectors.Request, err error) {
	in := txtar.Parse(text)
	out := &txtar.Archive{Comment: in.Comment}
	var config []byte
	var given, responses [][]byte
	var amends connectors.Amendment
	var about *connectors.Digest
	withReceipts, forgets := false, false
	for _, file := range in.Files {
		switch file.Name {
		case "config.yaml":
			config = file.Data
			out.Files = append(out.Files, file)
		case "event.json":
			given = append(given, file.Data)
			out.Files = append(out.Files, file)
		case "response":
			responses = append(responses, file.Data)
		case amendPart, retractPart:
			amends, withReceipts = amendmentOf(file), true
			out.Files = append(out.Files, file)
		case forgetPart:
			forgets = true
			out.Files = append(out.Files, file)
		case digestPart:
			if about, err = digestOf(file); err != nil {
				return nil, nil, err
			}
			out.Files = append(out.Files, file)
		case receiptPart:
			withReceipts = true
		case "request", "build", "verdict":
		default:
			return nil, nil, fmt.Errorf("`%s` is not a part of a transcript", file.Name)
		}
	}
	if config == nil || len(given) == 0 && about == nil {
		return nil, nil, errors.New("a transcript needs a config.yaml and an event.json")
	}
	c, ok := connectors.New(name)
	if !ok {
		return nil, nil, fmt.Errorf("no connector is registered as %s", name)
	}
	add := func(name, text string) {
		out.Files = append(out.Files, txtar.File{Name: name, Data: []byte(strings.TrimRight(text, "\n") + "\n")})
	}
	if err := bind(config, c); err != nil {
		add("build", "invalid: "+err.Error())
		return txtar.Format(out), requests, nil
	}
	if named, ok := c.(connectors.Named); ok {
		named.SetName("example")
	}
	events := make([]*event.Event, len(given))
	for i, text := range given {
		var err error
		if events[i], err = ParseEvent(text); err != nil {
			return nil, nil, err
		}
	}
	req, unsent := (*connectors.Request)(nil), []string(nil)
	switch {
	case about != nil:
		req, err = digest(c, about, events)
		events = events[:min(len(events), 1)]
	case forgets:
		req, err = forget(c, events[0])
	case amends != (connectors.Amendment{}):
		req, err = amend(c, events[0], amends)
	default:
		if req, events, unsent, err = compose(c, events); err != nil {
			return nil, nil, err
		}
	}
	if err != nil {
		unsent = []string{unsentText(err)}
	}
	if len(unsent) > 0 {
		add("build", strings.Join(unsent, "\n"))
	}
	if req == nil {
		return txtar.Format(out), requests, nil
	}
	add("request", string(req.Transcript()))
	requests = append(requests, req)

	judge := connectors.ByStatus
	if j, ok := c.(connectors.Judge); ok {
		judge = j.Judge
	}
	var trail []*connectors.Response
	for _, answer := range responses {
		res, err := parseResponse(answer)
		if err != nil {
			return nil, nil, err
		}
		res.To, res.Events, res.Trail = req, events, trail
		out.Files = append(out.Files, txtar.File{Name: "response", Data: answer})
		verdict := judge(res)
		if verdict.Kind == connectors.Continue {
			trail = append(trail, res)
			req = verdict.Next
			add("request", string(req.Transcript()))
			requests = append(requests, req)
			continue
		}
		text, err := verdictText(verdict, len(events))
		if err != nil {
			return nil, nil, err
		}
		add("verdict", text)
		if ref := refOf(verdict); withReceipts && ref != "" {
			add(receiptPart, ref)
		}
	}
	return txtar.Format(out), requests, nil
}

// compose builds the request for the events in the same way as the gateway. It returns the events that the request carries, and a
// line for each one that Build skipped or refused.
func compose(c connectors.Connector, events []*event.Event) (req *connectors.Request, sent []*event.Event, unsent []string, err error) {
	if len(events) == 1 {
		if req, err = c.Build(events[0]); err != nil {
			return nil, nil, []string{unsentText(err)}, nil
		}
		return req, events, nil, nil
	}
	batcher, ok := c.(connectors.Batcher)
	if !ok {
		return nil, nil, nil, errors.New("several events, and the connector takes one at a time")
	}
	if limit := batcher.Batch().Events; limit > 0 && len(events) > limit {
		return nil, nil, nil, fmt.Errorf("%d events, and a batch has %d at most", len(events), limit)
	}
	keys := map[string]bool{"": false}
	for i, ev := range events {
		if _, err := c.Build(ev); err != nil {
			unsent = append(unsent, fmt.Sprintf("%d: %s", i+1, unsentText(err)))
			continue
		}
		key := batcher.Key(ev)
		if keys[key] {
			return nil, nil, nil, fmt.Errorf("event %d has the key of another event; a batch never holds two events with the same key", i+1)
		}
		keys[key] = key != ""
		sent = append(sent, ev)
	}
	switch len(sent) {
	case 0:
		return nil, nil, unsent, nil
	case 1:
		req, err = c.Build(sent[0])
	default:
		req, err = batcher.BuildBatch(sent)
	}
	return req, sent, unsent, err
}

func unsentText(err error) string {
	if skipped, ok := errors.AsType[*connectors.Skipped](err); ok {
		return "skip: " + skipped.Reason
	}
	return "error: " + err.Error()
}

// verdictText returns a verdict as text: one line, or one line per event.
func verdictText(v connectors.Verdict, events int) (string, error) {
	if len(v.Each) == 0 {
		return v.String(), nil
	}
	if len(v.Each) != events {
		return "", fmt.Errorf("%d verdicts on %d events", len(v.Each), events)
	}
	lines := make([]string, events)
	for i, each := range v.Each {
		lines[i] = fmt.Sprintf("%d: %s", i+1, each)
	}
	return strings.Join(lines, "\n"), nil
}

// ParseEvent parses the event of a transcript, as one that POST /v1/events received at ReceivedAt.
func ParseEvent(text []byte) (*event.Event, error) {
	return event.ParseOne(bytes.TrimSpace(text), event.Defaults{
		Tenant: "default", Source: "api", Received: ReceivedAt, Verified: "token",
	})
}

// parseResponse parses a status, headers, an empty line and a body.
func parseResponse(text []byte) (*connectors.Response, error) {
	head, body, _ := strings.Cut(string(text), "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	code, _, _ := strings.Cut(lines[0], " ")
	status, err := strconv.Atoi(code)
	if err != nil {
		return nil, fmt.Errorf("a response begins with its status: %w", err)
	}
	res := &connectors.Response{Status: status, Header: http.Header{}, At: ReceivedAt, Body: []byte(strings.TrimSuffix(body, "\n"))}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("`%s` is not a header of a response", line)
		}
		res.Header.Add(textproto.TrimString(name), textproto.TrimString(value))
	}
	return res, nil
}
