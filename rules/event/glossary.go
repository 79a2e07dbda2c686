package event

// GlossaryEntry describes a name of the rule language, for documentation.
type GlossaryEntry struct {
	// Name is the usual form of the name.
	Name string
	// Path is its path in the event's data; empty if that is the same as Name.
	Path string
	// Alias is a further word for it; empty: there is none.
	Alias string
	Kind  Kind
	// Open is set if further keys may follow the name, which the platform or the publisher chooses: params.plan.
	Open bool
	// About describes the value in one sentence.
	About string
}

// Glossary returns an entry for every name that is a single value: those of the header, and then those of the data in the
// envelope's order. GroupNames returns the groups, such as respondent.
func Glossary() []GlossaryEntry {
	short := map[string]string{}
	for name, path := range Shortcuts {
		short[path] = name
	}
	alias := map[string]string{}
	for word, name := range Aliases {
		alias[name] = word
	}
	var all []GlossaryEntry
	derived := func(name string) {
		all = append(all, GlossaryEntry{Name: name, Kind: DerivedKind(name), About: about[name]})
	}
	for _, name := range DerivedNames {
		if name != group && name != NameComplete && name != NameRate {
			derived(name)
		}
	}
	for i := range leaves {
		l := &leaves[i]
		n := GlossaryEntry{Name: l.Path, Kind: l.Kind, Open: l.Open, About: about[l.Path]}
		if name, ok := short[l.Path]; ok {
			n.Name, n.Path = name, l.Path
		}
		n.Alias = alias[n.Name]
		all = append(all, n)
		switch l.Path {
		case pathNPS:
			derived(group)
		case pathCompleted:
			derived(NameComplete)
		case pathAnswers:
			derived(NameRate)
		}
	}
	return all
}

// group is the derived name that is made of a score.
const group = "nps_group"

const (
	pathAnswers   = "response.answers"
	pathCompleted = "response.completed"
)

// GroupNames returns the paths of groups, which contain other names.
func GroupNames() []string {
	var all []string
	for _, f := range Fields() {
		if f.Kind == Object && !f.Open {
			all = append(all, f.Path)
		}
	}
	return all
}

// NPSGroups are all values of nps_group.
var NPSGroups = []string{"detractor", "passive", "promoter"}

// Words returns the kind in plain words, for documentation.
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

// about describes each name.
var about = map[string]string{
	"type":       "What happened, such as `response.completed`, which is the only type that a rule without `events:` gets.",
	"source":     "The name of the source that the event came through; `api` for what a token publishes.",
	"tenant":     "The tenant that owns the event; `default` without one.",
	"time":       "When it happened, as `2026-01-02T03:04:05Z` (UTC).",
	"received":   "When the gateway received it (UTC), in the same form.",
	NameHour:     "The hour of the receipt, 0 to 23, in the `timezone` of the rule; in UTC without one.",
	NameWeekday:  "The day of the receipt in the same zone: `monday` to `sunday`.",
	NameAge:      "How many full days old the event was when it was received: 0 for one that was sent at once, or without a time.",
	NameComplete: "Whether the respondent reached the end: `response.completed`, or if that is absent what the event's type says.",
	NameRate:     "How many percent of the questions in the event were answered, 0 to 100. A platform that sends no unanswered questions always gives 100.",
	group:        "The group of the NPS score: `detractor` (0 to 6), `passive` (7 and 8) or `promoter` (9 and 10).",
	"account.id": "The platform's id of the account or workspace.",

	"survey.id":      "The platform's id of the survey.",
	"survey.title":   "The survey's title.",
	"survey.type":    "The kind of survey, in the platform's own word.",
	"survey.version": "The version of the survey.",

	"response.id":           "The platform's id of the response; several events may concern one response.",
	"response.completed":    "Whether the respondent reached the end; if the platform does not send it, it follows from the event's type.",
	"response.started_at":   "When the response began (UTC).",
	"response.completed_at": "When the response was submitted (UTC).",
	"response.updated_at":   "When the response was last changed (UTC).",
	"response.duration_s":   "How long the response took, in seconds.",
	"response.permalink":    "The address of the response at the platform.",
	"response.review_state": "What a reviewer decided, in the platform's own word.",
	"response.score.nps":    "The answer to \"how likely are you to recommend us\", 0 to 10.",
	"response.score.csat":   "The satisfaction score, in the scale of the survey.",
	"response.score.ces":    "The effort score, in the scale of the survey.",
	"response.score.custom": "A score that the platform computes, such as a quiz's points.",
	"response.feedback":     "What the respondent wrote in their own words.",
	"response.answers":      "All answers; `answer(\"…\")` finds one. Each has `.question_id`, `.question`, `.type`, `.value` and `.comment`.",
	"response.result":       "The outcome of a quiz, such as `response.result.title`.",
	"response.leads":        "Lead forms that were filled in.",
	pathCleared:             "Ids of questions that were answered with nothing, and fields that such an answer would have filled.",
	"response.status":       "How far the response has come: `started`, `partial`, `completed`, `disqualified`, `overquota` or `deleted`. Only rules with `settle` or `amend` know it, as what follows.",
	"response.version":      "1 for the response as it was submitted first; each change of a submitted response adds 1.",
	"response.events":       "How many events of the response there are.",
	"response.first_at":     "When the first event of the response was received (UTC).",
	"response.last_at":      "When the last event of the response was received (UTC).",

	"respondent.id":          "The platform's id of the person.",
	"respondent.external_id": "Your own id of the person, if the platform was given it.",
	"respondent.email":       "The e-mail address.",
	"respondent.name":        "The full name; joined from the first and last name if only those are known.",
	"respondent.first_name":  "The first name; taken from the full name if only that is known.",
	"respondent.last_name":   "The last name; taken from the full name if only that is known.",
	"respondent.phone":       "The phone number, as it was typed.",
	"respondent.verified":    "Whether the platform has proved who the person is.",
	"respondent.consent":     "Whether the person consented to receive e-mail. If the platform does not send it, a role names the question that asks for it.",
	"respondent.params":      "Hidden fields and link parameters, each by its own name: `params.plan`, `params[\"plan-name\"]`.",

	"context.ip":           "The IP address that the response came from.",
	"context.user_agent":   "The browser that it came from.",
	"context.page_url":     "The page that the survey was shown on.",
	"context.channel":      "How the survey reached the person, in the platform's own word.",
	"context.language":     "The language of the survey, as the platform writes it.",
	"context.country":      "The country, as the platform writes it.",
	"context.collector_id": "The platform's id of the link, e-mail or embed that the survey was sent by.",

	"notice.summary":     "A notice of the gateway as one sentence. Only events `gateway.*` have a notice; a rule gets them if its `events:` names them.",
	"notice.destination": "The connection or webhook that a notice is about.",
	"notice.source":      "The source that a notice is about.",
	"notice.setting":     "What was changed, such as `webhook/crm`.",
	"notice.act":         "What was done to it, such as `webhook.update`.",
	"notice.by":          "Who did it, such as `token:ci`.",
	"notice.reason":      "Why: what the destination answered last, or why requests of a source were refused.",
	"notice.count":       "How many deliveries, requests or changes a notice is about.",
	"notice.since":       "Since when (UTC).",

	"warnings": "Messages about values of the platform's body that could not be used.",
	"unread":   "Paths of the platform's body whose values the event does not contain.",
}
