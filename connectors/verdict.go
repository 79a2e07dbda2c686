package connectors

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Kind is the meaning of an answer for the delivery.
type Kind string

// The verdicts are a closed set. Judge returns them; the gateway makes Skipping from a Skip error of Build. Judge returns
// Skipping too, if the answer tells what Build would have skipped had it known, such as a contact who has opted out.
const (
	// Delivered: the product accepted the event.
	Delivered Kind = "delivered"
	// Skipping: the event has nothing for this product. It is recorded with the reason, and is not a failure.
	Skipping Kind = "skipped"
	// Retry: the product may accept the event later, after Verdict.After or by the retry schedule.
	Retry Kind = "retry"
	// Rejected: the product will never accept this event. The delivery becomes a dead letter.
	Rejected Kind = "rejected"
	// Revoked: the product accepts no event with these credentials or settings. The destination pauses and its events wait.
	Revoked Kind = "revoked"
	// Continue: one more request follows in this attempt, Verdict.Next.
	Continue Kind = "continue"
)

// Verdict is what Judge concludes from one answer. Make it with Deliver, Reject, Revoke, TryAgain, TryAfter, Resend, Then or
// ByStatus.
type Verdict struct {
	Kind Kind
	// After is the wait that the product asked for; zero means the retry schedule. A `retry` with After, for an answer with a
	// status below 500, does not count as an attempt: the product is healthy and said when it will accept the event.
	After time.Duration
	// Reason is a phrase or the product's own error code. It contains no response body, no secret and nothing about a person.
	Reason string
	// Next is the next request, for Continue.
	Next *Request
	// Each holds one verdict per event of a batch, in the order of Response.Events. Without it, the gateway does not accept
	// `delivered` for a batch of several events, unless BatchLimit.Silent is set (see JudgeEach).
	Each []Verdict
	// RetryAlone is set on a rejected event of a batch that may be accepted by itself. The gateway tries it once more alone,
	// which does not count as an attempt, and uses the verdict on that. If all events of a batch have it, the batch is halved, as
	// one that was refused as a whole.
	RetryAlone bool
	// Resend is set on a `retry` of an event that the product left unwritten only because of another event of the batch. See
	// Resend.
	Resend bool
	// Setting is the name of the setting that the product refuses for every event (a channel, an audience), for Revoked. If
	// the rule's step sets it, only that step is at fault: its deliveries are retried by the schedule until the rule is
	// corrected, and the connection continues for all other steps.
	Setting string
	// Ref is the product's own id of what the request wrote there. It is kept with the delivery; one longer than MaxRef is not. An
	// Amender reads it as a receipt.
	Ref string
	// Gone is set if the receiver asked never to be called again (status 410). The gateway then disables the webhook.
	Gone bool
}

// MaxRef bounds Verdict.Ref in bytes.
const MaxRef = 256

// String returns the verdict as transcripts and pages write it: `retry after 2s: rate_limited`.
func (v Verdict) String() string {
	text := string(v.Kind)
	if v.After > 0 {
		text += " after " + v.After.String()
	}
	if v.Gone {
		text += ", gone"
	}
	if v.RetryAlone {
		text += ", next try alone"
	}
	if v.Resend {
		text += ", at once without the others"
	}
	if v.Setting != "" {
		text += " for " + v.Setting
	}
	if v.Reason != "" {
		text += ": " + v.Reason
	}
	return text
}

// Then returns a Continue verdict: one more request within the same attempt, at most 5 in all. Every request but the last one
// must be safe to repeat, because the chain starts again after a crash.
func Then(next *Request) Verdict { return Verdict{Kind: Continue, Next: next} }

// Deliver returns a Delivered verdict.
func Deliver() Verdict { return Verdict{Kind: Delivered} }

// Reject returns a Rejected verdict: the product will never accept this event.
func Reject(reason string) Verdict { return Verdict{Kind: Rejected, Reason: reason} }

// Revoke returns a Revoked verdict: the product accepts no event until the credentials or settings change.
func Revoke(reason string) Verdict { return Verdict{Kind: Revoked, Reason: reason} }

// ForSetting sets the name of the setting at fault: `Revoke("channel_not_found").ForSetting("channel")`.
func (v Verdict) ForSetting(setting string) Verdict { v.Setting = setting; return v }

// TryAgain returns a Retry verdict that waits by the retry schedule.
func TryAgain(reason string) Verdict { return Verdict{Kind: Retry, Reason: reason} }

// TryAfter returns a Retry verdict that waits for the answer's Retry-After, or by the retry schedule without one.
func TryAfter(res *Response, reason string) Verdict {
	return Verdict{Kind: Retry, Reason: reason, After: RetryAfter(res)}
}

// Resend returns a Retry verdict on an event of a batch that the product left unwritten only because of other events of the batch,
// which have verdicts of their own. The gateway sends all such events again at once, in one batch without the others, and
// counts no attempt for them. If no event of a batch has another verdict, the batch is halved, as one that was refused as a whole. For
// an event that was sent alone it is a plain Retry.
func Resend(reason string) Verdict { return Verdict{Kind: Retry, Reason: reason, Resend: true} }

// ByStatus returns the default verdict on a product's answer: delivered for 2xx; retry for 408, 425, 429 and 5xx; revoked for
// 401 and 403; rejected for every other status. It obeys Retry-After, up to MaxRetryAfter.
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

// StatusReason returns a status code with its text: `503 Service Unavailable`.
func StatusReason(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// MaxRetryAfter is the longest wait that a receiver may ask for; longer ones are shortened to it.
const MaxRetryAfter = 24 * time.Hour

// RetryAfter returns the wait that the Retry-After header asks for, in seconds or as an HTTP date relative to res.At. It is 0
// without a header, and for one that is in the past or cannot be parsed.
// https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func RetryAfter(res *Response) time.Duration {
	text := strings.TrimSpace(res.Header.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return ParseSeconds(text)
	}
	at, err := http.ParseTime(text)
	if err != nil || res.At.IsZero() {
		return 0
	}
	return min(max(at.Sub(res.At), 0), MaxRetryAfter)
}

// ParseSeconds parses a decimal number of seconds to wait, up to MaxRetryAfter. It returns 0 for a negative number, and for text
// that is not a number.
func ParseSeconds(text string) time.Duration {
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err == nil && n >= MaxRetryAfter.Seconds():
		return MaxRetryAfter
	case err == nil && n > 0:
		return time.Duration(n * float64(time.Second))
	}
	return 0
}
