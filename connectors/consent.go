package connectors

import (
	"fmt"
	"reflect"

	"github.com/surveygate/surveygate/rules/event"
)

// Consent is the `consent` setting of mailing lists: what happens to a person who has not agreed to be written to.
// The zero value is ConsentRequired.
type Consent string

// What stands for consent.
const (
	// ConsentRequired skips whoever has not given it.
	ConsentRequired Consent = "required"
	// ConsentAssume takes it as given: everybody who answers has agreed elsewhere.
	ConsentAssume Consent = "assume"
	// ConsentStore keeps whoever has not given it, and never subscribes them.
	ConsentStore Consent = "store"
)

// Words are all three.
func (Consent) Words() []string {
	return []string{string(ConsentRequired), string(ConsentAssume), string(ConsentStore)}
}

// UnmarshalText takes one of the three words.
func (c *Consent) UnmarshalText(b []byte) error {
	switch word := Consent(b); word {
	case ConsentRequired, ConsentAssume, ConsentStore:
		*c = word
		return nil
	}
	return fmt.Errorf("`%s` is no way to treat consent; one of required, assume, store", b)
}

// ConsentOf returns the `consent` setting of a connector; ok is false where it has none, because it writes to nobody.
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

// Subscribe says whether the respondent may be subscribed. False without an error is for ConsentStore alone: keep the
// person, and subscribe them to nothing. The error is a Skip. A consent that was refused is refused, whatever is
// assumed of those who were not asked.
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
