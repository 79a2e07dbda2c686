package console

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// wayStep is a stage of the time line of an event.
type wayStep struct {
	// Class is how it looks: ok, wait, bad or plain.
	Class, Title string
	At           time.Time
	// Ahead: it is still to come, at At.
	Ahead bool
	// After is how long after the stage before it began.
	After string
	Lines []string
	// Delivery is the id of the delivery that it is about.
	Delivery string
}

// maxWay is how many stages a time line shows. The first four are there of each event.
const maxWay = 16

// wayOf returns the time line of an event, and in words how long it was from its receipt to the last attempt, or to the decision.
func wayOf(x *view.Explanation, ev *view.Event) (way []wayStep, took string) {
	received := wayStep{Class: "ok", Title: "Received", At: x.Event.Received, Lines: []string{x.Event.Source}}
	if kind := x.Event.SourceKind; kind != "" && kind != x.Event.Source {
		received.Lines[0] += ", as " + kind
	}
	if ev.OrigType != "" && ev.OrigType != ev.Type && ev.Entry == nil {
		received.Lines = append(received.Lines, "there: "+ev.OrigType)
	}
	way = append(way, received, verifiedStep(x.Event.Verified), normalisedStep(x), decidedStep(x))
	tries := attemptSteps(x)
	slices.SortStableFunc(tries, func(a, b wayStep) int {
		if a.Ahead != b.Ahead {
			return cmp.Compare(boolean(a.Ahead), boolean(b.Ahead))
		}
		return a.At.Compare(b.At)
	})
	last := x.DecidedAt
	for i := range tries {
		if !tries[i].Ahead && !last.IsZero() {
			tries[i].After = later(tries[i].At.Sub(last))
			last = tries[i].At
		}
	}
	end := "the last attempt"
	if !isAttempted(x) {
		last, end = x.DecidedAt, "the decision"
	}
	if last.After(x.Event.Received) {
		took = page.Long(last.Sub(x.Event.Received)) + " from receipt to " + end
	}
	if more := len(way) + len(tries) - maxWay; more > 0 {
		kept := len(tries) - more - 1
		tries = append(slices.Clone(tries[:kept]), wayStep{Class: "plain", Title: fmt.Sprintf("%d more", more+1), Lines: []string{"see the steps of each rule"}})
	}
	return append(way, tries...), took
}

// isAttempted reports whether an attempt of a delivery is kept.
func isAttempted(x *view.Explanation) bool {
	return slices.ContainsFunc(x.Rules, func(r view.ExplainedRule) bool {
		return slices.ContainsFunc(r.Steps, func(s view.ExplainedStep) bool { return s.Delivery != nil && len(s.Delivery.Log) > 0 })
	})
}

// later writes how long after another a stage began; nothing if that cannot be told.
func later(d time.Duration) string {
	if d < time.Millisecond {
		return ""
	}
	return "+" + page.Long(d)
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

func verifiedStep(verified string) wayStep {
	s := wayStep{Class: "ok", Title: "Verified"}
	switch verified {
	case "hmac":
		s.Lines = []string{"by its signature"}
	case "token":
		s.Lines = []string{"by a token of the source"}
	case "basic":
		s.Lines = []string{"by name and password"}
	case "path":
		s.Lines = []string{"by the secret path"}
	case "api":
		s.Lines = []string{"by a token of the API,", "not by its source"}
	case "", "none":
		s.Class, s.Title, s.Lines = "wait", "Not verified", []string{"anybody could have sent it"}
	default:
		s.Lines = []string{"by " + verified}
	}
	return s
}

func normalisedStep(x *view.Explanation) wayStep {
	s := wayStep{Class: "ok", Title: "Normalised"}
	if x.Event.Entry != "" {
		return wayStep{Class: "bad", Title: "Not normalised", Lines: []string{"no event could be made of it"}}
	}
	s.Lines = append(s.Lines, x.Event.Type)
	if n := len(x.Event.Warnings); n > 0 {
		s.Class = "wait"
		s.Lines = append(s.Lines, counted(n, "warning", "warnings"))
	}
	if x.Event.Revision > 0 {
		s.Lines = append(s.Lines, "read again: revision "+strconv.Itoa(x.Event.Revision))
	}
	return s
}

func decidedStep(x *view.Explanation) wayStep {
	if x.State == "pending" {
		return wayStep{Class: "wait", Title: "Not decided yet"}
	}
	s := wayStep{Class: "ok", Title: "Decided", At: x.DecidedAt}
	if x.Event.Revision == 0 {
		s.After = later(x.DecidedAt.Sub(x.Event.Received))
	}
	if x.State == "dead" {
		s.Class, s.Title = "bad", "Dead letter"
		s.Lines = []string{x.Dead}
		return s
	}
	matched := 0
	for i := range x.Rules {
		if x.Rules[i].Matched {
			matched++
		}
	}
	if x.Unknown {
		s.Lines = append(s.Lines, counted(matched, "match", "matches"))
	} else {
		s.Lines = append(s.Lines, fmt.Sprintf("%d of %d matched", matched, len(x.Rules)))
	}
	if x.Generation != "" {
		s.Lines = append(s.Lines, "configuration "+shortGeneration(x.Generation))
	}
	return s
}

// shortGeneration shortens both parts of a generation, of which only the second may differ.
func shortGeneration(generation string) string {
	first, second, both := strings.Cut(generation, "+")
	first = first[:min(8, len(first))]
	if !both {
		return first
	}
	return first + "+" + second[:min(8, len(second))]
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return page.Number(n) + " " + many
}

// attemptSteps returns the attempts of all deliveries and when they are tried next. Of the failures between the first and the last
// attempt of a delivery there is one stage.
func attemptSteps(x *view.Explanation) []wayStep {
	var all []wayStep
	for i := range x.Rules {
		for j := range x.Rules[i].Steps {
			s := &x.Rules[i].Steps[j]
			d := s.Delivery
			if d == nil {
				continue
			}
			tried := d.Log
			if len(tried) > 3 {
				all = append(all, attemptStage(s, &tried[0]), betweenStep(s, tried[1:len(tried)-1]), attemptStage(s, &tried[len(tried)-1]))
			} else {
				for k := range tried {
					all = append(all, attemptStage(s, &tried[k]))
				}
			}
			switch {
			case d.State == "waiting" && s.Hold != nil:
				all = append(all, wayStep{Class: "wait", Title: s.Destination + " waits", Ahead: true, Lines: []string{"on hold: " + string(s.Hold.Kind)}, Delivery: d.ID})
			case d.State == "waiting" && d.Now:
				all = append(all, wayStep{Class: "wait", Title: s.Destination + " is tried", Ahead: true, Lines: []string{"at this moment"}, Delivery: d.ID})
			case d.State == "waiting":
				all = append(all, wayStep{Class: "wait", Title: s.Destination + " waits", At: d.Due, Ahead: true, Lines: []string{"next try"}, Delivery: d.ID})
			case len(tried) == 0: // it ended without an attempt, or its attempts are no longer kept
				all = append(all, wayStep{Class: classOf(string(d.State)), Title: s.Destination + " " + string(d.State), At: d.Updated, Lines: nonEmpty(d.Reason), Delivery: d.ID})
			}
		}
	}
	return all
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}

// attemptStage returns the stage of one attempt.
func attemptStage(s *view.ExplainedStep, a *view.ExplainedAttempt) wayStep {
	w := wayStep{Class: classOf(a.Verdict), Title: s.Destination + " " + a.Verdict, At: a.At, Delivery: s.Delivery.ID}
	w.Lines = nonEmpty(outcomeOf(a), "in "+page.Milliseconds(a.TookMS))
	return w
}

// outcomeOf is the status of an attempt, or its reason.
func outcomeOf(a *view.ExplainedAttempt) string {
	if a.Reason != "" {
		return a.Reason
	}
	if a.Status != 0 {
		return strings.TrimSpace(strconv.Itoa(a.Status) + " " + http.StatusText(a.Status))
	}
	return ""
}

// betweenStep returns one stage of several attempts.
func betweenStep(s *view.ExplainedStep, some []view.ExplainedAttempt) wayStep {
	first, last := &some[0], &some[len(some)-1]
	w := wayStep{Class: classOf(last.Verdict), Title: fmt.Sprintf("%d more tries", len(some)), At: first.At, Delivery: s.Delivery.ID}
	same := true
	for i := range some {
		same = same && outcomeOf(&some[i]) == outcomeOf(first)
	}
	if same {
		w.Lines = nonEmpty(outcomeOf(first))
	}
	w.Lines = append(w.Lines, "of "+s.Destination+", over "+page.Long(last.At.Sub(first.At)))
	return w
}

// classOf returns how a state or verdict looks on a time line.
func classOf(state string) string {
	switch state {
	case "delivered":
		return "ok"
	case "waiting", "retry":
		return "wait"
	case "dead", "rejected", "revoked", "gone":
		return "bad"
	}
	return "plain"
}
