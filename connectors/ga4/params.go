package ga4

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Limits: https://developers.google.com/analytics/devguides/collection/protocol/ga4/sending-events#limitations
const (
	maxName   = 40
	maxParams = 25
	maxText   = 100
)

// longTexts are the parameters with a limit above maxText, in characters. With all of them at their limits, a body is far
// below the 130 kB that Google accepts.
var longTexts = map[string]int{"page_location": 1_000, "page_referrer": 420, "page_title": 300}

// textLimit returns the number of characters that a parameter's text may have.
func textLimit(name string) int {
	if limit, ok := longTexts[name]; ok {
		return limit
	}
	return maxText
}

// engagement is the value of engagement_time_msec, in milliseconds: standard reports show only events that have it, and a
// session. The time that a response took is a different quantity, so this is the value of Google's own example.
const engagement = 100

// standardParams are the parameters of every event.
var standardParams = append(slices.Clone(connectors.FactNames), "session_id", "engagement_time_msec")

// params returns the standard parameters and the operator's. A parameter that the event has no value for is left out, except the
// two that every report needs.
func (c *Connector) params(ev *event.Event) (expression.Object, error) {
	own, err := c.Params.Evaluate(ev)
	if err != nil {
		return nil, err
	}
	all := connectors.Facts(ev, c.Params, maxText)
	for _, m := range own {
		value, err := parameter(m.Key, m.Value)
		if err != nil {
			return nil, err
		}
		if value != "" {
			all = append(all, expression.Member{Key: m.Key, Value: value})
		}
	}
	if _, has := all.Lookup("session_id"); !has { // the default is the time of the event in seconds, as Google's own session ids are the time of their start
		all = append(all, expression.Member{Key: "session_id", Value: strconv.FormatInt(ev.Time.Unix(), 10)})
	}
	if _, has := all.Lookup("engagement_time_msec"); !has {
		all = append(all, expression.Member{Key: "engagement_time_msec", Value: engagement})
	}
	return all, nil
}

// parameter converts a value to a number or a text, which are all that Google accepts; "" for an empty value.
func parameter(name string, v any) (any, error) {
	text, ok := connectors.PlainText(v)
	switch {
	case !ok:
		return nil, fmt.Errorf("`%s` is an object, and Google takes only texts and numbers", name)
	case isEmail(text):
		return nil, fmt.Errorf("`%s` is an e-mail address, and Google's terms forbid to send one", name)
	case text != "" && (name == "session_id" || name == "engagement_time_msec"):
		n, err := strconv.ParseFloat(text, 64)
		if n = math.Round(n); err != nil || n < 1 || n > 1<<53 {
			return nil, fmt.Errorf("`%s` is not a number above 0, and Google would not report the event", name)
		}
		return strconv.FormatInt(int64(n), 10), nil
	}
	switch v := v.(type) {
	case float64, int, int64, json.Number:
		return v, nil
	case bool:
		if name == "debug_mode" {
			return v, nil
		}
	}
	return connectors.Clip(text, textLimit(name)), nil
}

// Region is the region in which Google collects the data.
type Region string

// The regions.
const (
	Global Region = "global"
	EU     Region = "eu"
)

// Words returns both words.
func (Region) Words() []string { return []string{string(Global), string(EU)} }

// UnmarshalText accepts the name of a region.
func (r *Region) UnmarshalText(b []byte) error {
	switch *r = Region(b); *r {
	case Global, EU:
		return nil
	}
	return fmt.Errorf("`%s` is no region; one of global, eu", b)
}

// host returns the region's address.
// https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference#transport
func (r Region) host() string {
	if r == EU {
		return "https://region1.google-analytics.com"
	}
	return "https://www.google-analytics.com"
}

var (
	measurementID = regexp.MustCompile(`^G-[A-Z0-9]+$`)
	validName     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
)

// Reserved names, which apply to web streams too. Prefixes are reserved in upper and lower case.
// https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference#reserved_names
var (
	reservedEvents = strings.Fields(`ad_activeview ad_click ad_exposure ad_impression ad_query adunit_exposure app_clear_data
		app_install app_remove app_store_refund app_update error first_open first_visit in_app_purchase notification_dismiss
		notification_foreground notification_open notification_receive os_update screen_view session_start user_engagement`)
	reservedPrefixes = []string{"_", "firebase_", "ga_", "google_", "gtag."}
)

// emptyEvent has no content: Validate uses it to evaluate the constants in `params`.
var emptyEvent = []byte(`{"type":"test"}`)

// Validate checks the settings against Google's rules, because Google reports no error at delivery.
func (c *Connector) Validate() error {
	if !measurementID.MatchString(c.MeasurementID) {
		return connectors.Invalid("measurement_id", "is not a measurement id (`G-` and capital letters or digits); the page of the data stream shows it")
	}
	if reason := badName(c.Event); reason != "" {
		return connectors.Invalid("event", reason)
	}
	if slices.Contains(reservedEvents, c.Event) {
		return connectors.Invalid("event", "is a name that Google reserves; choose another")
	}
	keys := slices.Clone(standardParams)
	for _, key := range c.Params.Keys() {
		if reason := badName(key); reason != "" {
			return connectors.Invalid("params", "`"+key+"` "+reason)
		}
		if key == "items" { // the list of objects of e-commerce events
			return connectors.Invalid("params", "`"+key+"` is a name that Google reserves; choose another")
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if n := len(slices.Compact(keys)); n > maxParams {
		return connectors.Invalid("params", fmt.Sprintf("would make %d parameters together with the standard ones, and Google takes %d; remove some", n, maxParams))
	}
	ev, err := event.ParseOne(emptyEvent, event.Defaults{Received: time.Unix(0, 0)})
	if err != nil {
		return err
	}
	own, err := c.Params.Evaluate(ev)
	if err != nil {
		return connectors.Invalid("params", err.Error())
	}
	for _, m := range own {
		if _, err := parameter(m.Key, m.Value); err != nil {
			return connectors.Invalid("params", err.Error())
		}
	}
	return nil
}

// badName returns the fault of the name of an event or a parameter; "" for a good one.
func badName(name string) string {
	switch {
	case !validName.MatchString(name):
		return "is not a name that Google takes; begin with a letter, then letters, digits and `_`"
	case len(name) > maxName:
		return fmt.Sprintf("is longer than the %d characters that Google takes", maxName)
	case slices.ContainsFunc(reservedPrefixes, func(p string) bool { return strings.HasPrefix(strings.ToLower(name), p) }):
		return "has a prefix that Google reserves (`ga_`, `google_`, `firebase_`); choose another"
	}
	return ""
}
