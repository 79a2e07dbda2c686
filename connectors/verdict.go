package connectors

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Kind is what an answer means for the delivery.
type Kind string

// The verdicts, a closed set. Skipping comes from Build, and from Judge where an answer says no more than Build could
// have known (somebody has opted out); the others come from Judge.
const (
	// Delivered: the product has it.
	Delivered Kind = "delivered"
	// Skipping: nothing here for this product; recorded with the reason, never a failure.
	Skipping Kind = "skipped"
	// Retry: not now; again after Verdict.After or by the schedule.
	Retry Kind = "retry"
	// Rejected: this event will never pass; it becomes a dead letter.
	Rejected Kind = "rejected"
	// Revoked: no event will pass; the destination pauses and its events wait.
	Revoked Kind = "revoked"
	// Continue: one more request, Verdict.Next.
	Continue Kind = "continue"
)

// Verdict is what one answer means.
type Verdict struct {
	Kind Kind
	// After is how long the product asked to wait; 0 leaves it to the schedule. A `retry` that has it, of an answer below
	// 500, uses up no attempt: the product is well, took nothing and said when it will.
	After time.Duration
	// Reason says it in words or the product's own code; it holds no body, secret or person.
	Reason string
	// Next is the request to go on with, for Continue.
	Next *Request
	// Each is one verdict per event of a batch. A batch is delivered only by it: where the product names what it took, the
	// gateway believes no `delivered` that is said of a batch as a whole (see EachOf and Limit.Silent).
	Each []Verdict
	// Alone is set on a rejected member of a batch that may pass alone: it is tried once more by itself, which uses up no
	// attempt, and the verdict on that one counts.
	Alone bool
	// Setting names the setting that the product refuses for every event (a channel, an audience), for Revoked. Where
	// the rule's step writes it itself, the step alone is at fault: its deliveries are retried by the schedule, so that
	// a corrected rule lets them through, and the connection goes on for all others.
	Setting string
	// Ref is the product's own id of what the request wrote there, kept with the delivery. One longer than MaxRef is not kept.
	Ref string
	// Gone says that the receiver asked never to be called again (410): the gateway disables a webhook for it.
	Gone bool
}

// MaxRef bounds Verdict.Ref in bytes.
const MaxRef = 256

// String is the verdict as transcripts and pages spell it: `retry after 2s: rate_limited`.
func (v Verdict) String() string {
	text := string(v.Kind)
	if v.After > 0 {
		text += " after " + v.After.String()
	}
	if v.Gone {
		text += ", gone"
	}
	if v.Alone {
		text += ", next try alone"
	}
	if v.Setting != "" {
		text += " for " + v.Setting
	}
	if v.Reason != "" {
		text += ": " + v.Reason
	}
	return text
}

// Then is one more request within the same attempt. What comes before the last step must be harmless
// to repeat: after a crash the chain begins again.
func Then(next *Request) Verdict { return Verdict{Kind: Continue, Next: next} }

// Deliver says that the product has it.
func Deliver() Verdict { return Verdict{Kind: Delivered} }

// Reject says that this event will never pass.
func Reject(reason string) Verdict { return Verdict{Kind: Rejected, Reason: reason} }

// Revoke says that no event will pass.
func Revoke(reason string) Verdict { return Verdict{Kind: Revoked, Reason: reason} }

// Of names the setting at fault: `Revoke("channel_not_found").Of("channel")`.
func (v Verdict) Of(setting string) Verdict { v.Setting = setting; return v }

// TryAgain says not now, and leaves the time to the schedule.
func TryAgain(reason string) Verdict { return Verdict{Kind: Retry, Reason: reason} }

// TryAfter says not now, and for how long if the answer has a Retry-After.
func TryAfter(res *Response, reason string) Verdict {
	return Verdict{Kind: Retry, Reason: reason, After: RetryAfter(res)}
}

// ByStatus is the default judge of a product's answer: 2xx delivered; 408, 425, 429 and 5xx retry;
// 401 and 403 revoked; every other status rejected. Retry-After is obeyed, up to 24 h.
func ByStatus(res *Response) Verdict {
	v := Verdict{Reason: StatusReason(res.Status)}
	switch s := res.Status; {
	case s >= 200 && s <= 299:
		return Verdict{Kind: Delivered}
	case s == 408 || s == 425 || s == 429 || s >= 500:
		v.Kind, v.After = Retry, RetryAfter(res)
	case s == 401 || s == 403:
		v.Kind = Revoked
	default:
		v.Kind = Rejected
	}
	return v
}

// StatusReason is a status in words: `503 Service Unavailable`.
func StatusReason(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// MaxRetryAfter bounds what a receiver may ask for.
const MaxRetryAfter = 24 * time.Hour

// RetryAfter reads the Retry-After header, in seconds or as an HTTP date counted from res.At;
// 0 where there is none, it is past or cannot be read.
func RetryAfter(res *Response) time.Duration {
	text := strings.TrimSpace(res.Header.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return Seconds(text)
	}
	at, err := http.ParseTime(text)
	if err != nil || res.At.IsZero() {
		return 0
	}
	return min(max(at.Sub(res.At), 0), MaxRetryAfter)
}

// Seconds reads a number of seconds to wait, up to MaxRetryAfter; 0 where it is negative or no number.
func Seconds(text string) time.Duration {
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err == nil && n >= MaxRetryAfter.Seconds():
		return MaxRetryAfter
	case err == nil && n > 0:
		return time.Duration(n * float64(time.Second))
	}
	return 0
}
