package klaviyo

import (
	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var (
	_ connectors.Judge       = (*Subscribe)(nil)
	_ connectors.RateLimiter = (*Subscribe)(nil)
	_ connectors.Validator   = (*Subscribe)(nil)
	_ connectors.Checker     = (*Subscribe)(nil)
)

func init() {
	connectors.Register("klaviyo.subscribe", func() connectors.Connector { return &Subscribe{Account: defaults()} })
}

// Subscribe subscribes the respondent to `list`, or without a list to the account's e-mails. It needs the consent in the event
// itself, because it also subscribes a person who had unsubscribed.
type Subscribe struct {
	Account `yaml:",inline"`
}

// Build subscribes one respondent.
func (s *Subscribe) Build(ev *event.Event) (*connectors.Request, error) {
	email, _, err := recipient(ev, connectors.ConsentRequired)
	if err != nil {
		return nil, err
	}
	return s.subscription(email), nil
}

// Judge returns the verdict on the subscription.
func (s *Subscribe) Judge(res *connectors.Response) connectors.Verdict { return subscribed(res) }

// job is a job that subscribes profiles. It lifts an earlier unsubscription, so it needs a new consent.
// https://developers.klaviyo.com/en/reference/bulk_subscribe_profiles
type job struct {
	Source   string   `json:"custom_source"`
	Profiles profiles `json:"profiles"`
}

type profiles struct {
	Data []resource `json:"data"`
}

type subscriber struct {
	Email         string        `json:"email"`
	Subscriptions subscriptions `json:"subscriptions"`
}

type subscriptions struct {
	Email struct {
		Marketing struct {
			Consent string `json:"consent"`
		} `json:"marketing"`
	} `json:"email"`
}

type relationships struct {
	List document `json:"list"`
}

// subscription returns the request that subscribes addresses; without one it changes nothing.
func (a *Account) subscription(emails ...string) *connectors.Request {
	all := profiles{Data: make([]resource, 0, len(emails))}
	for _, email := range emails {
		one := subscriber{Email: email}
		one.Subscriptions.Email.Marketing.Consent = "SUBSCRIBED"
		all.Data = append(all.Data, resource{Type: "profile", Attributes: one})
	}
	r := resource{Type: "profile-subscription-bulk-create-job", Attributes: job{Source: "surveygate", Profiles: all}}
	if a.List != "" {
		r.Relationships = relationships{List: document{resource{Type: "list", ID: a.List}}}
	}
	return a.post("/api/profile-subscription-bulk-create-jobs", r)
}
