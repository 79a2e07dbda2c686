package salesforce

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// The names of the check requests, each followed by the object.
const (
	fieldsOf = "fields of "
	keyOf    = "key of "
)

// Check asks for the fields of no record, and whether the key is an External ID.
func (c *Connector) Check() []*connectors.Request {
	return c.checkObject(string(c.Object), c.Org.Key, append([]string{"FirstName", lastName, email, "Phone"}, c.Fields.Keys()...))
}

// JudgeCheck returns what the app's user or the org lacks for this step.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	return judgeCheck(res, c.Org.Key)
}

// Check asks the same of cases, and of contacts if cases belong to them.
func (c *Case) Check() []*connectors.Request {
	requests := c.checkObject(caseObject, c.CaseKey, append([]string{"Subject", "Description"}, c.Fields.Keys()...))
	if c.hasContact() {
		requests = append(requests, (&Connector{Org: c.Org}).Check()...)
	}
	return requests
}

// JudgeCheck returns what the app's user or the org lacks for this step.
func (c *Case) JudgeCheck(res *connectors.Response) connectors.Proof {
	if strings.HasSuffix(stepOf(res), caseObject) {
		return judgeCheck(res, c.CaseKey)
	}
	return judgeCheck(res, c.Org.Key)
}

// checkObject returns the requests that ask for an object's fields and its key.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_query.htm
// https://developer.salesforce.com/docs/atlas.en-us.api_tooling.meta/api_tooling/tooling_api_objects_entityparticle.htm
func (o *Org) checkObject(object, key string, fields []string) []*connectors.Request {
	query := func(name, soql string) *connectors.Request {
		return connectors.Get(o.at("/query?q=" + url.QueryEscape(soql))).Named(name + object).As(o.auth())
	}
	if key != "" {
		fields = append(fields, key)
	}
	slices.SortFunc(fields, compareNames)
	fields = slices.CompactFunc(fields, strings.EqualFold) // SOQL refuses a repeated field
	requests := []*connectors.Request{query(fieldsOf, "SELECT "+strings.Join(fields, ", ")+" FROM "+object+" LIMIT 0")}
	if key != "" {
		requests = append(requests, query(keyOf, "SELECT IsIdLookup FROM EntityParticle WHERE EntityDefinition.QualifiedApiName = '"+object+
			"' AND QualifiedApiName = '"+key+"'"))
	}
	return requests
}

func compareNames(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }

// noColumn matches Salesforce's message about a field that does not exist, or that the user may not see.
var noColumn = regexp.MustCompile(`No such column '([A-Za-z][A-Za-z0-9_]{0,79})' on `)

// judgeCheck reads one answer about an object.
func judgeCheck(res *connectors.Response, key string) connectors.Proof {
	name := stepOf(res)
	_, object, _ := strings.Cut(name, " of ")
	good := res.Status >= 200 && res.Status <= 299
	var first problem
	if list := problems(res.Body); !good && len(list) > 0 {
		first = list[0]
	}
	switch {
	case res.Status == 401 || res.Status == 403:
		return connectors.Missing("an app and a user that Salesforce accepts (" + refused(res, "").Reason + ")")
	case good && strings.HasPrefix(name, keyOf):
		return judgeKey(res, object, key)
	case strings.HasPrefix(name, keyOf):
		return unprovedKey(object, key)
	case good:
		var answer struct{ Done *bool }
		if res.JSON(&answer) != nil || answer.Done == nil {
			return connectors.UnexpectedAnswer("Salesforce", "the fields of "+object, res)
		}
		return connectors.Proof{}
	case first.code() == "INVALID_FIELD":
		if found := noColumn.FindStringSubmatch(first.Message); found != nil {
			return connectors.Missing("the field " + found[1] + " of " + object + ", or the user's access to it")
		}
		return connectors.Missing("a field of " + object + ", or the user's access to it")
	case first.code() == "INVALID_TYPE":
		return connectors.Missing("the user's access to the object " + object)
	}
	return connectors.ProofByStatus(res)
}

// judgeKey reads whether the key can be used in an upsert.
func judgeKey(res *connectors.Response, object, key string) connectors.Proof {
	var answer struct {
		Records []struct {
			IsIDLookup bool `json:"IsIdLookup"`
		} `json:"records"`
	}
	switch {
	case res.JSON(&answer) != nil || len(answer.Records) == 0:
		return unprovedKey(object, key)
	case !answer.Records[0].IsIDLookup:
		return connectors.Missing("the attribute External ID of the field " + key + " of " + object)
	}
	return connectors.Proof{}
}

func unprovedKey(object, key string) connectors.Proof {
	return connectors.Proof{Unproved: []string{"that the field " + key + " of " + object + " is an External ID: the user may not read the org's setup"}}
}
