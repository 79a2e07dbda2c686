package browser

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// recorder keeps what a tab complains about, and what it was answered. Events come from a goroutine of chromedp.
type recorder struct {
	mu       sync.Mutex
	expected map[string]bool              // lines of said that a check expected: they are no faults of the pages that follow
	said     []string                     // lines of the console, exceptions, violations, failed requests
	asked    map[network.RequestID]string // addresses, for failures, which name only the request
	status   int64                        // of the newest document
	requests []string                     // "GET http://…", oldest first
	dialogs  []string
}

func (r *recorder) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if line := fmt.Sprintf(format, args...); !slices.Contains(r.said, line) {
		r.said = append(r.said, line)
	}
}

// take records an event. It is called for every event of the tab, in their order, so it must not wait.
func (r *recorder) take(ev any) {
	switch e := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, arg := range e.Args {
			words = append(words, shown(arg))
		}
		r.say("console.%s: %s", e.Type, strings.Join(words, " "))
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			text += " " + thrown.Description
		}
		r.say("exception: %s (%s:%d)", text, e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber+1)
	case *log.EventEntryAdded:
		r.say("%s, %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
	case *audits.EventIssueAdded:
		r.issue(e.Issue)
	case *network.EventRequestWillBeSent:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.asked[e.RequestID] = e.Request.URL
		r.requests = append(r.requests, e.Request.Method+" "+e.Request.URL)
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.status = e.Response.Status
		}
	case *network.EventLoadingFailed:
		if !e.Canceled { // a stream is cancelled when its page is left
			r.mu.Lock()
			address := r.asked[e.RequestID]
			r.mu.Unlock()
			r.say("request failed: %s: %s %s", address, e.ErrorText, e.BlockedReason)
		}
	}
}

// issue records what the browser's own audit found. Remarks on forms and on speed are left out: axe looks at the former, and
// the latter depend on the machine.
func (r *recorder) issue(issue *audits.InspectorIssue) {
	switch issue.Code {
	case audits.InspectorIssueCodeGenericIssue, audits.InspectorIssueCodePerformanceIssue:
		return
	}
	if policy := issue.Details.ContentSecurityPolicyIssueDetails; policy != nil {
		at := ""
		if where := policy.SourceCodeLocation; where != nil {
			at = fmt.Sprintf(" (%s:%d)", where.URL, where.LineNumber+1)
		}
		r.say("policy violation: %s %s %s%s", policy.ViolatedDirective, policy.ContentSecurityPolicyViolationType, policy.BlockedURL, at)
		return
	}
	details, err := json.Marshal(issue.Details)
	if err != nil {
		details = []byte(err.Error())
	}
	r.say("issue: %s %s", issue.Code, details)
}

func (r *recorder) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.said)
}

// expect keeps a line from being a fault; expects reports whether it is kept so.
func (r *recorder) expect(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.expected == nil {
		r.expected = map[string]bool{}
	}
	r.expected[line] = true
}

func (r *recorder) expects(line string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.expected[line]
}

// forget forgets a line that was reported, so that the next page is not blamed for it.
func (r *recorder) forget(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = slices.DeleteFunc(r.said, func(said string) bool { return said == line })
}

// shown is an argument of console.log: a string as it is, anything else as the browser describes it.
func shown(o *runtime.RemoteObject) string {
	var text string
	if json.Unmarshal(o.Value, &text) == nil {
		return text
	}
	if len(o.Value) > 0 {
		return string(o.Value)
	}
	return o.Description
}
