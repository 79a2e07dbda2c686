package ga4

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Google accepts event times of the past 72 hours. The age of an event is taken at its receipt, because Build must give the same
// request at any time; one hour is left for retries.
// https://developers.google.com/analytics/devguides/collection/protocol/ga4/sending-events
const (
	acceptedAge = 72 * time.Hour
	maxAge      = acceptedAge - time.Hour
)

// timely reports whether Google accepts the time at which an event happened. It accepts no time in the future.
func timely(ev *event.Event) bool {
	age := ev.Received.Sub(ev.Time)
	return age >= 0 && age <= maxAge
}

// maxID is the limit of a user id in characters. It is used for client ids too, which have no published limit.
// https://support.google.com/analytics/answer/9267744
const maxID = 256

// identity evaluates an operator's expression for an id; "" if it has no value.
func identity(setting string, from expression.Value, ev *event.Event) (string, error) {
	if from.IsZero() {
		return "", nil
	}
	v, _, err := from.Evaluate(ev)
	if err != nil {
		return "", err
	}
	id, ok := connectors.PlainText(v)
	switch {
	case !ok:
		return "", fmt.Errorf("`%s` is an object, and Google takes a text", setting)
	case isEmail(id):
		return "", fmt.Errorf("`%s` is an e-mail address, and Google's terms forbid to send one", setting)
	case utf8.RuneCountInString(id) > maxID:
		// A shortened id might be another visitor's.
		return "", fmt.Errorf("`%s` is longer than the %d characters that Google takes", setting, maxID)
	}
	return id, nil
}

// cookieValue matches the value of the `_ga` cookie, which has a prefix before the id: GA1.1.1234567890.1234567890.
var cookieValue = regexp.MustCompile(`^GA\d\.\d+\.(\d+\.\d+)$`)

// client returns the client id: the operator's, or one that is derived from the respondent, or from the response without one.
func (c *Connector) client(ev *event.Event) (string, error) {
	given, err := identity("client_id", c.ClientID, ev)
	if err != nil {
		return "", err
	}
	if given != "" {
		if cookie := cookieValue.FindStringSubmatch(given); cookie != nil {
			return cookie[1], nil
		}
		return given, nil
	}
	kind, id := respondent(ev)
	// The stream is part of the hash, so that respondents cannot be followed from one stream to another.
	sum := sha256.Sum256([]byte(c.MeasurementID + "\x00" + kind + "\x00" + id))
	b := strconv.AppendUint(nil, uint64(binary.BigEndian.Uint32(sum[:4])), 10)
	return string(strconv.AppendUint(append(b, '.'), uint64(binary.BigEndian.Uint32(sum[4:8])), 10)), nil
}

// respondent returns what identifies the respondent. An e-mail address, a phone number and the operator's own id identify a
// person across sources. A platform's id of a respondent is unique only within its source, and that of a response within its
// survey.
func respondent(ev *event.Event) (kind, id string) {
	d := ev.Data()
	switch r := &d.Respondent; {
	case r.Email != "":
		return "email", strings.ToLower(r.Email)
	case r.Phone != "":
		return "phone", r.Phone
	case r.ExternalID != "":
		return "external", r.ExternalID
	case r.ID != "":
		return "respondent", ev.Tenant + "\x00" + ev.Source + "\x00" + r.ID
	}
	if response := ev.ResponseKey(); response != "" {
		return "response", ev.Tenant + "\x00" + response
	}
	return "event", ev.ID
}

// isEmail reports whether a text is an e-mail address and nothing else.
func isEmail(text string) bool {
	name, host, ok := strings.Cut(text, "@")
	return ok && name != "" && strings.Contains(host, ".") && !strings.ContainsAny(text, " \t\r\n") && !strings.Contains(host, "@")
}
