package mixpanel

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// answer is Mixpanel's answer to an import. https://docs.mixpanel.com/reference/import-events
type answer struct {
	Imported *int     `json:"num_records_imported"`
	Failed   []failed `json:"failed_records"`
}

// failed is one record that was refused. The page shows the id as `$insert_id`, the published API description as `insert_id`.
type failed struct {
	Index    *int   `json:"index"`
	ID       string `json:"$insert_id"`
	SecondID string `json:"insert_id"`
	Field    string `json:"field"`
}

// limitWindow is the period over which Mixpanel measures its limit. https://docs.mixpanel.com/reference/import-events#rate-limit
const limitWindow = time.Minute

// Judge returns the verdict on each event. With 400, Mixpanel has stored the events that it does not name.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	var a answer
	if res.JSON(&a) != nil { // an index in another form would have been read as 0
		a = answer{}
	}
	v := connectors.ByStatus(res)
	switch refused := c.refused(res, a); {
	case v.Kind == connectors.Delivered && a.Imported == nil:
		return connectors.TryAgain("the answer is not Mixpanel's")
	case v.Kind == connectors.Delivered, res.Status == 400 && len(refused) > 0:
		stored := a.Imported != nil && *a.Imported == len(res.Events)-len(refused)
		return connectors.JudgeEach(res, func(i int, _ *event.Event) (connectors.Verdict, bool) {
			if v, ok := refused[i]; ok {
				return v, true
			}
			return connectors.Deliver(), stored
		})
	case res.Status == 429:
		v.After = cmp.Or(v.After, limitWindow)
	}
	return v
}

// refused returns the verdicts on the events that an answer names, by their index.
func (c *Connector) refused(res *connectors.Response, a answer) map[int]connectors.Verdict {
	if len(a.Failed) == 0 {
		return nil
	}
	ids := make(map[string]int, len(res.Events))
	for i, ev := range res.Events {
		ids[connectors.RecordID(ev, c.Event)] = i
	}
	all := map[int]connectors.Verdict{}
	for _, f := range a.Failed {
		i, ok := ids[cmp.Or(f.ID, f.SecondID)]
		if !ok && f.Index != nil {
			i, ok = *f.Index, *f.Index >= 0 && *f.Index < len(res.Events)
		}
		if ok {
			all[i] = connectors.Reject(c.reason(res.Status, f.Field))
		}
	}
	return all
}

// reason names the field at fault, if this connector sends it: other names may be a respondent's words.
func (c *Connector) reason(status int, field string) string {
	text := connectors.StatusReason(status)
	name, found := strings.CutPrefix(field, "properties.")
	sent := slices.Concat(reserved, connectors.FactNames, []string{ip}, c.Properties.Keys())
	if field == "event" || found && slices.Contains(sent, name) {
		text += ": " + connectors.Clip(field, 100)
	}
	return text
}
