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

// personOf returns what identifies the respondent; empty: nothing does.
func personOf(ev *event.Event) string {
	p := ev.Data().Respondent
	switch {
	case p.Email != "":
		return "email\x00" + strings.ToLower(strings.TrimSpace(p.Email))
	case p.Phone != "":
		return "phone\x00" + strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, p.Phone)
	case p.ExternalID != "":
		return "external\x00" + p.ExternalID
	case p.ID != "":
		return "id\x00" + ev.Source + "\x00" + p.ID
	}
	return ""
}

// Period returns when the period of `at_most` begins that a time is in.
func (o *Owed) Period(at time.Time) time.Time {
	return at.UTC().Truncate(o.AtDue.Guard.AtMost.Per)
}

// RateKeys returns the keys of which a delivery has to reserve one to be sent in a period; nil: there is no bound.
func (o *Owed) RateKeys(period time.Time) []string {
	return o.periodKeys("at_most", period, o.AtDue.Guard.AtMost.Count)
}

// DigestKey is reserved by the delivery that becomes the digest of a period.
func (o *Owed) DigestKey(period time.Time) string { return o.periodKeys("digest", period, 1)[0] }

// MaxDigested bounds the deliveries that one digest counts.
const MaxDigested = 1000

// MemberKeys are reserved, one each in their order, by the deliveries that the digest of a period stands for.
func (o *Owed) MemberKeys(period time.Time) []string {
	return o.periodKeys("digested", period, MaxDigested)
}

func (o *Owed) periodKeys(what string, period time.Time, n int) []string {
	origin := o.Delivery.Origin
	prefix := what + "\x00" + string(origin.Kind) + "\x00" + origin.Name + "\x00" + o.Delivery.Step + "\x00" + strconv.FormatInt(period.Unix(), 36) + "\x00"
	keys := make([]string, n)
	for i := range keys {
		keys[i] = prefix + strconv.Itoa(i)
	}
	return keys
}
