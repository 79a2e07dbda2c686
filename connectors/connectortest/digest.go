package connectortest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// digestPart is the part of a transcript that plays Digest.
const digestPart = "digest"

// digestOf returns the digest that a part of a transcript plays, without its events.
func digestOf(part txtar.File) (*connectors.Digest, error) {
	var given struct {
		Rule  string    `json:"rule"`
		From  time.Time `json:"from"`
		To    time.Time `json:"to"`
		Total int       `json:"total"`
		More  bool      `json:"more"`
	}
	decoder := json.NewDecoder(bytes.NewReader(part.Data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&given); err != nil {
		return nil, fmt.Errorf("the part `%s` is no digest: %w", digestPart, err)
	}
	return &connectors.Digest{Rule: given.Rule, From: given.From, To: given.To, Total: given.Total, More: given.More}, nil
}

// digest returns the request of Digest about events.
func digest(c connectors.Connector, d *connectors.Digest, events []*event.Event) (*connectors.Request, error) {
	digester, ok := c.(connectors.Digester)
	if !ok {
		return nil, errors.New("the connector is no Digester")
	}
	about := *d
	about.Events = events
	return digester.Digest(&about)
}

// LongDigests returns digests with more text than any product takes, in characters that become longer when they are escaped, also one
// with more events than MaxDigestEvents.
func LongDigests(t testing.TB) []*connectors.Digest {
	t.Helper()
	var all []*connectors.Digest
	for _, piece := range []string{"slow ", "é", "😀", "*", "&", "<", "~", "|", `\`, `"`, "x\n", "\x01", "\u2028", "a*", "\\\x01", "<!channel> ", "[a](https://x.example)"} {
		long := "a" + strings.Repeat(piece, 6_000/len(piece)) + "b"
		d := &connectors.Digest{Rule: long, From: ReceivedAt.Add(-24 * time.Hour), To: ReceivedAt, Total: 1_000_000, More: true}
		kinds := [2]*event.Event{longEvent(t, long, map[string]any{"nps_score": 3}), longEvent(t, long, nil)} // the second one's line begins with the survey
		for i := range 3 * connectors.MaxDigestEvents {
			d.Events = append(d.Events, kinds[i%len(kinds)])
		}
		all = append(all, d)
	}
	return all
}

// longEvent returns an event with a text in each part that a message shows.
func longEvent(t testing.TB, text string, more map[string]any) *event.Event {
	t.Helper()
	given := map[string]any{
		"type": "response.completed", "feedback": text, "email": text, "survey": map[string]any{"title": text},
		"response": map[string]any{"permalink": "https://polls.example/r/1"},
	}
	maps.Copy(given, more)
	body, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := ParseEvent(body)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// marks have a meaning in the texts of a product. Each stands in a text of its own.
var marks = []string{"<!channel>", "<https://x.example|a>", "[a](https://x.example)", "*a*", "_a_", "~~a~~", "||a||", "`a`", "@everyone", "<@1>", "&amp;"}

// checkDigester checks what the other tests, which play the digests of transcripts too, do not: that a digest without events is built with
// all settings, and one with too much text with those of the first transcript, that marks which Build escapes with these are escaped, that a
// verdict does not depend on the events that Judge is given, and that there is a transcript.
func checkDigester(t *testing.T, name string, cases []example) {
	if c, _ := connectors.New(name); !isDigester(c) {
		return
	}
	other, err := ParseEvent([]byte(`{"type":"test"}`))
	if err != nil {
		t.Fatal(err)
	}
	played := false
	for i, e := range cases {
		c, events := e.ready(t, name)
		checkEmptyDigest(t, e.name, c)
		if i == 0 {
			checkLongDigests(t, e.name, c)
			checkEscapes(t, e.name, c)
		}
		if e.digest == nil {
			continue
		}
		played = true
		req, err := e.build(c, events)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		for _, answer := range e.answers {
			res, err := parseResponse(answer)
			if err != nil {
				t.Fatalf("%s: %v", e.name, err)
			}
			res.To, res.Events = req, nil
			want := judge(c, res)
			for _, told := range [][]*event.Event{{other}, events[:min(len(events), 1)]} {
				res.Events = told
				if got := judge(c, res); !reflect.DeepEqual(got, want) {
					t.Errorf("%s: the verdict with %d events is `%s`, and without any `%s`", e.name, len(told), got, want)
				}
			}
		}
	}
	if !played {
		t.Error("a Digester needs a transcript with the part `digest`")
	}
}

func isDigester(c connectors.Connector) bool {
	_, ok := c.(connectors.Digester)
	return ok
}

// anyHour is a period.
var anyHour = connectors.Digest{Rule: "r", From: ReceivedAt.Add(-time.Hour), To: ReceivedAt, Total: 4321}

// checkEmptyDigest checks that a digest without events has their number.
func checkEmptyDigest(t *testing.T, name string, c connectors.Connector) {
	t.Helper()
	const count = "4,321 events"
	if req, err := digest(c, &anyHour, nil); err != nil || !strings.Contains(string(req.Body), count) {
		t.Errorf("%s: a digest without events does not have their number, %s (%v)", name, count, err)
	}
}

// checkLongDigests checks that a digest with too much text is built, in the same way every time.
func checkLongDigests(t *testing.T, name string, c connectors.Connector) {
	t.Helper()
	for _, d := range LongDigests(t) {
		req, err := digest(c, d, d.Events)
		if err != nil {
			t.Errorf("%s: a long digest is not built: %v", name, err)
			continue
		}
		if again, err := digest(c, d, d.Events); err != nil || !reflect.DeepEqual(req, again) {
			t.Errorf("%s: Digest returned another request (%v)", name, err)
		}
	}
}

// checkEscapes checks that Digest escapes what Build does. The settings must show what the respondent wrote.
func checkEscapes(t *testing.T, name string, c connectors.Connector) {
	t.Helper()
	const before, after = "zqbefore", "zqafter"
	for _, mark := range marks {
		text := before + mark + after
		ev := longEvent(t, text, map[string]any{"nps_score": 3})
		one, err := c.Build(ev)
		if err != nil || !strings.Contains(string(one.Body), before) {
			t.Errorf("%s: the message does not show what the respondent wrote (%v)", name, err)
			continue
		}
		req, err := digest(c, &anyHour, []*event.Event{ev})
		if err != nil || !strings.Contains(string(req.Body), before) {
			t.Errorf("%s: the digest does not show what the respondent wrote (%v)", name, err)
			continue
		}
		if holds(req, text) && !holds(one, text) {
			t.Errorf("%s: Build escapes %s, and Digest does not: %s", name, mark, req.Body)
		}
	}
}

// holds reports whether the body of a request has a text that contains part.
func holds(req *connectors.Request, part string) bool {
	var body any
	if json.Unmarshal(req.Body, &body) != nil {
		return false
	}
	texts := map[string]any{}
	flatten(texts, "", body)
	for _, text := range texts {
		if s, ok := text.(string); ok && strings.Contains(s, part) {
			return true
		}
	}
	return false
}
