package hubspot

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// internal is a property's name as HubSpot spells it, and word one of its categories and codes: any other text of an
// answer may hold a person.
var (
	internal = regexp.MustCompile(`^[a-z][a-z0-9_]{0,99}$`)
	word     = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)
	scope    = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,99}$`)
)

// spelt is a name as it would be, were it internal.
func spelt(name string) string {
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "_"), "_")
}

// problem is how HubSpot refuses a request, or one record of it.
// https://developers.hubspot.com/docs/api-reference/error-handling
type problem struct {
	Category   string           `json:"category"`
	PolicyName string           `json:"policyName"`
	Context    map[string]texts `json:"context"`
	Errors     []struct {
		Code    string           `json:"code"`
		Context map[string]texts `json:"context"`
	} `json:"errors"`
}

// texts are a list; HubSpot's document also writes one word without it.
type texts []string

// UnmarshalJSON takes both, and leaves out what is neither: it is only what an error is about.
func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	var list []string
	if json.Unmarshal(b, &list) == nil {
		*t = list
	}
	return nil
}

// written is the answer of the upsert.
type written struct {
	Status  string `json:"status"`
	Results []struct {
		ID    string `json:"id"`
		Trace string `json:"objectWriteTraceId"`
	} `json:"results"`
	Errors []problem `json:"errors"`
}

// Judge reads what became of each contact.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	if res.Status < 200 || res.Status > 299 {
		return refused(res)
	}
	var w written
	if err := json.Unmarshal(res.Body, &w); err != nil && res.Truncated && res.Status == 200 && genuine(res) {
		return connectors.Deliver() // of a full batch HubSpot repeats more than is kept
	} else if err != nil || w.Status == "" {
		return odd(res)
	}
	switch {
	case w.Status == "CANCELED":
		return connectors.TryAgain("HubSpot canceled the batch")
	case len(w.Errors) == 0:
		return connectors.Deliver()
	case len(res.Events) <= 1:
		return w.Errors[0].verdict(connectors.StatusReason(res.Status))
	}
	return w.each(res)
}

// odd is an answer that is not HubSpot's, as a proxy's page is not: it has changed nothing. Cut short, nobody knows
// whom it speaks of.
func odd(res *connectors.Response) connectors.Verdict {
	if res.Truncated && res.Status == 207 && genuine(res) {
		return connectors.Reject("207 with an answer that is too long to read")
	}
	return connectors.TryAgain("the answer is not HubSpot's")
}

// each gives every event its own verdict, by the trace that comes back. Where HubSpot does not say whom an error is
// about, the whole is refused, and each is asked for alone: to write a contact twice does no harm.
func (w written) each(res *connectors.Response) connectors.Verdict {
	known := map[string]connectors.Verdict{}
	for _, r := range w.Results {
		known[r.Trace] = connectors.Deliver()
	}
	reason := connectors.StatusReason(res.Status)
	for _, p := range w.Errors {
		for _, trace := range p.Context["objectWriteTraceId"] {
			known[trace] = p.verdict(reason)
		}
	}
	v := connectors.Deliver()
	for _, ev := range res.Events {
		own, ok := known[ev.ID]
		if !ok {
			return connectors.Reject(reason + " that does not say whom it is about")
		}
		v.Each = append(v.Each, own)
	}
	return v
}

// verdict is what a refusal of one record means: its category speaks as the status of a request would.
func (p problem) verdict(prefix string) connectors.Verdict {
	v := connectors.Reject(p.reason(prefix))
	switch p.Category {
	case "RATE_LIMITS", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE":
		v.Kind = connectors.Retry
	case "INVALID_AUTHENTICATION", "EXPIRED_AUTHENTICATION", "MISSING_SCOPES":
		v.Kind = connectors.Revoked
	}
	return v
}

const (
	// locked is how long a record is left alone that a bulk change holds.
	locked = 2 * time.Second
	// moving is how long an account is, that is moved to another data centre, where HubSpot does not say.
	moving = 10 * time.Minute
)

// refused judges by the status, with HubSpot's category and code as the reason.
func refused(res *connectors.Response) connectors.Verdict {
	var p problem
	_ = json.Unmarshal(res.Body, &p) // what is not HubSpot's has no words of its own
	v := connectors.ByStatus(res)
	asked := connectors.RetryAfter(res)
	switch {
	case res.Status == 423:
		v.Kind, v.After = connectors.Retry, max(asked, locked)
	case res.Status == 477:
		v.Kind, v.After = connectors.Retry, asked
		if asked == 0 {
			v.After = moving
		}
	case res.Status == 429 && asked == 0:
		v.After = p.wait(res.At)
	}
	v.Reason = p.reason(v.Reason)
	return v
}

// wait is how long the exhausted limit lasts. The day of an account ends at its own midnight, wherever that is: always
// with an hour, or half of one.
// https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
func (p problem) wait(at time.Time) time.Duration {
	switch p.PolicyName {
	case "SECONDLY":
		return time.Second
	case "DAILY":
		return at.Truncate(30 * time.Minute).Add(30 * time.Minute).Sub(at)
	}
	return 10 * time.Second
}

// reason is the status, and those words of HubSpot's that say no more than they should: its category, its codes, the
// properties and the scopes at fault.
func (p problem) reason(text string) string {
	var words []string
	add := func(w string, as *regexp.Regexp) {
		if as.MatchString(w) && len(words) < 5 && !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	add(p.Category, word)
	add(p.PolicyName, word)
	for _, e := range p.Errors {
		add(e.Code, word)
		for _, name := range e.Context["propertyName"] {
			add(name, internal)
		}
		for _, name := range e.Context["requiredGranularScopes"] {
			add(name, scope)
		}
	}
	if len(words) == 0 {
		return text
	}
	text += ": " + strings.Join(words, " ")
	return text[:min(len(text), 200)]
}

// genuine says that a 2xx is an object in JSON, as every one of HubSpot's is.
func genuine(res *connectors.Response) bool {
	body := bytes.TrimSpace(res.Body)
	return len(body) > 0 && body[0] == '{'
}

// first is the event of a request that tells of one.
func first(res *connectors.Response) *event.Event {
	if len(res.Events) == 0 {
		return nil
	}
	return res.Events[0]
}
