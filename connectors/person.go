package connectors

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// PersonID evaluates a setting that identifies the respondent at the product; "" if it has no value. An id of more than limit
// characters is an error, because a shortened one may be another person's.
func PersonID(setting string, from expression.Value, ev *event.Event, limit int) (string, error) {
	if from.IsZero() {
		return "", nil
	}
	v, _, err := from.Evaluate(ev)
	if err != nil {
		return "", err
	}
	id, ok := PlainText(v)
	switch {
	case !ok:
		return "", fmt.Errorf("`%s` is an object, and an id is a text", setting)
	case utf8.RuneCountInString(id) > limit:
		return "", fmt.Errorf("`%s` is longer than the %d characters that an id may have", setting, limit)
	}
	return id, nil
}

// Pseudonym returns a hash that stands for the respondent, or for the response if nothing identifies the respondent. It is the
// same for every event of a person. scope is the product, or the project there: respondents cannot be followed from one scope to
// another.
//
// An e-mail address, a phone number and the operator's own id identify a person across sources. A platform's id of a respondent
// is unique only within its source, and that of a response within its survey.
func Pseudonym(ev *event.Event, scope string) [sha256.Size]byte {
	kind, id := person(ev)
	return sha256.Sum256([]byte(scope + "\x00" + kind + "\x00" + id))
}

func person(ev *event.Event) (kind, id string) {
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
