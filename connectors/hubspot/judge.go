package hubspot

import (
	"bytes"
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
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
	Message    string           `json:"message"`
	Context    map[string]texts `json:"context"`
	Errors     []struct {
		Code    string           `json:"code"`
		Message string           `json:"message"`
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
	Status  string    `json:"status"`
	Results []result  `json:"results"`
	Errors  []problem `json:"errors"`
}

// result is one contact that was written. The trace comes back where HubSpot keeps it; it is optional in its document.
type result struct {
	ID         string          `json:"id"`
	Trace      string          `json:"objectWriteTraceId"`
	Properties map[string]text `json:"properties"`
}

// text is a property's value; HubSpot writes null for none.
type text string

// UnmarshalJSON takes a text and leaves out everything else: a value only says whose record it is.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// Judge reads what became of each contact.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	_, v := c.written(res, c.Key)
	return v
}

// written is the answer of the upsert and the verdict on each event that it was to write; key is an event's contact.
func (a *Account) written(res *connectors.Response, key func(*event.Event) string) (w written, v connectors.Verdict) {
	switch {
	case res.Status == 409 && res.To != nil && res.To.Name == "":
		again := *res.To
		return w, connectors.Then(again.Named(repeated))
	case res.Status < 200 || res.Status > 299:
		return w, refused(res)
	}
	if err := json.Unmarshal(res.Body, &w); err != nil || w.Status == "" {
		return w, odd(res)
	}
	switch w.Status {
	case "CANCELED", "CANCELLED":
		return w, connectors.TryAgain("HubSpot canceled the batch")
	case "PENDING", "PROCESSING":
		return w, connectors.TryAgain("HubSpot has not finished the batch: " + w.Status)
	}
	return w, w.each(res, a.Key, key)
}

// repeated names the upsert that follows a conflict: two writers created one contact at once, and now it is there.
const repeated = "again"

// odd is an answer that is not HubSpot's, as a proxy's page is not: it has changed nothing. Of one that was cut short nobody
// knows whom it speaks of: a batch is then asked one by one.
func odd(res *connectors.Response) connectors.Verdict {
	if res.Truncated && genuine(res) {
		return connectors.Reject(connectors.StatusReason(res.Status) + " with an answer that is too long to read")
	}
	return connectors.TryAgain("the answer is not HubSpot's")
}

// each gives every event its own verdict. A result or an error names its record by the trace that was sent along, or by the
// value of the property that tells contacts apart. Results that name nobody count for those that are left, where there are
// as many. One that names somebody else may be of a contact who has another address today, or of a stranger: whoever is left
// then is asked for alone, and counts as written by the one result of that. HubSpot answers COMPLETE also where it has
// written nothing of a record and says nothing of it.
func (w written) each(res *connectors.Response, property string, key func(*event.Event) string) connectors.Verdict {
	found := newFinder(res.Events, key)
	named := map[int]connectors.Verdict{}
	nameless := map[string]bool{} // ids of contacts
	single := len(res.Events) == 1
	for n, r := range w.Results {
		value := string(r.Properties[property])
		if i, ok := found.by(r.Trace, value); ok {
			named[i] = connectors.Deliver()
		} else if single || r.Trace == "" && value == "" {
			nameless[cmp.Or(r.ID, "#"+strconv.Itoa(n))] = true
		}
	}
	reason, unsaid := connectors.StatusReason(res.Status), ""
	for _, p := range w.Errors {
		ids := append(p.Context["objectWriteTraceId"], p.Context["id"]...)
		said := false
		for _, id := range ids {
			if i, ok := found.by(id, id); ok {
				named[i], said = p.verdict(reason), true
			}
		}
		if said {
			continue
		}
		if single && len(w.Results) == 0 {
			return p.verdict(reason)
		}
		unsaid = p.reason(reason)
	}
	if left := len(res.Events) - len(named); unsaid == "" && (len(nameless) == left || single && len(nameless) > 0) {
		for i := range res.Events {
			if _, ok := named[i]; !ok {
				named[i] = connectors.Deliver()
			}
		}
	}
	return connectors.JudgeEach(res, func(i int, _ *event.Event) (connectors.Verdict, bool) {
		v, ok := named[i]
		if !ok && unsaid != "" {
			v = connectors.Reject(unsaid + ", and does not say whom it is about")
			v.RetryAlone, ok = true, true
		}
		return v, ok
	})
}

// finder finds the event that a part of an answer is about.
type finder struct {
	events []*event.Event
	key    func(*event.Event) string
	traces map[string]int
	keys   map[string]int // made when it is needed
}

func newFinder(events []*event.Event, key func(*event.Event) string) *finder {
	f := &finder{events: events, key: key, traces: make(map[string]int, len(events))}
	for i, ev := range events {
		f.traces[ev.ID] = i
	}
	return f
}

// by is the place of the event with the trace, or else with the key.
func (f *finder) by(trace, key string) (int, bool) {
	if i, ok := f.traces[trace]; ok {
		return i, true
	}
	if key == "" {
		return 0, false
	}
	if f.keys == nil {
		f.keys = make(map[string]int, len(f.events))
		for i, ev := range f.events {
			f.keys[f.key(ev)] = i
		}
	}
	i, ok := f.keys[strings.ToLower(key)]
	return i, ok
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

// maxWords bounds the codes and names in a reason, and maxReason its bytes.
const (
	maxWords  = 5
	maxReason = 200
)

// reason is the status, and those words of HubSpot's that say no more than they should: its category, its codes, the
// properties and the scopes at fault, and the values that a property takes.
func (p problem) reason(text string) string {
	var words, options []string
	add := func(w string, as *regexp.Regexp) {
		if as.MatchString(w) && len(words) < maxWords && !slices.Contains(words, w) {
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
		options = append(options, allowed(e.Message)...)
	}
	for _, f := range faultsIn(p.Message) {
		add(f.Error, word)
		add(f.Name, internal)
		options = append(options, allowed(f.Message)...)
	}
	if len(words) == 0 {
		return text
	}
	text += ": " + strings.Join(words, " ")
	if len(options) > 0 {
		text += listed(options, maxReason-len(text))
	}
	return text[:min(len(text), maxReason)]
}

// fault is what is wrong with one property.
type fault struct {
	Error   string `json:"error"`
	Name    string `json:"name"`
	Message string `json:"message"`
}

// faultsIn are the faults that HubSpot writes as JSON into its message: `Property values were not valid: [{…}]`.
func faultsIn(message string) (all []fault) {
	_, list, found := strings.Cut(message, ": [")
	if !found || json.NewDecoder(strings.NewReader("["+list)).Decode(&all) != nil {
		return nil
	}
	return all
}

// option is what the value of a choice is shown as: an account's own words, and nothing that could be a person's address.
var option = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N} _./&+()-]{0,39}$`)

// optionValue is a choice as HubSpot describes it: `label: "Web form"`, and `value: "web_form"` on the next line.
var optionValue = regexp.MustCompile(`(?:^|\s)value: "([^"]*)"`)

// allowed are the values that a property takes, as the message about a wrong one lists them. What was refused stands before
// them, and is a respondent's: it is not repeated.
func allowed(message string) (values []string) {
	const before = "was not one of the allowed options: ["
	at := strings.LastIndex(message, before)
	if at < 0 {
		return nil
	}
	list := message[at+len(before):]
	if described := optionValue.FindAllStringSubmatch(list, -1); described != nil {
		for _, d := range described {
			values = append(values, d[1])
		}
	} else {
		list, _, _ = strings.Cut(list, "]")
		values = strings.Split(list, ",")
	}
	kept := values[:0]
	for _, v := range values {
		if v = strings.Trim(strings.TrimSpace(v), `"`); option.MatchString(v) && !slices.Contains(kept, v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// listed are as many values as there is room for, whole ones only.
func listed(values []string, room int) string {
	const begin, end, more = " (allowed: ", ")", ", …"
	text := ""
	for i, v := range values {
		if i > 0 {
			v = ", " + v
		}
		if len(begin)+len(text)+len(v)+len(more)+len(end) > room {
			if text == "" {
				return ""
			}
			return begin + text + more + end
		}
		text += v
	}
	return begin + text + end
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
