// Package connectortest plays transcripts and holds the suite that every connector must pass.
//
// A transcript is a txtar file: a comment, `config.yaml`, `event.json`, the `request` that Build makes of them
// (or `build`, where it makes none), and any number of `response`s, each followed by its `verdict`, or by the next
// `request` where one follows. Responses after a verdict are other answers to the same request. With -update the
// requests and verdicts are rewritten; a person reads the diff.
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

var update = flag.Bool("update", false, "rewrite requests and verdicts in transcripts")

// Received is when every transcript's event comes in and every answer arrives.
var Received = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Binder lays YAML over a connector's defaults.
type Binder func(text []byte, into connectors.Connector) error

// Play plays every transcript in testdata for a registered connector.
func Play(t *testing.T, name string) {
	t.Helper()
	PlayFiles(t, name, filepath.Join("testdata", "*.txtar"), Bind)
}

// PlayFiles is Play for other files and another reader of YAML, such as the gateway's own.
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
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s differs (-want +got); -update rewrites it:\n%s", file, cmp.Diff(string(text), string(got)))
		})
	}
}

// Transcribe plays one transcript and returns it with the requests and verdicts that came out.
func Transcribe(name string, text []byte, bind Binder) ([]byte, error) {
	in := txtar.Parse(text)
	out := &txtar.Archive{Comment: in.Comment}
	var config, given []byte
	var responses [][]byte
	for _, file := range in.Files {
		switch file.Name {
		case "config.yaml":
			config = file.Data
			out.Files = append(out.Files, file)
		case "event.json":
			given = file.Data
			out.Files = append(out.Files, file)
		case "response":
			responses = append(responses, file.Data)
		case "request", "build", "verdict":
		default:
			return nil, fmt.Errorf("`%s` is no part of a transcript", file.Name)
		}
	}
	if config == nil || given == nil {
		return nil, errors.New("a transcript has a config.yaml and an event.json")
	}
	c, ok := connectors.New(name)
	if !ok {
		return nil, fmt.Errorf("no connector is registered as %s", name)
	}
	add := func(name, text string) {
		out.Files = append(out.Files, txtar.File{Name: name, Data: []byte(strings.TrimRight(text, "\n") + "\n")})
	}
	if err := bind(config, c); err != nil {
		add("build", "invalid: "+err.Error())
		return txtar.Format(out), nil
	}
	ev, err := Event(given)
	if err != nil {
		return nil, err
	}
	req, err := c.Build(ev)
	var skipped *connectors.Skipped
	switch {
	case errors.As(err, &skipped):
		add("build", "skip: "+skipped.Reason)
		return txtar.Format(out), nil
	case err != nil:
		add("build", "error: "+err.Error())
		return txtar.Format(out), nil
	}
	add("request", string(req.Transcript()))

	judge := connectors.ByStatus
	if j, ok := c.(connectors.Judge); ok {
		judge = j.Judge
	}
	var trail []*connectors.Response
	for _, text := range responses {
		res, err := parseResponse(text)
		if err != nil {
			return nil, err
		}
		res.To, res.Events, res.Trail = req, []*event.Event{ev}, trail
		out.Files = append(out.Files, txtar.File{Name: "response", Data: text})
		verdict := judge(res)
		if verdict.Kind == connectors.Continue {
			trail = append(trail, res)
			req = verdict.Next
			add("request", string(req.Transcript()))
			continue
		}
		add("verdict", verdict.String())
	}
	return txtar.Format(out), nil
}

// Event reads the event of a transcript.
func Event(text []byte) (*event.Event, error) {
	return event.ParseOne(bytes.TrimSpace(text), event.Defaults{
		Tenant: "default", Source: "api", Received: Received, Verified: "token",
	})
}

// parseResponse reads a status, headers, and after an empty line a body.
func parseResponse(text []byte) (*connectors.Response, error) {
	head, body, _ := strings.Cut(string(text), "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	code, _, _ := strings.Cut(lines[0], " ")
	status, err := strconv.Atoi(code)
	if err != nil {
		return nil, fmt.Errorf("a response begins with its status: %w", err)
	}
	res := &connectors.Response{Status: status, Header: http.Header{}, At: Received, Body: []byte(strings.TrimSuffix(body, "\n"))}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("`%s` is no header of a response", line)
		}
		res.Header.Add(textproto.TrimString(name), textproto.TrimString(value))
	}
	return res, nil
}
