package amplitude

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// answer is Amplitude's answer to an upload. Lists hold indexes of events, by the name of the field at fault.
// https://amplitude.com/docs/apis/analytics/http-v2
type answer struct {
	Ingested     *int             `json:"events_ingested"`
	Error        string           `json:"error"`
	MissingField string           `json:"missing_field"`
	Invalid      map[string][]int `json:"events_with_invalid_fields"`
	Missing      map[string][]int `json:"events_with_missing_fields"`
	Lengths      map[string][]int `json:"events_with_invalid_id_lengths"`
	Silenced     []int            `json:"silenced_events"`
	Throttled    []int            `json:"throttled_events"`
	QuotaUsers   map[string]any   `json:"exceeded_daily_quota_users"`
	QuotaDevices map[string]any   `json:"exceeded_daily_quota_devices"`
}

// throttledDelay is the shortest retry delay for events that come too fast. When a daily quota ends is not documented: events wait
// for that by the retry schedule.
// https://amplitude.com/docs/apis/analytics/http-v2
const throttledDelay = 30 * time.Second

const (
	invalidKey = "Invalid API key"
	silenced   = "silenced_events"
)

// fields are the names that a reason may quote: those that this connector sends, and the list of silenced events.
var fields = []string{"events", "event_type", "user_id", "device_id", "time", "insert_id", "event_properties", silenced}

// Judge returns the verdict on each event. Where Amplitude lists events, it has ingested none of the request.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	var a answer
	if res.JSON(&a) != nil { // an index in another form would have been read as 0
		a = answer{Error: a.Error, MissingField: a.MissingField}
	}
	v := connectors.ByStatus(res)
	var listed map[int]connectors.Verdict
	switch {
	case v.Kind == connectors.Delivered && a.Ingested == nil:
		return connectors.TryAgain("the answer is not Amplitude's")
	case v.Kind == connectors.Delivered:
		return connectors.JudgeEach(res, func(int, *event.Event) (connectors.Verdict, bool) {
			return v, *a.Ingested == len(res.Events)
		})
	case res.Status == 400 && (strings.HasPrefix(a.Error, invalidKey) || a.MissingField == "api_key"):
		return connectors.Revoke(v.Reason + ": " + invalidKey)
	case res.Status == 400:
		listed, v.Reason = a.refused(v.Reason), reason(v.Reason, a.MissingField)
	case res.Status == 429:
		if len(a.QuotaUsers)+len(a.QuotaDevices) == 0 {
			v.After = max(v.After, throttledDelay)
		}
		listed = a.throttled(v)
	}
	maps.DeleteFunc(listed, func(i int, _ connectors.Verdict) bool { return i < 0 || i >= len(res.Events) })
	if len(listed) == 0 {
		return v
	}
	return connectors.JudgeEach(res, func(i int, _ *event.Event) (connectors.Verdict, bool) {
		if v, ok := listed[i]; ok {
			return v, true
		}
		return connectors.Resend(connectors.StatusReason(res.Status)), true
	})
}

// refused returns the verdicts on the events that Amplitude will never ingest, by their index. A silenced event is one of a device
// that Amplitude ignores.
func (a answer) refused(status string) map[int]connectors.Verdict {
	all := map[int]connectors.Verdict{}
	for _, faults := range []map[string][]int{a.Invalid, a.Missing, a.Lengths, {silenced: a.Silenced}} {
		for _, field := range slices.Sorted(maps.Keys(faults)) {
			for _, i := range faults[field] {
				all[i] = connectors.Reject(reason(status, field))
			}
		}
	}
	return all
}

// throttled returns the verdict on each event of a person who has too many, by their index.
func (a answer) throttled(v connectors.Verdict) map[int]connectors.Verdict {
	all := map[int]connectors.Verdict{}
	for _, i := range a.Throttled {
		all[i] = v
	}
	return all
}

// reason appends the name of a field to a status, if this connector sends it: other names may be a respondent's words.
func reason(status, field string) string {
	if !slices.Contains(fields, field) {
		return status
	}
	return status + ": " + field
}
