package klaviyo

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

const (
	// maxProfile is the largest size of a profile in bytes.
	// https://developers.klaviyo.com/en/reference/create_or_update_profile
	maxProfile = 100_000
	// maxText is the length in characters of a text. In bytes it is at most 80,000, and Klaviyo takes 100 KB.
	// https://developers.klaviyo.com/en/reference/events_api_overview#limitations
	maxText = 20_000
)

// phoneField is the name of the phone number, which Klaviyo accepts in one profile only.
const phoneField = "phone_number"

// ownFields are the texts of a profile that are not custom properties. `location` is an own field too, and an object.
var ownFields = []string{"first_name", "last_name", phoneField, "external_id", "organization", "title", "locale", "image"}

// profile is a profile with all that an event says.
type profile struct {
	attributes expression.Object
	// badPhone is set if the phone number is left out, because it has no country code.
	badPhone bool
}

// profile returns the profile of an event.
func (c *Connector) profile(ev *event.Event) (p profile, err error) {
	mapped, err := evaluate(c.Properties, ev)
	if err != nil {
		return p, err
	}
	names := c.Properties.Keys()
	p.attributes = person(ev, names)
	if !slices.Contains(names, phoneField) {
		p.put(phoneField, ev.Data().Respondent.Phone)
	}
	custom := make(expression.Object, 0, len(mapped))
	for _, m := range mapped {
		switch {
		case slices.Contains(ownFields, m.Key):
			text, ok := connectors.PlainText(m.Value)
			if !ok {
				return p, fmt.Errorf("property %s is an object, and Klaviyo takes a text", m.Key)
			}
			p.put(m.Key, text)
		case m.Key == "location":
			p.attributes = append(p.attributes, m)
		default:
			custom = append(custom, m)
		}
	}
	if len(custom) > 0 {
		p.attributes = append(p.attributes, expression.Member{Key: "properties", Value: custom})
	}
	return p, nil
}

// put appends an own field, unless it is empty or is a phone number that Klaviyo would refuse.
func (p *profile) put(name, text string) {
	if name == phoneField && text != "" {
		text = phone(text)
		p.badPhone = text == ""
	}
	p.attributes = put(p.attributes, name, text)
}

// person returns the attributes that identify and name the respondent, without those that the operator maps.
func person(ev *event.Event, mapped []string) expression.Object {
	who := &ev.Data().Respondent
	all := put(make(expression.Object, 0, 8), "email", who.Email)
	for _, name := range [...]struct{ field, text string }{{"first_name", who.FirstName}, {"last_name", who.LastName}} {
		if !slices.Contains(mapped, name.field) {
			all = put(all, name.field, connectors.Clip(name.text, maxText))
		}
	}
	return all
}

// put appends a text, unless it is empty.
func put(to expression.Object, name, text string) expression.Object {
	if text == "" {
		return to
	}
	return append(to, expression.Member{Key: name, Value: text})
}

// evaluate returns the operator's values, without empty ones. Texts of the event are clipped.
func evaluate(values expression.Values, ev *event.Event) (expression.Object, error) {
	all, err := values.Evaluate(ev, func(text string) string { return connectors.Clip(strings.TrimSpace(text), maxText) })
	return slices.DeleteFunc(all, func(m expression.Member) bool {
		switch v := m.Value.(type) {
		case string:
			return v == ""
		case []any:
			return len(v) == 0
		case expression.Object:
			return len(v) == 0
		}
		return false
	}), err
}

var (
	e164       = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	separators = strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "")
)

// phone returns a phone number in the form that Klaviyo requires (E.164: `+905550001122`), or "" if it has no country code.
// https://help.klaviyo.com/hc/en-us/articles/360046055671
func phone(text string) string {
	if text = separators.Replace(text); e164.MatchString(text) {
		return text
	}
	return ""
}

// upsert returns the request that creates or changes a profile. The answer has only its id and subscriptions: with all its fields
// it may be too long to be read.
// https://developers.klaviyo.com/en/reference/create_or_update_profile
func (c *Connector) upsert(attributes expression.Object) (*connectors.Request, error) {
	const path = "/api/profile-import?additional-fields%5Bprofile%5D=subscriptions&fields%5Bprofile%5D=subscriptions"
	req := c.post(path, resource{Type: "profile", Attributes: attributes})
	if len(req.Body) > maxProfile {
		return nil, fmt.Errorf("the profile has %d bytes, and Klaviyo takes %d; map less in `properties`", len(req.Body), maxProfile)
	}
	return req, nil
}

// withoutPhone returns the upsert without the phone number; nil if there is none.
func (c *Connector) withoutPhone(ev *event.Event) (*connectors.Request, error) {
	p, err := c.profile(ev)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(p.attributes, func(m expression.Member) bool { return m.Key == phoneField })
	if at < 0 {
		return nil, nil
	}
	req, err := c.upsert(slices.Delete(p.attributes, at, at+1))
	if err != nil {
		return nil, err
	}
	return req.Named(phonelessRequest), nil
}
