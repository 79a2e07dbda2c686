package salesforce

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

const (
	// again is the name of the second request for records that may be accepted then.
	again = "again"
	// limitDelay is the wait when the API requests of 24 hours are used up. The 24 hours are a sliding window, so that some
	// requests are free again soon; Salesforce does not say when.
	// https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/salesforce_app_limits_cheatsheet/salesforce_app_limits_platform_api.htm
	limitDelay = 15 * time.Minute
)

// judge returns the verdict on each person. Records that may be accepted by a second request are sent once more within this attempt;
// the second answer is about those alone.
func (o *Org) judge(res *connectors.Response, own expression.Values) connectors.Verdict {
	step := stepOf(res)
	if step == converted {
		return judgeConverted(res)
	}
	if res.Status < 200 || res.Status > 299 {
		setting := "key"
		if o.Key == "" {
			setting = "object"
		}
		return refused(res, setting)
	}
	first := res
	if step == again && len(res.Trail) > 0 {
		first = res.Trail[len(res.Trail)-1] // an amendment may come before it
	}
	results := read(first, len(res.Events))
	if results == nil {
		return unreadable(first)
	}
	repeat := o.repeatable(results)
	switch {
	case step == again:
		second := read(res, len(repeat))
		if second == nil {
			return unreadable(res)
		}
		for n, i := range repeat {
			results[i] = second[n]
		}
	case len(repeat) > 0:
		next, err := o.sendAgain(res.Events, own, results, repeat)
		if err != nil {
			return connectors.Reject("the record cannot be built: " + err.Error())
		}
		return connectors.Then(next)
	}
	if len(res.Events) == 1 && results[0].code() == convertedLead {
		return o.followLead(res.Events[0], own)
	}
	return connectors.JudgeEach(res, func(i int, _ *event.Event) (connectors.Verdict, bool) { return results[i].verdict(res) })
}

// repeatable returns the indexes of the records that a second request may write: one that lacks what a new record must have, and one
// that another request created at the same moment. Plain creates have nothing to repeat.
func (o *Org) repeatable(results []result) (indexes []int) {
	for i, r := range results {
		if c := r.code(); o.Key != "" && (c == missingField || c == duplicateValue) {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// sendAgain returns the second request. A record that lacked a required field does not exist yet, so that it is completed.
func (o *Org) sendAgain(events []*event.Event, own expression.Values, results []result, indexes []int) (*connectors.Request, error) {
	people := make([]record, len(indexes))
	for n, i := range indexes {
		person, err := o.person(events[i], own)
		if err != nil {
			return nil, err
		}
		if results[i].code() == missingField {
			person = o.complete(person)
		}
		people[n] = person
	}
	return o.upsert(string(o.Object), o.Key, people).Named(again), nil
}

// unreadable returns the verdict on an answer that does not name each record. A proxy's page has written nothing: retry. If it is a
// list, the events are tried one by one.
func unreadable(res *connectors.Response) connectors.Verdict {
	if body := bytes.TrimSpace(res.Body); len(body) == 0 || body[0] != '[' {
		return connectors.TryAgain("the answer is not Salesforce's")
	}
	return connectors.JudgeEach(res, func(int, *event.Event) (v connectors.Verdict, named bool) { return v, false })
}

// refused returns the verdict on a request that was refused as a whole. setting is the one that names what Salesforce does not find.
func refused(res *connectors.Response, setting string) connectors.Verdict {
	v := connectors.ByStatus(res)
	if list := problems(res.Body); len(list) > 0 {
		v = list[0].verdict(res, v)
	}
	if res.Status == 404 && strings.HasPrefix(v.Reason, notFound) { // every request names it
		return connectors.Revoke(v.Reason).ForSetting(setting)
	}
	return v
}

// verdict returns the verdict on one record; named is false if the result says nothing.
func (r result) verdict(res *connectors.Response) (v connectors.Verdict, named bool) {
	switch {
	case r.Success:
		v = connectors.Deliver()
		if recordID.MatchString(r.ID) {
			v.Ref = r.ID
		}
		return v, true
	case len(r.Errors) == 0:
		return v, false
	}
	v = r.Errors[0].verdict(res, connectors.Reject(refusedRecord))
	v.RetryAlone = r.code() == convertedLead // alone, the person's contact is written
	return v, true
}

// verdict returns the verdict that the code leads to (see causes); otherwise is the verdict on an unknown code.
func (p problem) verdict(res *connectors.Response, otherwise connectors.Verdict) connectors.Verdict {
	c := p.code()
	if !code.MatchString(c) {
		return otherwise
	}
	v := otherwise
	i := slices.IndexFunc(causes, func(known connectors.Cause) bool { return known.Code == c })
	if i < 0 {
		v.Reason += ": " + c + p.named()
		return v
	}
	if v.Reason = c + p.named(); causes[i].Kind != "" {
		v.Kind = causes[i].Kind
	}
	switch {
	case c == "REQUEST_LIMIT_EXCEEDED" && !strings.HasPrefix(p.Message, "Concurrent"):
		v.After = max(connectors.RetryAfter(res), limitDelay)
	case c == blocked:
		for _, passing := range []string{locked, "Too many SOQL queries"} {
			if strings.Contains(p.Message, passing) {
				v = connectors.TryAgain(c + ": " + passing)
			}
		}
	}
	return v
}

// stepOf returns the name of the request that was answered.
func stepOf(res *connectors.Response) string {
	if res.To == nil {
		return ""
	}
	return res.To.Name
}
