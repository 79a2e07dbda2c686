package klaviyo

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// The names of the requests after the first one.
const (
	phonelessRequest    = "without phone"
	subscriptionRequest = "subscription"
)

// Reasons that this package writes.
const (
	notBuilt   = "the profile cannot be built: "
	badPhone   = "without the phone number, which has no country code (`+…`)"
	otherPhone = "without the phone number, which Klaviyo does not accept for this profile"
	optedOut   = "not subscribed: the person has unsubscribed, or the address is suppressed"
	unknown    = "not subscribed: Klaviyo does not say whether the person has unsubscribed"
)

// Judge continues from the profile to its subscription. A phone number that Klaviyo refuses is left out in a second request.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	if res.Forgets() {
		return judgeForgotten(res)
	}
	step := ""
	if res.To != nil {
		step = res.To.Name
	}
	v := accepted(res)
	switch {
	case step == subscriptionRequest:
		v = subscribed(res)
		if v.Kind == connectors.Delivered {
			return c.done(res, "")
		}
	case v.Kind == connectors.Delivered:
		return c.upserted(res)
	case step == "" && phoneRefused(res):
		return c.leavePhoneOut(res)
	}
	return v
}

// leavePhoneOut continues with the profile without its phone number.
func (c *Connector) leavePhoneOut(res *connectors.Response) connectors.Verdict {
	if len(res.Events) == 0 {
		return refused(res)
	}
	next, err := c.withoutPhone(res.Events[0])
	switch {
	case err != nil:
		return connectors.Reject(notBuilt + err.Error())
	case next == nil:
		return refused(res)
	}
	return connectors.Then(next)
}

// answer is the answer to the upsert.
// https://developers.klaviyo.com/en/reference/create_or_update_profile
type answer struct {
	Data struct {
		ID         string `json:"id"`
		Attributes struct {
			Subscriptions struct {
				Email struct {
					Marketing struct {
						Consent          string        `json:"consent"`
						Suppressions     []suppression `json:"suppression"`
						ListSuppressions []suppression `json:"list_suppressions"`
					} `json:"marketing"`
				} `json:"email"`
			} `json:"subscriptions"`
		} `json:"attributes"`
	} `json:"data"`
}

type suppression struct {
	Reason string `json:"reason"`
	List   string `json:"list_id"`
}

// optOut returns why the person must not be subscribed to the list; "" if nothing speaks against it. isNew is set for a profile
// that was just created, and asked if the person has consented in the event.
func (a *answer) optOut(list string, isNew, asked bool) string {
	m := &a.Data.Attributes.Subscriptions.Email.Marketing
	switch {
	case m.Consent == "UNSUBSCRIBED", len(m.Suppressions) > 0,
		slices.ContainsFunc(m.ListSuppressions, func(s suppression) bool { return s.List == list }):
		return optedOut
	case m.Consent == "" && !isNew && !asked:
		return unknown
	}
	return ""
}

// upserted continues with the subscription once the profile is written, if the respondent may be subscribed.
func (c *Connector) upserted(res *connectors.Response) connectors.Verdict {
	var a answer
	if res.JSON(&a) != nil || a.Data.ID == "" {
		return connectors.TryAgain("the answer is not Klaviyo's")
	}
	if len(res.Events) == 0 || c.List == "" {
		return c.done(res, "")
	}
	email, subscribe, err := recipient(res.Events[0], c.Consent)
	if err != nil || !subscribe {
		return c.done(res, "")
	}
	_, notAsked := connectors.ConsentRequired.Subscribe(res.Events[0])
	if reason := a.optOut(c.List, res.Status == 201, notAsked == nil); reason != "" {
		return c.done(res, reason)
	}
	return connectors.Then(c.subscription(email).Named(subscriptionRequest))
}

// done returns a Delivered verdict with the profile's id. Its reason says what of the event was left out:
// the phone number, and omitted.
func (c *Connector) done(res *connectors.Response, omitted string) connectors.Verdict {
	v := connectors.Deliver()
	phone := ""
	for _, res := range append(slices.Clip(res.Trail), res) {
		var a answer
		if res.JSON(&a) == nil && a.Data.ID != "" {
			v.Ref = a.Data.ID
		}
		if res.To != nil && res.To.Name == phonelessRequest {
			phone = otherPhone
		}
	}
	if len(res.Events) > 0 {
		p, err := c.profile(res.Events[0])
		if err != nil {
			return connectors.Reject(notBuilt + err.Error())
		}
		if p.badPhone {
			phone = badPhone
		}
	}
	v.Reason = strings.Join(slices.DeleteFunc([]string{phone, omitted}, func(part string) bool { return part == "" }), "; ")
	return v
}

// subscribed returns the verdict on a subscription. A list that does not exist concerns every event.
func subscribed(res *connectors.Response) connectors.Verdict {
	v := queued(res)
	if v.Kind == connectors.Rejected && listRefused(res) {
		return connectors.Revoke(v.Reason).ForSetting("list")
	}
	return v
}

// queued returns the verdict on a request that Klaviyo processes later, whose only success is 202. Another 2xx comes from a server in
// between, and the request is safe to repeat.
// https://developers.klaviyo.com/en/reference/create_event
// https://developers.klaviyo.com/en/reference/bulk_subscribe_profiles
func queued(res *connectors.Response) connectors.Verdict {
	v := accepted(res)
	if v.Kind == connectors.Delivered && res.Status != http.StatusAccepted {
		return connectors.TryAgain("the answer is not Klaviyo's")
	}
	return v
}

// accepted returns the verdict on an answer whose 2xx has no content to read. A proxy's page is not Klaviyo's answer.
func accepted(res *connectors.Response) connectors.Verdict {
	body := bytes.TrimSpace(res.Body)
	switch {
	case res.Status < 200 || res.Status > 299:
		return refused(res)
	case len(body) > 0 && body[0] != '{':
		return connectors.TryAgain("the answer is not Klaviyo's")
	}
	return connectors.Deliver()
}

// problems are the errors of a request.
// https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling
type problems struct {
	Errors []struct {
		Code   string `json:"code"`
		Source struct {
			Pointer string `json:"pointer"`
		} `json:"source"`
	} `json:"errors"`
}

// These match the parts of an error that a reason may quote; any other text may contain personal data. The last own field of a
// resource is quoted from a pointer such as `/data/attributes/profile/data/attributes/email`.
var (
	code  = regexp.MustCompile(`^[a-z][a-z_]{0,31}$`)
	field = regexp.MustCompile(`^/data/(?:.*/)?(?:attributes|relationships)/([a-z][a-z_]{0,31})(?:/|$)`)
)

// words returns the codes and fields of the errors.
func words(res *connectors.Response) (all []string) {
	var p problems
	if json.Unmarshal(res.Body, &p) != nil {
		return nil
	}
	add := func(word string) {
		if len(all) < 4 && !slices.Contains(all, word) {
			all = append(all, word)
		}
	}
	for _, e := range p.Errors {
		if code.MatchString(e.Code) {
			add(e.Code)
		}
		if found := field.FindStringSubmatch(e.Source.Pointer); found != nil {
			add(found[1])
		}
	}
	return all
}

// phoneRefused reports whether Klaviyo refuses a profile because of its phone number: it is not a number that Klaviyo accepts, or
// it is on file with another profile than the e-mail address.
// https://github.com/klaviyo/klaviyo-api-node/issues/75
func phoneRefused(res *connectors.Response) bool {
	return res.Status == 409 && slices.Contains(words(res), "duplicate_profile") ||
		res.Status == 400 && slices.Contains(words(res), phoneField)
}

// listRefused reports whether Klaviyo refuses a subscription because the list does not exist.
func listRefused(res *connectors.Response) bool {
	return res.Status == 404 || res.Status == 400 && slices.Contains(words(res), "list")
}

// refused returns the verdict on a status other than 2xx, with Klaviyo's codes as the reason. 410 is a revision of the API that
// no longer exists, so no event can be sent.
// https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy
func refused(res *connectors.Response) connectors.Verdict {
	v := connectors.ByStatus(res)
	if res.Status == 410 {
		v.Kind = connectors.Revoked
	}
	if all := words(res); len(all) > 0 {
		v.Reason += ": " + strings.Join(all, " ")
	}
	return v
}
