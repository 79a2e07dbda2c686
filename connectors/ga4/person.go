package ga4

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

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
	id, err := connectors.PersonID(setting, from, ev, maxID)
	if err == nil && isEmail(id) {
		return "", fmt.Errorf("`%s` is an e-mail address, and Google's terms forbid to send one", setting)
	}
	return id, err
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
	sum := connectors.Pseudonym(ev, c.MeasurementID)
	b := strconv.AppendUint(nil, uint64(binary.BigEndian.Uint32(sum[:4])), 10)
	return string(strconv.AppendUint(append(b, '.'), uint64(binary.BigEndian.Uint32(sum[4:8])), 10)), nil
}

// isEmail reports whether a text is an e-mail address and nothing else.
func isEmail(text string) bool {
	name, host, ok := strings.Cut(text, "@")
	return ok && name != "" && strings.Contains(host, ".") && !strings.ContainsAny(text, " \t\r\n") && !strings.Contains(host, "@")
}
