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

// These match the parts of an answer that a reason may quote; any other text may contain personal data. internal matches a
// property's internal name, word a category or a code, scope a scope.
var (
	internal = regexp.MustCompile(`^[a-z][a-z0-9_]{0,99}$`)
	word     = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)
	scope    = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,99}$`)
)

// internalName returns the internal name that HubSpot would give to a property with this label.
func internalName(name string) string {
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "_"), "_")
}

// problem is HubSpot's error for a request, or for one record of it.
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

// texts is a list of strings. HubSpot's documentation also shows a single string without a list.
type texts []string

// UnmarshalJSON accepts both forms and ignores any other, because the value only adds detail to an error.
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

// written is the answer to the upsert.
type written struct {
	Status  string    `json:"status"`
	Results []result  `json:"results"`
	Errors  []problem `json:"errors"`
}

// result is one contact that was written. HubSpot's documentation calls the trace optional.
type result struct {
	ID         string          `json:"id"`
	Trace      string          `json:"objectWriteTraceId"`
	Properties map[string]text `json:"properties"`
}

// text is a property's value; HubSpot sends null for an absent one.
type text string

// UnmarshalJSON accepts a string and ignores any other value: it is only used to identify the record.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// Judge returns the verdict on each contact.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	if res.Forgets() {
		return judgeForgotten(res)
	}
	_, v := c.written(res, c.Key)
	return v
}

// written returns the answer to the upsert, and the verdict on each of its events. key returns the key of an event's contact.
func (a *Account) written(res *connectors.Response, key func(*event.Event) string) (w written, v connectors.Verdict) {
	switch {
	case res.Status == 409 && res.To != nil && res.To.Name == "":
		repeat := *res.To
		return w, connectors.Then(repeat.Named(repeated))
	case res.Status < 200 || res.Status > 299:
		return w, refused(res)
	}
	if err := json.Unmarshal(res.Body, &w); err != nil || w.Status == "" {
		return w, unreadable(res)
	}
	switch w.Status {
	case "CANCELED", "CANCELLED":
		return w, connectors.TryAgain("HubSpot canceled the batch")
	case "PENDING", "PROCESSING":
		return w, connectors.TryAgain("HubSpot has not finished the batch: " + w.Status)
	}
	return w, w.each(res, a.Key, key)
}

// repeated is the name of the upsert that follows a conflict: two requests created the same contact at once, and now it exists.
const repeated = "again"

// unreadable returns the verdict on a 2xx answer that is not a complete answer of HubSpot's. A proxy's page has written nothing:
// retry. An answer that was cut off does not say which contacts were written: reject it, so that a batch is halved.
func unreadable(res *connectors.Response) connectors.Verdict {
	if res.Truncated && isObject(res) {
		return connectors.Reject(connectors.StatusReason(res.Status) + " with an answer that is too long to read")
	}
	return connectors.TryAgain("the answer is not HubSpot's")
}

// each returns a verdict for every event.
//
// A result or an error identifies its record by the trace that was sent with it, or by the value of the key property. Results
// without either are assigned to the remaining events if there are as many of them. A result with another key may belong to a
// contact whose address has changed, or to another contact: the remaining events are then retried alone, and a single event
// counts as written if its answer has a result. HubSpot answers COMPLETE even if it silently did not write a record.
func (w written) each(res *connectors.Response, property string, key func(*event.Event) string) connectors.Verdict {
	events := newFinder(res.Events, key)
	named := map[int]connectors.Verdict{}
	nameless := map[string]bool{} // ids of contacts
	single := len(res.Events) == 1
	for n, r := range w.Results {
		value := string(r.Properties[property])
		if i, ok := events.find(r.Trace, value); ok {
			named[i] = connectors.Deliver()
		} else if single || r.Trace == "" && value == "" {
			nameless[cmp.Or(r.ID, "#"+strconv.Itoa(n))] = true
		}
	}
	reason, unassigned := connectors.StatusReason(res.Status), ""
	for _, p := range w.Errors {
		ids := append(p.Context["objectWriteTraceId"], p.Context["id"]...)
		assigned := false
		for _, id := range ids {
			if i, ok := events.find(id, id); ok {
				named[i], assigned = p.verdict(reason), true
			}
		}
		if assigned {
			continue
		}
		if single && len(w.Results) == 0 {
			return p.verdict(reason)
		}
		unassigned = p.reason(reason)
	}
	if left := len(res.Events) - len(named); unassigned == "" && (len(nameless) == left || single && len(nameless) > 0) {
		for i := range res.Events {
			if _, ok := named[i]; !ok {
				named[i] = connectors.Deliver()
			}
		}
	}
	return connectors.JudgeEach(res, func(i int, _ *event.Event) (connectors.Verdict, bool) {
		v, ok := named[i]
		if !ok && unassigned != "" {
			v = connectors.Reject(unassigned + ", and does not say whom it is about")
			v.RetryAlone, ok = true, true
		}
		return v, ok
	})
}

// finder finds the event that a result or an error belongs to.
type finder struct {
	events []*event.Event
	key    func(*event.Event) string
	traces map[string]int
	keys   map[string]int // built at the first use
}

func newFinder(events []*event.Event, key func(*event.Event) string) *finder {
	f := &finder{events: events, key: key, traces: make(map[string]int, len(events))}
	for i, ev := range events {
		f.traces[ev.ID] = i
	}
	return f
}

// find returns the index of the event with the trace, or else with the key.
func (f *finder) find(trace, key string) (int, bool) {
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

// verdict returns the verdict on one refused record. Its category has the meaning that the status of a request would have.
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
	// lockedDelay is the shortest retry delay for 423: a bulk change has locked the record.
	// https://developers.hubspot.com/docs/api-reference/error-handling
	lockedDelay = 2 * time.Second
	// migrationDelay is the retry delay for 477 (account migration to another data centre) without Retry-After.
	// https://developers.hubspot.com/docs/api-reference/error-handling
	migrationDelay = 10 * time.Minute
)

// refused returns the verdict on a status other than 2xx, with HubSpot's category and code as the reason.
func refused(res *connectors.Response) connectors.Verdict {
	var p problem
	_ = json.Unmarshal(res.Body, &p) // a body that is not HubSpot's leaves p empty
	v := connectors.ByStatus(res)
	asked := connectors.RetryAfter(res)
	switch {
	case res.Status == 423:
		v.Kind, v.After = connectors.Retry, max(asked, lockedDelay)
	case res.Status == 477:
		v.Kind, v.After = connectors.Retry, asked
		if asked == 0 {
			v.After = migrationDelay
		}
	case res.Status == 429 && asked == 0:
		v.After = p.wait(res.At)
	}
	v.Reason = p.reason(v.Reason)
	return v
}

// wait returns how long the exhausted limit lasts. A daily limit ends at midnight in the account's time zone, which is not known;
// midnight always falls on a full or half hour.
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

// maxWords bounds the number of codes and names in a reason, and maxReason its length in bytes.
const (
	maxWords  = 5
	maxReason = 200
)

// reason appends to the status in text those parts of HubSpot's error that contain no personal data: its category, its codes, the
// properties and scopes at fault, and the values that a property allows.
func (p problem) reason(text string) string {
	var words, options []string
	add := func(w string, form *regexp.Regexp) {
		if form.MatchString(w) && len(words) < maxWords && !slices.Contains(words, w) {
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

// fault is an error in one property.
type fault struct {
	Error   string `json:"error"`
	Name    string `json:"name"`
	Message string `json:"message"`
}

// faultsIn returns the faults that HubSpot embeds in its message as JSON: `Property values were not valid: [{…}]`.
func faultsIn(message string) (all []fault) {
	_, list, found := strings.Cut(message, ": [")
	if !found || json.NewDecoder(strings.NewReader("["+list)).Decode(&all) != nil {
		return nil
	}
	return all
}

// option matches an allowed value that a reason may quote: a word or phrase of the account, but not an e-mail address.
var option = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N} _./&+()-]{0,39}$`)

// optionValue matches the second line of a choice as HubSpot describes it: `label: "Web form"`, then `value: "web_form"`.
var optionValue = regexp.MustCompile(`(?:^|\s)value: "([^"]*)"`)

// allowed returns the values that a property allows, as the message about a wrong value lists them. The wrong value, which comes
// before the list, is a respondent's and is left out.
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

// listed returns ` (allowed: a, b)` with as many whole values as fit into limit bytes.
func listed(values []string, limit int) string {
	const begin, end, more = " (allowed: ", ")", ", …"
	text := ""
	for i, v := range values {
		if i > 0 {
			v = ", " + v
		}
		if len(begin)+len(text)+len(v)+len(more)+len(end) > limit {
			if text == "" {
				return ""
			}
			return begin + text + more + end
		}
		text += v
	}
	return begin + text + end
}

// isObject reports whether the body looks like a JSON object, as every 2xx body of HubSpot's is.
func isObject(res *connectors.Response) bool {
	body := bytes.TrimSpace(res.Body)
	return len(body) > 0 && body[0] == '{'
}

// first returns the event of a request that carries a single event; nil without one.
func first(res *connectors.Response) *event.Event {
	if len(res.Events) == 0 {
		return nil
	}
	return res.Events[0]
}
