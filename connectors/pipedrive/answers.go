package pipedrive

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

const (
	// burstDelay is the shortest wait after the burst limit, whose window is 2 seconds, and maxBurstDelay the longest one that
	// is believed.
	// https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting
	burstDelay    = 2 * time.Second
	maxBurstDelay = time.Minute
	// blockedDelay is the shortest wait after a 403 that is a web page: the servers in front of Pipedrive refuse everything for a
	// while, to those who go on after 429.
	// https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting
	blockedDelay = 10 * time.Minute
)

// accepted reports whether an answer is one of Pipedrive's successes, and returns the verdict on any other.
func accepted(res *connectors.Response) (v connectors.Verdict, ok bool) {
	if res.Status < 200 || res.Status > 299 {
		return refused(res), false
	}
	var p problem
	if err := res.JSON(&p); !res.Truncated && (err != nil || p.Success == nil || !*p.Success) {
		return unreadable, false
	}
	return connectors.Verdict{}, true
}

var unreadable = connectors.TryAgain("the answer is not Pipedrive's")

// vanished is the verdict on a person or a note that was found and is not there.
var vanished = connectors.TryAgain("what was found a moment ago was merged or deleted since")

func unbuildable(err error) connectors.Verdict {
	return connectors.Reject("the request cannot be built: " + err.Error())
}

// problem is Pipedrive's error. https://pipedrive.readme.io/docs/core-api-concepts-responses
type problem struct {
	Success *bool  `json:"success"`
	Error   string `json:"error"`
	Code    string `json:"code"`
}

// refused returns the verdict on a status other than 2xx. https://pipedrive.readme.io/docs/core-api-concepts-http-status-codes
func refused(res *connectors.Response) connectors.Verdict {
	var p problem
	genuine := res.JSON(&p) == nil && (p.Success != nil || p.Error != "")
	v := connectors.ByStatus(res)
	v.Reason = p.reason(v.Reason)
	switch {
	case res.Status == 402:
		v.Kind = connectors.Revoked
	case res.Status == 403 && !genuine:
		v.Kind, v.After, v.Reason = connectors.Retry, max(connectors.RetryAfter(res), blockedDelay), v.Reason+" "+edge
	case res.Status == 429 && isDaily(res.Header):
		v.After, v.Reason = untilMidnight(res), v.Reason+": "+daily
	case res.Status == 429:
		v.After = max(connectors.RetryAfter(res), burstReset(res.Header), burstDelay)
	case res.Status == 501:
		v.Kind = connectors.Rejected
	}
	return v
}

// isDaily reports whether the company's budget for the day is used up. Both headers are optional.
// https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting
func isDaily(h http.Header) bool {
	return h.Get("x-daily-ratelimit-token-remaining") == "0" || h.Get("x-daily-requests-left") == "0"
}

// burstReset returns the seconds until the burst limit ends.
func burstReset(h http.Header) time.Duration {
	wait := connectors.ParseSeconds(h.Get("x-ratelimit-reset"))
	if wait > maxBurstDelay {
		return 0 // no number of seconds
	}
	return wait
}

// untilMidnight returns the wait until the server's day ends in UTC.
// https://developers.pipedrive.com/changelog/post/daily-api-limit-for-postput-endpoints
func untilMidnight(res *connectors.Response) time.Duration {
	now := res.At.UTC()
	if server, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		now = server.UTC()
	}
	return now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
}

var (
	code = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.]{2,63}$`)
	// field matches the key of a custom field, or a field of a person or a lead, in Pipedrive's text.
	field = regexp.MustCompile(`\b([0-9a-f]{40}|owner_id|org_id|organization_id|person_id|label_ids|visible_to|marketing_status|expected_close_date|channel|emails|phones)\b`)
)

// reason returns the status, Pipedrive's code and the fields at fault. The rest of its text may contain an answer.
func (p problem) reason(text string) string {
	if code.MatchString(p.Code) {
		text += ": " + p.Code
	}
	var names []string
	for _, name := range field.FindAllString(p.Error, -1) {
		if len(names) < 2 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	return text
}

// found is a person who has an address. ID is 0 if nobody has it.
type found struct {
	ID     int64    `json:"id"`
	Phones []string `json:"phones"`
	// Emails are those of an answer to a search.
	Emails []string `json:"emails"`
	// contacts are the phones with all that Pipedrive has of them; nil from a search.
	contacts []contact
}

func (f found) hasPhone(phone string) bool {
	return slices.ContainsFunc(f.Phones, func(p string) bool { return samePhone(p, phone) })
}

// find returns the oldest person of an answer with the address, or else a verdict: after the search, the newest persons are
// listed; after those, the person is created.
func (a *Account) find(res *connectors.Response, p person) (oldest found, v connectors.Verdict) {
	persons, ok := personsIn(res, p.Email)
	switch {
	case !ok:
		return oldest, unreadable
	case len(persons) > 0:
		return slices.MinFunc(persons, func(a, b found) int { return cmp.Compare(a.ID, b.ID) }), v
	case nameOf(res) == newest:
		return oldest, connectors.Then(a.create(p))
	}
	return oldest, connectors.Then(a.listNewest())
}

// personsIn returns the persons with an address in the answer to a search, or in the list of the newest ones; ok is false for an
// answer without a list.
func personsIn(res *connectors.Response, address string) (persons []found, ok bool) {
	if nameOf(res) == newest {
		return newestWith(res, address)
	}
	var answer struct {
		Data struct {
			Items []struct {
				Item found `json:"item"`
			} `json:"items"`
		} `json:"data"`
	}
	if res.JSON(&answer) != nil || answer.Data.Items == nil {
		return nil, false
	}
	for _, i := range answer.Data.Items {
		if i.Item.ID > 0 {
			persons = append(persons, i.Item)
		}
	}
	return persons, true
}

func newestWith(res *connectors.Response, address string) (persons []found, ok bool) {
	var answer struct {
		Data []struct {
			ID      int64     `json:"id"`
			Deleted bool      `json:"is_deleted"`
			Emails  []contact `json:"emails"`
			Phones  []contact `json:"phones"`
		} `json:"data"`
	}
	if res.JSON(&answer) != nil {
		return nil, false
	}
	for _, one := range answer.Data {
		if !one.Deleted && one.ID > 0 && slices.ContainsFunc(one.Emails, func(c contact) bool { return strings.EqualFold(c.Value, address) }) {
			f := found{ID: one.ID, contacts: append([]contact{}, one.Phones...)}
			for _, phone := range one.Phones {
				f.Phones = append(f.Phones, phone.Value)
			}
			persons = append(persons, f)
		}
	}
	return persons, true
}

// personID returns the person of a chain: the one that was created, or else found. It is 0 if no answer names one.
func personID(res *connectors.Response, address string) int64 {
	for _, answer := range slices.Backward(append(slices.Clip(res.Trail), res)) {
		switch nameOf(answer) {
		case created:
			return recordID(answer)
		case "", searchedAgain, newest:
			if persons, _ := personsIn(answer, address); len(persons) > 0 {
				return slices.MinFunc(persons, func(a, b found) int { return cmp.Compare(a.ID, b.ID) }).ID
			}
		}
	}
	return 0
}

// recordID returns the id of the record that was written; 0 if the answer names none.
func recordID(res *connectors.Response) int64 {
	var answer struct {
		Data struct {
			ID int64 `json:"id"`
		} `json:"data"`
	}
	if res.JSON(&answer) != nil {
		return 0
	}
	return answer.Data.ID
}

// readPerson returns the phones of the person that was read, and their marketing status if it was asked for; ok is false if the
// answer has no person.
func readPerson(res *connectors.Response) (f found, status string, ok bool) {
	var answer struct {
		Data *struct {
			Phones []contact `json:"phones"`
			Status string    `json:"marketing_status"`
		} `json:"data"`
	}
	if res.JSON(&answer) != nil || answer.Data == nil {
		return f, "", false
	}
	for _, c := range answer.Data.Phones {
		if c.Value != "" {
			f.Phones, f.contacts = append(f.Phones, c.Value), append(f.contacts, c)
		}
	}
	return f, answer.Data.Status, true
}

// done returns a Delivered verdict with Pipedrive's id. Its reason says if several persons have the address, and if a person was not
// subscribed.
func done(res *connectors.Response, id int64) connectors.Verdict {
	v := connectors.Deliver()
	if id > 0 {
		v.Ref = strconv.FormatInt(id, 10)
	}
	var reasons []string
	for _, answer := range append(slices.Clip(res.Trail), res) {
		switch nameOf(answer) {
		case "", searchedAgain:
			if persons, _ := personsIn(answer, ""); len(persons) > 1 {
				reasons = []string{"several persons have this e-mail address; the oldest one was used"}
			}
		case read:
			_, status, ok := readPerson(answer)
			if ok && asksStatus(answer) && status != undecided && status != subscribed {
				reasons = append(reasons, notSubscribed)
			}
		}
	}
	v.Reason = strings.Join(reasons, "; ")
	return v
}

// notSubscribed is the reason for a consent that changes nothing.
const notSubscribed = "not subscribed: the person has unsubscribed, or is archived, or Pipedrive does not say"

// asksStatus reports whether the answered request asks for the person's marketing status, which only companies with Pipedrive's
// marketing app have.
// https://developers.pipedrive.com/docs/api/v1/Persons#getPerson
func asksStatus(res *connectors.Response) bool {
	return nameOf(res) == read && strings.HasSuffix(res.To.URL, marketingStatus)
}

func nameOf(res *connectors.Response) string {
	if res.To == nil {
		return ""
	}
	return res.To.Name
}
