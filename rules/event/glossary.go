package event

// GlossaryEntry is a name of the rule language as people are told of it.
type GlossaryEntry struct {
	// Name is how it is usually written; Path is its place in the event's data where that is longer, else empty.
	Name string
	Path string
	Kind Kind
	// Open says that names of the platform's or the caller's own may follow it: params.plan.
	Open bool
	// About says what it is, in one sentence.
	About string
}

// Glossary tells of every name that is one value: those of the header, then those of the data in the envelope's order.
// Groups, such as respondent, are names too; they stand in Groups.
func Glossary() []GlossaryEntry {
	short := map[string]string{}
	for name, path := range Shortcuts {
		short[path] = name
	}
	var all []GlossaryEntry
	for _, name := range DerivedNames {
		if name != group {
			all = append(all, GlossaryEntry{Name: name, Kind: String, About: about[name]})
		}
	}
	for i := range leaves {
		l := &leaves[i]
		n := GlossaryEntry{Name: l.Path, Kind: l.Kind, Open: l.Open, About: about[l.Path]}
		if name, ok := short[l.Path]; ok {
			n.Name, n.Path = name, l.Path
		}
		all = append(all, n)
		if l.Path == pathNPS {
			all = append(all, GlossaryEntry{Name: group, Kind: String, About: about[group]})
		}
	}
	return all
}

// group is the one derived name that is no attribute of the header.
const group = "nps_group"

// GroupNames are the names that hold other names.
func GroupNames() []string {
	var all []string
	for _, f := range Fields() {
		if f.Kind == Object && !f.Open {
			all = append(all, f.Path)
		}
	}
	return all
}

// NPSGroups are all that nps_group can be.
var NPSGroups = []string{"detractor", "passive", "promoter"}

// Words is the kind as people read it.
func (k Kind) Words() string {
	switch k {
	case String:
		return "text"
	case Bool:
		return "true or false"
	case Array:
		return "list"
	}
	return string(k)
}

// about says what each name is.
var about = map[string]string{
	"type":       "What happened, as `response.completed`; without `events:` a rule hears that type alone.",
	"source":     "The name of the source that the event came through; `api` for what a token publishes.",
	"tenant":     "Whose event it is; `default` where nobody says otherwise.",
	"time":       "When it happened, as `2026-01-02T03:04:05Z` (UTC).",
	group:        "What the NPS makes of the respondent: `detractor` (0 to 6), `passive` (7 and 8) or `promoter` (9 and 10).",
	"account.id": "The platform's id of the account or workspace.",

	"survey.id":      "The platform's id of the survey.",
	"survey.title":   "The survey's title.",
	"survey.type":    "What kind of survey it is, in the platform's own word.",
	"survey.version": "The version of the survey.",

	"response.id":           "The platform's id of the response; several events may tell of one response.",
	"response.completed":    "Whether the respondent reached the end; where the platform does not say it, the event's type does.",
	"response.started_at":   "When the response began (UTC).",
	"response.completed_at": "When the response was submitted (UTC).",
	"response.updated_at":   "When the response was last changed (UTC).",
	"response.duration_s":   "How long the response took, in seconds.",
	"response.permalink":    "The address of the response at the platform.",
	"response.review_state": "What a reviewer decided, in the platform's own word.",
	"response.score.nps":    "The answer to \"how likely are you to recommend us\", 0 to 10.",
	"response.score.csat":   "The satisfaction score, in the scale of the survey.",
	"response.score.ces":    "The effort score, in the scale of the survey.",
	"response.score.custom": "A score that the platform works out itself, such as a quiz's points.",
	"response.feedback":     "What the respondent wrote in their own words.",
	"response.answers":      "All answers; `answer(\"…\")` finds one. Each has `.question_id`, `.question`, `.type`, `.value` and `.comment`.",
	"response.result":       "The outcome of a quiz, as `response.result.title`.",
	"response.leads":        "Lead forms that were filled in.",

	"respondent.id":          "The platform's id of the person.",
	"respondent.external_id": "Your own id of the person, where the platform was given it.",
	"respondent.email":       "The e-mail address.",
	"respondent.name":        "The whole name; made of first and last name where only those are known.",
	"respondent.first_name":  "The first name; taken from the whole name where only that is known.",
	"respondent.last_name":   "The last name; taken from the whole name where only that is known.",
	"respondent.phone":       "The phone number, as it was typed.",
	"respondent.verified":    "Whether the platform has proved who the person is.",
	"respondent.consent":     "Whether the person agreed to be written to. Where the platform does not send it, a role says which question it is.",
	"respondent.params":      "Hidden fields and link parameters, each by its own name: `params.plan`, `params[\"plan-name\"]`.",

	"context.ip":           "The address that the response came from.",
	"context.user_agent":   "The browser that it came from.",
	"context.page_url":     "The page that the survey was shown on.",
	"context.channel":      "How the survey reached the person, in the platform's own word.",
	"context.language":     "The language of the survey, as the platform writes it.",
	"context.country":      "The country, as the platform writes it.",
	"context.collector_id": "The platform's id of the link, e-mail or embed that the survey was sent by.",

	"warnings": "What of the platform's body could not be used.",
	"unread":   "Places of the platform's body whose values the event does not hold.",
}
