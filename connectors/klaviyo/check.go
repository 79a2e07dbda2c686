package klaviyo

import (
	"regexp"

	"github.com/surveygate/surveygate/connectors"
)

// Check reads the account, and subscribes nobody to the list, which proves the list and the scopes that a subscription needs.
func (c *Connector) Check() []*connectors.Request {
	if c.List == "" {
		return c.check()
	}
	return c.check(c.subscription().Named(subscriptionRequest))
}

// Check subscribes nobody, as for a profile.
func (s *Subscribe) Check() []*connectors.Request {
	return s.check(s.subscription().Named(subscriptionRequest))
}

// Check reads the account.
func (e *Event) Check() []*connectors.Request { return e.check() }

// check returns the request for the account, and others.
// https://developers.klaviyo.com/en/reference/get_accounts
func (a *Account) check(more ...*connectors.Request) []*connectors.Request {
	return append([]*connectors.Request{a.ask(connectors.Get(a.BaseURL.At(api, "/api/accounts")))}, more...)
}

// JudgeCheck returns what the key or the account lacks. No harmless request proves the scope profiles:write without a list.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	if c.List == "" {
		return c.judgeCheck(res, "profiles:write")
	}
	return c.judgeCheck(res, "")
}

// JudgeCheck returns what the key or the account lacks.
func (s *Subscribe) JudgeCheck(res *connectors.Response) connectors.Proof {
	return s.judgeCheck(res, "")
}

// JudgeCheck returns what the key or the account lacks. No harmless request proves the scope events:write.
func (e *Event) JudgeCheck(res *connectors.Response) connectors.Proof {
	return e.judgeCheck(res, "events:write")
}

// judgeCheck reads one answer. unproved is a scope that no request proves.
func (a *Account) judgeCheck(res *connectors.Response, unproved string) connectors.Proof {
	switch reason := refused(res).Reason; {
	case res.Status == 401:
		return connectors.Missing("an API key that Klaviyo accepts (" + reason + ")")
	case res.Status == 410:
		return connectors.Missing("the revision " + revision + " of Klaviyo's API, which Klaviyo no longer supports: update surveygate")
	case res.To != nil && res.To.Name == subscriptionRequest:
		return a.judgeList(res, reason)
	case res.Status == 403:
		return connectors.Proof{Unproved: append(scope(unproved), "its account: the key lacks the scope accounts:read")}
	case res.Status < 200 || res.Status > 299:
		return connectors.ProofByStatus(res)
	}
	var accounts struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if res.JSON(&accounts) != nil || len(accounts.Data) == 0 {
		return connectors.UnexpectedAnswer("Klaviyo", "its account", res)
	}
	proof := connectors.Proof{Unproved: scope(unproved)}
	switch got := res.Header.Get("revision"); {
	case got == revision:
	case date.MatchString(got): // Klaviyo answers an unsupported revision with another one
		proof.Missing = append(proof.Missing, "the revision "+revision+" of Klaviyo's API: it answers with "+got+"; update surveygate")
	default:
		proof.Unproved = append(proof.Unproved, "that Klaviyo answers with the revision "+revision+": the answer names none")
	}
	return proof
}

// date matches a revision.
var date = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[a-z]{1,10})?$`)

// scope returns the phrase for a scope that is not proved.
func scope(name string) []string {
	if name == "" {
		return nil
	}
	return []string{"the scope " + name + ": only an event that is sent needs it"}
}

// judgeList reads the answer to a subscription of nobody.
func (a *Account) judgeList(res *connectors.Response, reason string) connectors.Proof {
	switch {
	case res.Status >= 200 && res.Status <= 299 && accepted(res).Kind != connectors.Delivered:
		return connectors.UnexpectedAnswer("Klaviyo", "the list", res)
	case res.Status >= 200 && res.Status <= 299:
		return connectors.Proof{}
	case res.Status == 403:
		return connectors.Missing("the scopes lists:write, profiles:write and subscriptions:write")
	case a.List != "" && listRefused(res):
		return connectors.Missing("the list " + a.List + ": `list` takes the id of a list, not its name")
	case res.Status == 400 && a.List == "": // the scopes suffice; nobody is in the job
		return connectors.Proof{}
	case res.Status == 400:
		return connectors.Proof{Unproved: []string{"the list " + a.List + ": Klaviyo does not look at it without a profile (" + reason + ")"}}
	}
	return connectors.ProofByStatus(res)
}
