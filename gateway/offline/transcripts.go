package offline

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/transcript"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// testsFolder is the folder beside a configuration, or in its folder, whose transcripts are played too.
const testsFolder = "tests"

// transcriptsFrom is when the first event of a transcript is received: always at the same time, so that its requests are always the same.
var transcriptsFrom = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// transcripts plays the transcripts beside the configuration and in its folder of tests.
func (t *tester) transcripts(configured string) ([]TestResult, error) {
	folder := configured
	if info, err := os.Stat(configured); err != nil || !info.IsDir() {
		folder = filepath.Dir(configured)
	}
	var results []TestResult
	for _, folder := range []string{folder, filepath.Join(folder, testsFolder)} {
		names, _, err := t.files.Folder(folder, isTranscript)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read transcripts: %w", err)
		}
		for _, name := range names {
			path := filepath.Join(folder, name)
			text, err := t.files.ReadFile(path)
			if err != nil {
				results = append(results, TestResult{Transcript: path, At: path, Error: err.Error(), Want: []string{}, Got: []string{}})
				continue
			}
			if !transcript.IsOfCommands(text) {
				results = append(results, t.transcript(path, text))
			}
		}
	}
	return results, nil
}

func isTranscript(name string) bool {
	return filepath.Ext(name) == ".txtar" && !strings.HasPrefix(name, ".")
}

// transcript plays one transcript.
func (t *tester) transcript(path string, text []byte) TestResult {
	result := TestResult{Transcript: path, At: path, Want: []string{}, Got: []string{}}
	fail := func(err error) TestResult {
		if faults, ok := errors.AsType[document.Faults](err); ok {
			result.At = faults[0].Position.String()
		}
		result.Error = err.Error()
		return result
	}
	script, err := transcript.Parse(path, text)
	if err != nil {
		return fail(err)
	}
	events, err := t.events(script)
	if err != nil {
		return fail(err)
	}
	result.Tenant = tenantOf(script)
	result.Title, _, _ = strings.Cut(script.Comment, "\n")
	played := t.plan.PlayAll(events...)
	t.cover(played.Asked)
	sent := make([]transcript.Step, len(played.Sent))
	for i, s := range played.Sent {
		sent[i] = transcript.NewStep(stepName(s.Origin, s.Step), outbound.Transcript(s.Request))
		result.Got = append(result.Got, sent[i].Name)
	}
	for _, step := range script.Expected {
		result.Want = append(result.Want, step.Name)
	}
	difference, line := script.Compare(sent)
	if result.Passed = difference == ""; result.Passed {
		return result
	}
	if t.update {
		if err := os.WriteFile(path, script.With(sent), 0o600); err != nil {
			return fail(err)
		}
		result.Passed, result.Updated = true, true
		return result
	}
	result.Diff, result.At = difference, fmt.Sprintf("%s:%d", path, line)
	if !script.IsExpected {
		result.Why = append(result.Why, "it expects nothing yet: `surveygate test --update` writes what is sent")
		return result
	}
	result.Why = t.whyNotSent(played, result.Tenant, result.Want, result.Got)
	return result
}

// stepName returns the name of a step in a transcript.
func stepName(origin state.Origin, step string) string {
	if origin.Kind == state.Webhook {
		return transcript.WebhookStep(origin.Name)
	}
	return transcript.RuleStep(origin.Name, step)
}

// whyNotSent says why steps that are expected were not sent.
func (t *tester) whyNotSent(played *decide.Played, tenant string, want, got []string) (why []string) {
	got = slices.Clone(got)
	missing := map[state.Origin]bool{}
	for _, name := range want {
		if i := slices.Index(got, name); i >= 0 {
			got = slices.Delete(got, i, i+1)
			continue
		}
		kind, owner, _ := transcript.SplitStep(name)
		origin := state.Origin{Kind: state.OriginKind(kind), Name: owner}
		if missing[origin] {
			continue
		}
		missing[origin] = true
		if fault := t.unknownOrigin(tenant, origin); fault != "" {
			why = append(why, fault)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return append(why, played.NotSentBy(func(o state.Origin) bool { return missing[o] })...)
}

// unknownOrigin says that the configuration has no such rule or webhook; empty: it has.
func (t *tester) unknownOrigin(tenant string, origin state.Origin) string {
	var names []string
	for _, r := range t.plan.Rules(tenant) {
		if own := decide.OriginOf(r); own == origin {
			return ""
		} else if own.Kind == origin.Kind {
			names = append(names, own.Name)
		}
	}
	fault := fmt.Sprintf("tenant %s has no %s `%s`", tenant, origin.Kind, origin.Name)
	if near := event.Nearest(origin.Name, names); near != "" {
		fault += "; did you mean `" + near + "`?"
	}
	return fault
}

// tenantOf returns the tenant of a transcript.
func tenantOf(script *transcript.Transcript) string {
	if script.Tenant == "" {
		return config.DefaultTenant
	}
	return script.Tenant
}

// events returns the events of a transcript, received one second after the other.
func (t *tester) events(script *transcript.Transcript) ([]*event.Event, error) {
	tenant := tenantOf(script)
	if known := tenantsOf(t.plan.Config); !slices.Contains(known, tenant) {
		remedy := "its tenants are " + strings.Join(known, ", ") + ": name one of them below `-- tenant --`"
		return nil, script.Fault(max(script.TenantLine, 1), fmt.Sprintf("the configuration has nothing of tenant `%s`", tenant), remedy)
	}
	var events []*event.Event
	for _, given := range script.Given {
		at := transcriptsFrom.Add(time.Duration(len(events)) * time.Second)
		if given.Source == "" {
			ev, err := decide.GivenEvent(given.Body, event.TypeResponseCompleted, tenant, len(script.Given) > 1, at)
			if err != nil {
				return nil, script.Fault(lineOf(given), "event.json: "+err.Error(), "write the event as POST /v1/events takes it; a platform's body stands below `-- source NAME --`")
			}
			events = append(events, ev)
			continue
		}
		source := t.source(tenant, given.Source)
		if source == nil {
			remedy := cmp.Or(document.DidYouMean(given.Source, namesOf(t.plan.Config, tenant)), "add it under sources:")
			return nil, script.Fault(given.Line, fmt.Sprintf("tenant %s has no source `%s`", tenant, given.Source), remedy)
		}
		all, err := normalise(source.Receiver, given.Body, at)
		if err != nil {
			return nil, script.Fault(lineOf(given), "source "+given.Source+": "+err.Error(), "write a body as the platform sends it")
		}
		events = append(events, all...)
	}
	switch n := len(events); {
	case n == 0:
		return nil, script.Fault(script.Given[0].Line, "no event is made of what is given", "give a body that reports a response")
	case n > transcript.MaxEvents:
		return nil, script.Fault(script.Given[0].Line, fmt.Sprintf("%d events are given; at most %d are allowed", n, transcript.MaxEvents), "leave some of them out")
	}
	return events, nil
}

// lineOf returns the line of a fault in what is given: of JSON that cannot be read, the line where it ends to be JSON.
func lineOf(given transcript.Given) int {
	var read json.RawMessage
	if syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(given.Body, &read)); ok {
		before := given.Body[:min(int(syntax.Offset), len(given.Body))]
		return given.Line + 1 + strings.Count(strings.TrimRight(string(before), "\n"), "\n")
	}
	return given.Line
}

// source returns a tenant's source; nil if it has none of the name.
func (t *tester) source(tenant, name string) *config.Source {
	for _, s := range t.plan.Config.Sources {
		if s.Name == name && s.Tenant == tenant {
			return s
		}
	}
	return nil
}

// tenantsOf returns the tenants that own anything of a configuration, sorted.
func tenantsOf(c *config.Config) (all []string) {
	add := func(name string) {
		if name != rules.AllTenants && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	for _, s := range c.Sources {
		add(s.Tenant)
	}
	for _, d := range c.Destinations {
		add(d.Tenant)
	}
	for _, r := range c.Rules {
		add(r.Tenant)
	}
	slices.Sort(all)
	return all
}
