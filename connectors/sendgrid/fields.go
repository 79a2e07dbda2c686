package sendgrid

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// maxText is the length of a custom text field in characters, which is commonly reported and not documented.
const maxText = 1000

// limits are the reserved fields with their lengths in characters; that of a postal code is not documented.
// https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact
var limits = map[string]int{
	"first_name": 50, "last_name": 50, "address_line_1": 100, "address_line_2": 100, "city": 60, "state_province_region": 50,
	"postal_code": 50, "country": 50, externalID: maxEmail,
}

// externalID is the reserved field that identifies a contact beside its address: a contact that has one is only changed by
// requests with both.
const externalID = "external_id"

// fieldID matches the id of a custom field. Its end is the type: text, number or date.
// https://www.twilio.com/docs/sendgrid/api-reference/custom-fields/get-all-field-definitions
var fieldID = regexp.MustCompile(`^[a-z]{1,3}[0-9]{1,6}(_[TND])?$`)

// contact returns one contact.
func (c *Connector) contact(email string, ev *event.Event) (expression.Object, error) {
	mapped, err := c.Fields.Evaluate(ev)
	if err != nil {
		return nil, err
	}
	who, names := &ev.Data().Respondent, c.Fields.Keys()
	all := append(make(expression.Object, 0, len(mapped)+4), expression.Member{Key: "email", Value: email})
	for _, name := range [...]struct{ field, text string }{{"first_name", who.FirstName}, {"last_name", who.LastName}} {
		if name.text != "" && !slices.Contains(names, name.field) {
			all = append(all, expression.Member{Key: name.field, Value: connectors.Clip(name.text, limits[name.field])})
		}
	}
	custom := make(expression.Object, 0, len(mapped))
	for _, m := range mapped {
		value, err := convert(m.Key, m.Value)
		if err != nil {
			return nil, err
		}
		m.Value = value
		switch _, reserved := limits[m.Key]; {
		case value == "":
		case reserved:
			all = append(all, m)
		default:
			custom = append(custom, m)
		}
	}
	if len(custom) > 0 {
		all = append(all, expression.Member{Key: "custom_fields", Value: custom})
	}
	return all, nil
}

// isDate reports whether a text is a date in a form that SendGrid reads. It reads no other, such as a number of seconds or a
// thirteenth month, and the import fails after it was accepted.
func isDate(text string) bool {
	const local = "2006-01-02T15:04:05"
	form := time.RFC3339
	switch {
	case strings.Contains(text, "/"):
		form = "1/2/2006"
	case strings.Contains(text, " "):
		form = time.DateTime
	case len(text) == len(time.DateOnly):
		form = time.DateOnly
	case len(text) == len(local):
		form = local
	}
	_, err := time.Parse(form, text)
	return err == nil
}

// convert returns a value as its field takes it; "" if it is empty.
func convert(name string, v any) (any, error) {
	text, ok := connectors.PlainText(v)
	if ok && text == "" {
		return "", nil
	}
	if strings.HasSuffix(name, "_N") {
		switch v.(type) {
		case float64, int, int64, json.Number:
			return v, nil
		}
		return nil, fmt.Errorf("field %s is a number, and its value is not: write `number(…)` around a text", name)
	}
	limit, reserved := limits[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("field %s takes a text, and its value is an object", name)
	case strings.HasSuffix(name, "_D") && !isDate(text):
		return nil, fmt.Errorf("field %s is a date, and its value is not: write `2026-01-02`", name)
	case name == externalID && utf8.RuneCountInString(text) > limit: // a shortened one may be another person's
		return nil, fmt.Errorf("field %s has more than %d characters", name, limit)
	case !reserved:
		limit = maxText
	}
	return connectors.Clip(text, limit), nil
}
