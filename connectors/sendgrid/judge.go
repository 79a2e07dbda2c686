package sendgrid

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// blockedDelay is the shortest retry delay for 403 after many bad requests. SendGrid does not say how long such a block lasts.
// https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/errors
const blockedDelay = 30 * time.Minute

// Phrases of SendGrid's messages, and of reasons.
const (
	invalidIDs = "invalid custom field ids supplied"
	blocked    = "temporarily blocked"
	ofFields   = "no custom field with the id"
)

// problems are the errors of a request. SendGrid has no codes, only messages, which may quote a contact.
// https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/errors
type problems struct {
	Errors []struct {
		Message string `json:"message"`
		Field   string `json:"field"`
	} `json:"errors"`
}

// Judge returns the verdict on an import. A bad contact is refused with all others of its request.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	var p problems
	_ = res.JSON(&p) // a body that is not SendGrid's leaves p empty
	v := connectors.ByStatus(res)
	switch res.Status {
	case 400:
		return c.invalid(p, v)
	case 403:
		if p.say(blocked) {
			return connectors.Verdict{Kind: connectors.Retry, After: max(connectors.RetryAfter(res), blockedDelay), Reason: v.Reason + ": " + blocked}
		}
	case 429:
		if v.After == 0 {
			v.After = untilReset(res)
		}
	case 451: // the account lives in another region, so no event will pass
		v.Kind = connectors.Revoked
	}
	if v.Kind != connectors.Delivered {
		return v
	}
	var job struct {
		ID string `json:"job_id"`
	}
	if res.JSON(&job) != nil || job.ID == "" {
		return connectors.TryAgain("the answer is not SendGrid's")
	}
	v.Ref = job.ID
	return v
}

// invalid returns the verdict on a request that SendGrid refuses, with the names of the fields at fault. An unknown list or custom
// field concerns every event.
func (c *Connector) invalid(p problems, v connectors.Verdict) connectors.Verdict {
	if p.say(invalidIDs) {
		names := c.Fields.Keys()
		unknown := slices.DeleteFunc(names, func(name string) bool { return !p.namesID(name) })
		return connectors.Revoke(v.Reason + ": " + clip(ofFields+" "+strings.Join(unknown, ", "))).ForSetting("fields")
	}
	var fields []string
	for _, e := range p.Errors {
		name := e.Field[strings.LastIndexByte(e.Field, '.')+1:]
		if strings.HasPrefix(name, "list_ids") {
			return connectors.Revoke(v.Reason + ": list_ids").ForSetting("lists")
		}
		if c.mayQuote(name) && !slices.Contains(fields, name) {
			fields = append(fields, name)
		}
	}
	if len(fields) > 0 {
		v.Reason += ": " + clip(strings.Join(fields, ", "))
	}
	return v
}

// mayQuote reports whether a reason may contain the name of a field: SendGrid's own, or one of the settings.
func (c *Connector) mayQuote(name string) bool {
	_, reserved := limits[name]
	return reserved || name == "email" || name == "custom_fields" || name == "contacts" || slices.Contains(c.Fields.Keys(), name)
}

// clip bounds the length of names in a reason.
func clip(names string) string { return connectors.Clip(strings.TrimSpace(names), 120) }

// say reports whether a message contains the phrase.
func (p problems) say(phrase string) bool {
	for _, e := range p.Errors {
		if strings.Contains(e.Message, phrase) {
			return true
		}
	}
	return false
}

// namesID reports whether the message about unknown ids lists the id: `invalid custom field ids supplied - a,b`.
func (p problems) namesID(id string) bool {
	for _, e := range p.Errors {
		if _, list, found := strings.Cut(e.Message, invalidIDs); found &&
			slices.Contains(strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '-' }), id) {
			return true
		}
	}
	return false
}

// untilReset returns the time until the limit ends, at least a second; 0 if the answer does not say.
// https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits
func untilReset(res *connectors.Response) time.Duration {
	seconds, err := strconv.ParseInt(res.Header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil || res.At.IsZero() {
		return 0
	}
	return min(max(time.Unix(seconds, 0).Sub(res.At), time.Second), connectors.MaxRetryAfter)
}
