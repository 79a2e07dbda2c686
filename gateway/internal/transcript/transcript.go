// Package transcript reads and writes transcripts of events, which test a whole configuration.
//
// A transcript is a txtar file (https://pkg.go.dev/golang.org/x/tools/txtar) with these parts, in this order:
//
//   - a comment that says what the transcript shows,
//   - `tenant`: the tenant of the events; without it, the default tenant,
//   - `event.json`: an event in the form that POST /v1/events accepts, or `source NAME`: a body of that source's platform. Several parts,
//     and a body with several events, are received one after the other,
//   - what is sent: a part `rule NAME: STEP` or `webhook NAME` for each step, with its request as connectors.Request.Transcript shows it.
//     In place of them, one part `steps` lists those names; it is empty where nothing is sent.
package transcript

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

// Names of parts.
const (
	tenantPart = "tenant"
	eventPart  = "event.json"
	sourcePart = "source "
	stepsPart  = "steps"
)

// Transcript is a transcript as it was read.
type Transcript struct {
	// File is its path, for faults.
	File string
	// Comment is what stands before the first part.
	Comment string
	// Tenant is empty where the transcript names none. TenantLine is the line of its part.
	Tenant     string
	TenantLine int
	Given      []Given
	// Expected are the steps that are expected. IsExpected says that there are any parts for them: also a list without steps.
	Expected   []Step
	IsExpected bool
	// Brief: the steps are listed without their requests.
	Brief bool
	// Line is the line at which what is expected begins.
	Line int

	head []byte // all that is given, as it was written
	crlf bool
}

// Given is an event in surveygate's own format, or the body of a platform.
type Given struct {
	// Source is the source whose platform sent the body; empty for surveygate's own format.
	Source string
	Body   []byte
	// Line is that of the part's name.
	Line int
}

// Step is a step that is sent: its name, such as `rule detractor: alarms`, and its request as text.
type Step struct {
	Name, Request string

	line int // of one that is expected
}

// RuleStep returns the name of a rule's step, and WebhookStep that of a webhook.
func RuleStep(rule, step string) string { return "rule " + rule + ": " + step }

// WebhookStep returns the name of what a webhook is sent.
func WebhookStep(webhook string) string { return "webhook " + webhook }

// SplitStep returns what owns a step, `rule` or `webhook`, and its name; false: the name is not that of a step.
func SplitStep(name string) (kind, owner string, ok bool) {
	if rest, is := strings.CutPrefix(name, "rule "); is {
		owner, step, found := strings.Cut(rest, ": ")
		return "rule", owner, found && owner != "" && strings.TrimSpace(step) != ""
	}
	owner, ok = strings.CutPrefix(name, "webhook ")
	return "webhook", owner, ok && strings.TrimSpace(owner) != ""
}

var byteOrderMark = []byte("\uFEFF")

// MaxEvents bounds the events of one transcript.
const MaxEvents = 50

// Parse reads a transcript. Lines may end with CR LF, and the text may begin with a byte order mark. The error is of type document.Faults.
func Parse(file string, text []byte) (*Transcript, error) {
	t := &Transcript{File: file}
	text = bytes.TrimPrefix(text, byteOrderMark)
	if t.crlf = bytes.Contains(text, []byte("\r\n")); t.crlf {
		text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	}
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return nil, t.Fault(0, "the transcript is empty", howTo)
	case !utf8.Valid(text):
		return nil, t.Fault(0, "the transcript is not UTF-8 text", "save it as UTF-8")
	}
	archive := txtar.Parse(text)
	t.Comment = string(bytes.TrimSpace(archive.Comment))
	line := 1 + bytes.Count(archive.Comment, []byte("\n"))
	t.head = slices.Clone(archive.Comment)
	for _, part := range archive.Files {
		if err := t.add(part, line); err != nil {
			return nil, err
		}
		line += 1 + bytes.Count(part.Data, []byte("\n"))
	}
	if len(t.Given) == 0 {
		return nil, t.Fault(max(t.Line, 1), "the transcript has no event", howTo)
	}
	if !t.IsExpected {
		t.Line = line
	}
	return t, nil
}

const (
	howTo = "write `-- event.json --` and an event below it, or `-- source NAME --` and a body of that source's platform"
	parts = "the parts are `tenant`, `event.json`, `source NAME`, and then `steps`, or `rule NAME: STEP` and `webhook NAME`"
)

// add reads one part, whose name stands on a line.
func (t *Transcript) add(part txtar.File, line int) error {
	source, isSource := strings.CutPrefix(part.Name, sourcePart)
	switch {
	case part.Name == tenantPart || part.Name == eventPart || isSource:
		if t.IsExpected {
			return t.Fault(line, fmt.Sprintf("`%s` stands after what is expected", part.Name), "move it up: what is given comes first")
		}
		t.head = append(t.head, txtar.Format(&txtar.Archive{Files: []txtar.File{part}})...)
	}
	switch {
	case part.Name == tenantPart:
		if t.TenantLine != 0 {
			return t.Fault(line, "there is a `tenant` already", "a transcript is of one tenant; write another file for the other one")
		}
		t.Tenant, t.TenantLine = string(bytes.TrimSpace(part.Data)), line
		if t.Tenant == "" || strings.ContainsAny(t.Tenant, " \n\t") {
			return t.Fault(line, "`tenant` is not a name", "write the name of a tenant below it, or leave the part out")
		}
		return nil
	case part.Name == eventPart, isSource:
		if len(bytes.TrimSpace(part.Data)) == 0 {
			return t.Fault(line, fmt.Sprintf("`%s` is empty", part.Name), howTo)
		}
		if len(t.Given) == MaxEvents {
			return t.Fault(line, fmt.Sprintf("there are more than %d events", MaxEvents), "leave some of them out")
		}
		t.Given = append(t.Given, Given{Source: strings.TrimSpace(source), Body: part.Data, Line: line})
		if !isSource {
			t.Given[len(t.Given)-1].Source = ""
		}
		return nil
	}
	if !t.IsExpected {
		t.Line = line
	}
	_, _, isStep := SplitStep(part.Name)
	switch {
	case part.Name == stepsPart && t.IsExpected || isStep && t.Brief:
		return t.Fault(line, "there is a list of steps, and other steps besides", "keep one of them: `steps`, or a part for each step with its request")
	case part.Name == stepsPart:
		t.Brief = true
		number := line
		for name := range strings.Lines(string(part.Data)) {
			number++
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			if _, _, ok := SplitStep(name); !ok {
				return t.Fault(number, fmt.Sprintf("`%s` is not a step", name), "write `rule NAME: STEP` or `webhook NAME`, one in each line")
			}
			t.Expected = append(t.Expected, Step{Name: name, line: number})
		}
	case isStep:
		t.Expected = append(t.Expected, Step{Name: part.Name, Request: trimmed(string(part.Data)), line: line})
	default:
		return t.Fault(line, fmt.Sprintf("`%s` is not a part of a transcript", part.Name), parts)
	}
	t.IsExpected = true
	return nil
}

// IsOfCommands reports whether a txtar file is a session of commands and what they print, such as the examples' expected.txtar, and no
// transcript of events.
func IsOfCommands(text []byte) bool {
	archive := txtar.Parse(bytes.TrimPrefix(text, byteOrderMark))
	for _, part := range archive.Files {
		if !strings.HasPrefix(part.Name, "surveygate ") {
			return false
		}
	}
	return len(archive.Files) > 0
}

// Fault returns a fault at a line; 0 is the whole file.
func (t *Transcript) Fault(line int, message, remedy string) error {
	at := document.Position{File: t.File}
	if line > 0 {
		at.Line, at.Column = line, 1
	}
	return document.Faults{{Position: at, Message: message, Remedy: remedy}}
}

// trimmed returns a text without empty lines at its end.
func trimmed(text string) string { return strings.TrimRight(text, "\n") }

// lineEnds makes all line ends alike.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// NewStep returns a step that is sent, in the form in which Parse returns it when it was written. A line that would begin another part
// gets a space before it.
func NewStep(name string, request []byte) Step {
	var b strings.Builder
	for line := range strings.Lines(lineEnds.Replace(string(request))) {
		if len(txtar.Parse([]byte(line)).Files) > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(line)
	}
	return Step{Name: name, Request: trimmed(strings.ToValidUTF8(b.String(), "\uFFFD"))}
}

// text returns a step as it is written.
func (s Step) text(brief bool) string {
	switch {
	case brief:
		return s.Name + "\n"
	case s.Request == "":
		return "-- " + s.Name + " --\n"
	}
	return "-- " + s.Name + " --\n" + s.Request + "\n"
}

// nothing is how it is written that nothing is sent; as the head of a list, too.
const nothing = "-- " + stepsPart + " --\n"

// pair is a step that is expected, and the one that is sent in its place; one of them may be nil.
type pair struct{ want, got *Step }

// pairs returns the steps that are expected, each with one that is sent, and then the others that are sent: the order of rules does not
// count. Of several of a name, those with the same request belong together.
func (t *Transcript) pairs(sent []Step) (all []pair) {
	for i := range t.Expected {
		all = append(all, pair{want: &t.Expected[i]})
	}
	used := make([]bool, len(sent))
	match := func(same func(a, b Step) bool) {
		for i := range all {
			for j := range sent {
				if all[i].got == nil && !used[j] && same(*all[i].want, sent[j]) {
					all[i].got, used[j] = &sent[j], true
				}
			}
		}
	}
	match(func(a, b Step) bool { return a.Name == b.Name && a.Request == b.Request })
	match(func(a, b Step) bool { return a.Name == b.Name })
	for j := range sent {
		if !used[j] {
			all = append(all, pair{got: &sent[j]})
		}
	}
	return all
}

// Compare returns how what is sent differs from what is expected, and the line at which it begins to; an empty text: it does not.
func (t *Transcript) Compare(sent []Step) (difference string, line int) {
	d := differ{line: t.Line}
	all := t.pairs(sent)
	switch {
	case !t.IsExpected && len(sent) == 0:
		d.add("", nothing, t.Line)
	case t.Brief:
		d.add(nothing, nothing, t.Line)
	}
	for _, p := range all {
		want, got, line := "", "", 0
		if p.want != nil {
			want, line = p.want.text(t.Brief), p.want.line
		}
		if p.got != nil {
			got = p.got.text(t.Brief)
		}
		d.add(want, got, line)
	}
	if len(t.Expected) > 0 && len(sent) == 0 && !t.Brief {
		d.add("", nothing, 0)
	}
	return d.text()
}

// With returns the text of the transcript with what is sent in place of what is expected, in the same form: a list of steps stays one.
func (t *Transcript) With(sent []Step) []byte {
	out := bytes.Clone(t.head)
	if t.Brief || len(sent) == 0 {
		out = append(out, nothing...)
	}
	for _, p := range t.pairs(sent) {
		if p.got != nil {
			out = append(out, p.got.text(t.Brief)...)
		}
	}
	if t.crlf {
		out = bytes.ReplaceAll(out, []byte("\n"), []byte("\r\n"))
	}
	return out
}
