package connectors

import (
	"fmt"
	"reflect"

	"github.com/surveygate/surveygate/rules/event"
)

// Consent is the `consent` setting of a mailing list: what happens to a respondent who has not consented to receive e-mail.
// The zero value means ConsentRequired.
type Consent string

// The ways to treat a respondent without consent.
const (
	// ConsentRequired skips the event.
	ConsentRequired Consent = "required"
	// ConsentAssume subscribes the respondent, for surveys whose respondents have all consented elsewhere.
	ConsentAssume Consent = "assume"
	// ConsentStore stores the respondent without subscribing them.
	ConsentStore Consent = "store"
)

// Words returns the three words.
func (Consent) Words() []string {
	return []string{string(ConsentRequired), string(ConsentAssume), string(ConsentStore)}
}

// UnmarshalText accepts one of the three words.
func (c *Consent) UnmarshalText(b []byte) error {
	switch word := Consent(b); word {
	case ConsentRequired, ConsentAssume, ConsentStore:
		*c = word
		return nil
	}
	return fmt.Errorf("`%s` is no way to treat consent; one of required, assume, store", b)
}

// ConsentOf returns the value of a connector's Consent field. ok is false for a connector without such a field, which subscribes
// no one.
func ConsentOf(c Connector) (setting Consent, ok bool) {
	v := reflect.Indirect(reflect.ValueOf(c))
	if v.Kind() != reflect.Struct {
		return "", false
	}
	for _, field := range reflect.VisibleFields(v.Type()) {
		if field.IsExported() && field.Type == reflect.TypeFor[Consent]() {
			if setting = v.FieldByIndex(field.Index).Interface().(Consent); setting == "" { //nolint:forcetypeassert // asked above
				setting = ConsentRequired
			}
			return setting, true
		}
	}
	return "", false
}

// Subscribe reports whether the respondent may be subscribed. It returns false without an error only for ConsentStore:
// store the respondent, but do not subscribe them. The error is a Skip. A refusal in the event itself always counts, even with
// ConsentAssume, which speaks only of respondents who were not asked.
func (c Consent) Subscribe(ev *event.Event) (bool, error) {
	given := ev.Data().Respondent.Consent
	switch {
	case given != nil && *given:
		return true, nil
	case c == ConsentStore:
		return false, nil
	case given != nil:
		return false, Skip("consent refused")
	case c == ConsentAssume:
		return true, nil
	}
	return false, Skip("no consent")
}
