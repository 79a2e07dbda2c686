package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules/event"
)

// Field is a field of an event, as profiles and roles name it: by its path or its short name. nps_score and
// response.score.nps are equal. Fields are comparable.
type Field struct {
	// Name is the full path.
	Name string
	*spec
}

// spec describes how a field is parsed and stored.
type spec struct {
	kind kind
	text func(*event.Data) *string
	num  func(*event.Data) **float64
	flag func(*event.Data) **bool
	// asked is the type of an answer with this role, if the platform sends none.
	asked string
}

// kind determines how a value is parsed.
type kind uint8

const (
	kindText kind = iota
	kindID        // text of limited length
	kindTime
	kindScore
	kindNPS // 0 to 10
	kindSeconds
	kindMillis // divided by 1000
	kindBool
	kindResult // a member of response.result
)

// UnmarshalText parses the name of a field.
func (f *Field) UnmarshalText(b []byte) error {
	name := string(b)
	if full, ok := event.Shortcuts[name]; ok {
		name = full
	}
	if spec, ok := fields[name]; ok {
		*f = Field{name, spec}
		return nil
	}
	if member, ok := strings.CutPrefix(name, resultPrefix); ok && member != "" && !strings.ContainsAny(member, ". ") {
		*f = Field{name, result}
		return nil
	}
	return fmt.Errorf("`%s` is not a field of an event; %s", b, document.DidYouMean(name, fieldNames()))
}

const resultPrefix = "response.result."

var result = &spec{kind: kindResult}

// fields are all fields that can be filled, by path.
var fields = map[string]*spec{
	"account.id":     {kind: kindID, text: func(d *event.Data) *string { return &d.Account.ID }},
	"survey.id":      {kind: kindID, text: func(d *event.Data) *string { return &d.Survey.ID }},
	"survey.title":   {kind: kindText, text: func(d *event.Data) *string { return &d.Survey.Title }},
	"survey.type":    {kind: kindText, text: func(d *event.Data) *string { return &d.Survey.Type }},
	"survey.version": {kind: kindText, text: func(d *event.Data) *string { return &d.Survey.Version }},

	"response.id":           {kind: kindID, text: func(d *event.Data) *string { return &d.Response.ID }},
	"response.completed":    {kind: kindBool, flag: func(d *event.Data) **bool { return &d.Response.Completed }},
	"response.started_at":   {kind: kindTime, text: func(d *event.Data) *string { return &d.Response.StartedAt }},
	"response.completed_at": {kind: kindTime, text: func(d *event.Data) *string { return &d.Response.CompletedAt }},
	"response.updated_at":   {kind: kindTime, text: func(d *event.Data) *string { return &d.Response.UpdatedAt }},
	"response.duration_s":   {kind: kindSeconds, num: func(d *event.Data) **float64 { return &d.Response.DurationS }},
	"response.duration_ms":  {kind: kindMillis, num: func(d *event.Data) **float64 { return &d.Response.DurationS }},
	"response.permalink":    {kind: kindText, text: func(d *event.Data) *string { return &d.Response.Permalink }},
	"response.review_state": {kind: kindText, text: func(d *event.Data) *string { return &d.Response.ReviewState }},
	"response.score.nps":    {kind: kindNPS, asked: "nps", num: func(d *event.Data) **float64 { return &d.Response.Score.NPS }},
	"response.score.csat":   {kind: kindScore, asked: "csat", num: func(d *event.Data) **float64 { return &d.Response.Score.CSAT }},
	"response.score.ces":    {kind: kindScore, asked: "ces", num: func(d *event.Data) **float64 { return &d.Response.Score.CES }},
	"response.score.custom": {kind: kindScore, num: func(d *event.Data) **float64 { return &d.Response.Score.Custom }},
	"response.feedback":     {kind: kindText, text: func(d *event.Data) *string { return &d.Response.Feedback }},

	"respondent.id":          {kind: kindID, text: func(d *event.Data) *string { return &d.Respondent.ID }},
	"respondent.external_id": {kind: kindID, text: func(d *event.Data) *string { return &d.Respondent.ExternalID }},
	"respondent.email":       {kind: kindText, asked: "email", text: func(d *event.Data) *string { return &d.Respondent.Email }},
	"respondent.name":        {kind: kindText, asked: "name", text: func(d *event.Data) *string { return &d.Respondent.Name }},
	"respondent.first_name":  {kind: kindText, asked: "first_name", text: func(d *event.Data) *string { return &d.Respondent.FirstName }},
	"respondent.last_name":   {kind: kindText, asked: "last_name", text: func(d *event.Data) *string { return &d.Respondent.LastName }},
	"respondent.phone":       {kind: kindText, asked: "phone", text: func(d *event.Data) *string { return &d.Respondent.Phone }},
	"respondent.verified":    {kind: kindBool, flag: func(d *event.Data) **bool { return &d.Respondent.Verified }},
	"respondent.consent":     {kind: kindBool, asked: "consent", flag: func(d *event.Data) **bool { return &d.Respondent.Consent }},

	"context.ip":           {kind: kindText, text: func(d *event.Data) *string { return &d.Context.IP }},
	"context.user_agent":   {kind: kindText, text: func(d *event.Data) *string { return &d.Context.UserAgent }},
	"context.page_url":     {kind: kindText, text: func(d *event.Data) *string { return &d.Context.PageURL }},
	"context.channel":      {kind: kindText, text: func(d *event.Data) *string { return &d.Context.Channel }},
	"context.language":     {kind: kindText, text: func(d *event.Data) *string { return &d.Context.Language }},
	"context.country":      {kind: kindText, text: func(d *event.Data) *string { return &d.Context.Country }},
	"context.collector_id": {kind: kindID, text: func(d *event.Data) *string { return &d.Context.CollectorID }},
}

func fieldNames() []string {
	names := make([]string, 0, len(fields)+len(event.Shortcuts))
	for name := range fields {
		names = append(names, name)
	}
	for name, full := range event.Shortcuts {
		if _, ok := fields[full]; ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
