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

// Google takes times of the past 72 hours. Whether an event is younger is asked as of its receipt, because a request
// must come out the same whenever it is built; an hour is left for the attempts that follow the first.
// https://developers.google.com/analytics/devguides/collection/protocol/ga4/sending-events
const (
	takenFor = 72 * time.Hour
	maxAge   = takenFor - time.Hour
)

// timely says that Google still takes the time at which an event happened. Those from the future it never takes.
func timely(ev *event.Event) bool {
	age := ev.Received.Sub(ev.Time)
	return age >= 0 && age <= maxAge
}

// maxID is a user's; a client's has no limit that is published. https://support.google.com/analytics/answer/9267744
const maxID = 256

// identity is what an operator's expression says of who it was; empty where it says nothing.
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
	case address(id):
		return "", fmt.Errorf("`%s` is an e-mail address, and Google's terms forbid to send one", setting)
	case utf8.RuneCountInString(id) > maxID:
		// Cut, it might be somebody else's.
		return "", fmt.Errorf("`%s` is longer than the %d characters that Google takes", setting, maxID)
	}
	return id, nil
}

// ofCookie is what the cookie has before the id itself: GA1.1.1234567890.1234567890.
var ofCookie = regexp.MustCompile(`^GA\d\.\d+\.(\d+\.\d+)$`)

// client is who did it: the visitor that Google knows, if the survey was told; else always the same for one
// respondent, and of one response where it has none.
func (c *Connector) client(ev *event.Event) (string, error) {
	given, err := identity("client_id", c.ClientID, ev)
	if err != nil {
		return "", err
	}
	if given != "" {
		if cookie := ofCookie.FindStringSubmatch(given); cookie != nil {
			return cookie[1], nil
		}
		return given, nil
	}
	kind, id := known(ev)
	// Of one stream alone, so that nobody is followed from one to another by it.
	sum := sha256.Sum256([]byte(c.MeasurementID + "\x00" + kind + "\x00" + id))
	b := strconv.AppendUint(nil, uint64(binary.BigEndian.Uint32(sum[:4])), 10)
	return string(strconv.AppendUint(append(b, '.'), uint64(binary.BigEndian.Uint32(sum[4:8])), 10)), nil
}

// known is what tells an event's respondent from all others. An address and the operator's own id mean the same person
// wherever they come from. A platform's own id of a respondent means one within its source alone, and that of a response within
// its survey.
func known(ev *event.Event) (kind, id string) {
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

// address says that a text is an e-mail address and nothing else.
func address(text string) bool {
	name, host, ok := strings.Cut(text, "@")
	return ok && name != "" && strings.Contains(host, ".") && !strings.ContainsAny(text, " \t\r\n") && !strings.Contains(host, "@")
}
