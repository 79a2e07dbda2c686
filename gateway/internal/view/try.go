package view

import (
	"encoding/json"

	"github.com/surveygate/surveygate/gateway/internal/settings"
)

// Trial asks what a draft of documents, or the running configuration, would do with events. Nothing is sent or stored.
type Trial struct {
	// Draft are documents as they would be written; absent: what runs is asked.
	Draft *Draft `json:"draft,omitempty"`
	// Variables: ${NAME} in the draft stands for a value that is not known, as in a file; what depends on it is not checked. Otherwise it
	// is a fault.
	Variables bool `json:"variables,omitempty"`
	// Events are the events that are asked about.
	Events TrialEvents `json:"events"`
	// Show are explain, requests and difference; absent: explain and requests, and with a draft the difference.
	Show []string `json:"show,omitempty"`
}

// Draft are documents by kind and name, each as PUT takes it. null deletes one.
type Draft struct {
	Webhooks    map[string]Document `json:"webhooks,omitempty"`
	Connections map[string]Document `json:"connections,omitempty"`
	Sources     map[string]Document `json:"sources,omitempty"`
	Rules       map[string]Document `json:"rules,omitempty"`
}

// Document is the JSON of one document, as a file would hold it.
type Document = json.RawMessage

// TrialEvents selects events: stored ones, by Last or IDs, or the one in Body.
type TrialEvents struct {
	// Last is how many of the newest events, up to 500. Type and Source narrow them.
	Last   int    `json:"last,omitempty"`
	Type   string `json:"type,omitempty"`
	Source string `json:"source,omitempty"`
	// IDs are those of stored events.
	IDs []string `json:"ids,omitempty"`
	// Body is an event in the form that POST /v1/events takes; with Source, a body of that source's platform, which may also be its text.
	Body json.RawMessage `json:"body,omitempty"`
}

// Tried is the answer to a Trial.
type Tried struct {
	// Asked is how many events were asked about.
	Asked int `json:"asked"`
	// SearchedBackTo is when the oldest of them was received, of those that Last selects.
	SearchedBackTo Time `json:"searched_back_to,omitzero"`
	// Stopped is why not all of them were asked about: size (16 MiB of events), time (1 s of work) or search (too many others between
	// them); absent where all were.
	Stopped string `json:"stopped,omitempty"`
	// NotFound are ids that the tenant has no event of.
	NotFound []string `json:"not_found,omitempty"`
	// Draft is what writing the draft would do.
	Draft []TriedDocument `json:"draft,omitempty"`
	// Difference is what the draft changes.
	Difference *Difference `json:"difference,omitempty"`
	// Explain are explanations of the first events: at most 10, of at most 1 MiB together.
	Explain []Explanation `json:"explain,omitempty"`
	// Requests are those that would be sent: with a draft, of what it concerns; the first 20.
	Requests []TriedRequest `json:"requests,omitempty"`
}

// TriedDocument is what writing one document of a draft would do.
type TriedDocument struct {
	// Name is KIND/NAME.
	Name string `json:"name"`
	// Would is create, update, delete or nothing.
	Would string `json:"would"`
	// State is active, disabled, broken or shadowed.
	State    string   `json:"state"`
	Warnings []string `json:"warnings,omitempty"`
	// Tests are the own tests of a rule.
	Tests []RuleTest `json:"tests,omitempty"`
}

// RuleTest is one of a rule's own tests, and how it ended. A test with the file of a platform is not among them.
type RuleTest struct {
	// Given is the event, or a list of events of one response, Expect the steps that it should lead to.
	Given  json.RawMessage `json:"given"`
	Expect []string        `json:"expect"`
	Passed bool            `json:"passed"`
	// Failure is why it fails.
	Failure string `json:"failure,omitempty"`
}

// NewRuleTests makes the view of a rule's own tests.
func NewRuleTests(played []settings.RuleTest) []RuleTest {
	all := make([]RuleTest, len(played))
	for i, t := range played {
		all[i] = RuleTest{Given: t.Given, Expect: t.Expect, Passed: t.Failure == "", Failure: t.Failure}
		if all[i].Expect == nil {
			all[i].Expect = []string{}
		}
	}
	return all
}

// Difference counts deliveries of the rules, webhooks and destinations that a draft concerns. A delivery is one step of one rule, or one
// webhook, for one event. `once` is not looked at.
type Difference struct {
	// Before and Now are how many the events owe without and with the draft.
	Before int `json:"before"`
	Now    int `json:"now"`
	// Added are owed with the draft alone, Removed without it alone. Changed are owed by both, with another request or destination.
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed"`
	// Skipped and Rejected are those of Now of which nothing can be sent, by reason, most frequent first. Failed are conditions that
	// cannot be evaluated.
	Skipped  []ReasonCount `json:"skipped"`
	Rejected []ReasonCount `json:"rejected"`
	Failed   []ReasonCount `json:"failed"`
	// Samples are up to three of each of Added, Removed and Changed.
	Samples []DifferenceSample `json:"samples"`
}

// ReasonCount is how often a reason was given.
type ReasonCount struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// DifferenceSample is one delivery that a draft changes.
type DifferenceSample struct {
	Event string `json:"event"`
	Kind  string `json:"kind"`
	Rule  string `json:"rule"`
	Step  string `json:"step"`
	// Before and Now are whether the delivery is owed without and with the draft.
	Before bool `json:"before"`
	Now    bool `json:"now"`
	// Why is why the rule matches with the draft, or does not; without the draft, if it is gone.
	Why   string          `json:"why"`
	Parts []ConditionPart `json:"parts,omitempty"`
}

// TriedRequest is a request that would be sent.
type TriedRequest struct {
	Event       string `json:"event"`
	Kind        string `json:"kind"`
	Rule        string `json:"rule"`
	Step        string `json:"step"`
	Destination string `json:"destination"`
	// Note is what would become of the delivery, and of one that is not sent, why.
	Note string `json:"note"`
	// Text is the request without secrets. Cut: it is longer than this.
	Text string `json:"text,omitempty"`
	Cut  bool   `json:"cut,omitempty"`
}
