package salesforce

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// result is Salesforce's answer about one record.
type result struct {
	ID      string    `json:"id"`
	Success bool      `json:"success"`
	Errors  []problem `json:"errors"`
}

// problem is Salesforce's error about a request, or about one record of it, where the code has another name.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
type problem struct {
	Code       string   `json:"errorCode"`
	RecordCode string   `json:"statusCode"`
	Message    string   `json:"message"`
	Fields     []string `json:"fields"`
}

// These match the parts of an answer that may be quoted or used: codes, and ids of records.
var (
	code     = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,79}$`)
	recordID = regexp.MustCompile(`^[A-Za-z0-9]{15,18}$`)
)

// read returns the results of an answer, one for each record in the order of the request; nil if it is not of that form.
func read(res *connectors.Response, records int) []result {
	var list []result
	if body := bytes.TrimSpace(res.Body); len(body) > 0 && body[0] == '{' {
		list = make([]result, 1)
		if json.Unmarshal(body, &list[0]) != nil || !list[0].Success && len(list[0].Errors) == 0 {
			return nil
		}
	} else if json.Unmarshal(body, &list) != nil {
		return nil
	}
	if len(list) != records {
		return nil
	}
	return list
}

// code returns the code of a record's first error; "" without one.
func (r result) code() string {
	if r.Success || len(r.Errors) == 0 {
		return ""
	}
	return r.Errors[0].code()
}

// problems returns the errors of a body, which are a list, or rarely a bare object.
func problems(body []byte) []problem {
	var list []problem
	if json.Unmarshal(body, &list) == nil {
		return list
	}
	list = make([]problem, 1)
	if json.Unmarshal(body, &list[0]) != nil {
		return nil
	}
	return list
}

// code returns the code, whatever its name.
func (p problem) code() string {
	if p.Code != "" {
		return p.Code
	}
	return p.RecordCode
}

// named returns the fields at fault, as `: LastName, Company`.
func (p problem) named() string {
	var names []string
	for _, name := range p.Fields {
		if apiName.MatchString(name) && len(names) < 3 && len(name) <= 40 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, ", ")
}
