package decide

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// The keys of guardrails are reserved like those of `once` (state.Intake.Once), for the id of a delivery. Neither the kind nor the names
// can hold NUL.

// ContactKeys returns the keys of which a delivery has to reserve one, so that a person does not hear too often; nil: there is no cap,
// or the event names no person. A person is known by a keyed hash of the e-mail address, or else of the phone number, or else of an id.
func (o *Owed) ContactKeys(ev *event.Event, key []byte) []string {
	limit := o.AtDue.Guard.ContactCap
	person := personOf(ev)
	if limit.Count == 0 || person == "" {
		return nil
	}
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(ev.Tenant + "\x00" + person)) // it never fails
	prefix := "contact\x00" + o.Delivery.Destination + "\x00" + hex.EncodeToString(h.Sum(nil)[:16]) + "\x00"
	keys := make([]string, limit.Count)
	for i := range keys {
		keys[i] = prefix + strconv.Itoa(i)
	}
	return keys
}

// personOf returns what identifies the respondent; empty: nothing does. A phone number without a digit identifies nobody.
func personOf(ev *event.Event) string {
	p := ev.Data().Respondent
	for _, name := range [...]struct{ kind, text string }{
		{"email", strings.ToLower(p.Email)}, {"phone", digits(p.Phone)}, {"external", p.ExternalID}, {"id\x00" + ev.Source, p.ID},
	} {
		if text := strings.TrimSpace(name.text); text != "" {
			return name.kind + "\x00" + text
		}
	}
	return ""
}

// digits returns the digits of a phone number.
func digits(phone string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, phone)
}

// Period is one period of `at_most`.
type Period struct {
	From time.Time
	Per  time.Duration
}

// End is when the next one begins.
func (p Period) End() time.Time { return p.From.Add(p.Per) }

// Before returns the period before it.
func (p Period) Before() Period { return Period{p.From.Add(-p.Per), p.Per} }

// String returns the period as a part of keys. ParsePeriod reads it.
func (p Period) String() string {
	return strconv.FormatInt(p.From.UnixMilli(), 36) + "/" + strconv.FormatInt(p.Per.Milliseconds(), 36)
}

// ParsePeriod reads what Period.String returns.
func ParsePeriod(text string) (p Period, ok bool) {
	from, per, _ := strings.Cut(text, "/")
	begin, err := strconv.ParseInt(from, 36, 64)
	length, err2 := strconv.ParseInt(per, 36, 64)
	return Period{time.UnixMilli(begin).UTC(), time.Duration(length) * time.Millisecond}, err == nil && err2 == nil && length > 0
}

// Period returns the period of `at_most` that a time is in.
func (o *Owed) Period(at time.Time) Period {
	per := o.AtDue.Guard.AtMost.Per
	return Period{at.UTC().Truncate(per), per}
}

// RateKeys returns the keys of which a delivery has to reserve one to be sent in a period; nil: there is no bound.
func (o *Owed) RateKeys(p Period) []string {
	return o.periodKeys("at_most", p, o.AtDue.Guard.AtMost.Count)
}

// DigestKey is reserved by the delivery that becomes the digest of a period.
func (o *Owed) DigestKey(p Period) string { return o.periodKeys("digest", p, 1)[0] }

// DigestWaits is the reason of a delivery that is the digest of its period.
const DigestWaits = "the digest of what exceeds at_most is sent when the period ends"

// DigestOfKey is reserved for the text of the period whose digest the delivery is: the rule may have other periods by then, or none.
func (o *Owed) DigestOfKey() string { return "digest of\x00" + o.Delivery.ID }

// DigestKept is how long it is remembered beyond its period which deliveries a digest stands for: as long as a delivery may wait.
const DigestKept = 15 * 24 * time.Hour

// MaxDigested bounds the deliveries that one digest counts.
const MaxDigested = 1000

// MemberKeys are reserved, one each in their order, by the deliveries that the digest of a period stands for.
func (o *Owed) MemberKeys(p Period) []string {
	return o.periodKeys("digested", p, MaxDigested)
}

func (o *Owed) periodKeys(what string, p Period, n int) []string {
	origin := o.Delivery.Origin
	prefix := what + "\x00" + string(origin.Kind) + "\x00" + origin.Name + "\x00" + o.Delivery.Step + "\x00" + p.String() + "\x00"
	keys := make([]string, n)
	for i := range keys {
		keys[i] = prefix + strconv.Itoa(i)
	}
	return keys
}
