package hubspot

import (
	"encoding/json"
	"slices"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/expression"
)

// The names of the check requests.
const (
	account    = "account"
	reading    = "read"
	writing    = "write"
	properties = "properties"
)

// Check asks for the token's account, searches contacts, upserts an empty batch of contacts, which writes nothing, and lists the
// properties.
func (c *Connector) Check() []*connectors.Request { return c.check() }

// JudgeCheck returns what the token or the account lacks for this step.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	names := []string{email, "firstname", "lastname", "phone", c.Account.Key}
	return c.judgeCheck(res, append(names, c.Properties.Keys()...))
}

// Check returns the same requests as for a contact: notes need no other scope.
func (n *Note) Check() []*connectors.Request { return n.check() }

// JudgeCheck returns what the token or the account lacks for this step.
func (n *Note) JudgeCheck(res *connectors.Response) connectors.Proof {
	return n.judgeCheck(res, []string{n.Account.Key})
}

func (a *Account) check() []*connectors.Request {
	who, list := "/account-info/v3/details", "/crm/v3/properties/contacts"
	if a.APIVersion == V26_03 {
		who, list = "/account-info/2026-03/details", "/crm/properties/2026-03/contacts"
	}
	requests := []*connectors.Request{
		connectors.Get(a.BaseURL.At(api, who)).Named(account),
		connectors.Post(a.at("contacts/search"), expression.Object{
			{Key: "filterGroups", Value: []any{}},
			{Key: "properties", Value: []any{email}},
			{Key: "sorts", Value: []any{}},
			{Key: "limit", Value: 1},
			{Key: "after", Value: "0"},
		}).Named(reading),
		a.upsert(inputs{Inputs: []input{}}).Named(writing),
		connectors.Get(a.BaseURL.At(api, list)).Named(properties),
	}
	for _, r := range requests {
		r.As(connectors.Bearer(a.Token))
	}
	return requests
}

// judgeCheck reads one answer. names are the properties that the step writes.
func (a *Account) judgeCheck(res *connectors.Response, names []string) connectors.Proof {
	if res.Status == 401 {
		return connectors.Missing("a token that HubSpot accepts (" + refused(res).Reason + ")")
	}
	ask := ""
	if res.To != nil {
		ask = res.To.Name
	}
	good := res.Status >= 200 && res.Status <= 299
	switch {
	case ask == account && res.Status == 403: // a token that is limited to contacts may not read its account
		return connectors.Proof{}
	case ask == reading && res.Status == 403:
		return connectors.Missing("the scope crm.objects.contacts.read")
	case ask == writing && res.Status == 403:
		return connectors.Missing("the scope crm.objects.contacts.write")
	case ask == writing && res.Status == 400: // the scope suffices; the batch is empty
		return connectors.Proof{}
	case ask == properties && res.Status == 403:
		return connectors.Proof{Unproved: []string{"that its properties exist: the token lacks the scope crm.schemas.contacts.read"}}
	case ask == properties && good:
		return a.checkProperties(res, names)
	}
	return connectors.ProofByStatus(res)
}

// checkProperties compares the properties that the step writes with those that exist.
func (a *Account) checkProperties(res *connectors.Response, names []string) connectors.Proof {
	var list struct {
		Results []struct {
			Name   string `json:"name"`
			Unique bool   `json:"hasUniqueValue"`
		} `json:"results"`
	}
	if json.Unmarshal(res.Body, &list) != nil || list.Results == nil {
		return connectors.Proof{Unproved: []string{"that its properties exist: the answer is not HubSpot's"}}
	}
	unique := map[string]bool{}
	for _, p := range list.Results {
		unique[p.Name] = p.Unique || p.Name == email
	}
	var missing []string
	for _, name := range names {
		if _, known := unique[name]; !known && !slices.Contains(missing, "the property "+name) {
			missing = append(missing, "the property "+name)
		}
	}
	if isUnique, known := unique[a.Key]; known && !isUnique {
		missing = append(missing, "unique values of the property "+a.Key)
	}
	return connectors.Proof{Missing: missing}
}
