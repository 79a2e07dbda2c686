package route

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/rules/event"
)

// Parameter is a parameter of the query, as the description of the API shows it.
type Parameter struct {
	Name string
	// Under limits the declaration to paths that begin with it, in place of the one for all paths.
	Under string
	// For is what it selects or changes.
	For  string
	Type ParameterType
	// Words are the values that a Word can have, Default is the one without it.
	Words   []string
	Default string
	// Kinds, of Free text KIND:NAME or KIND alone, are the kinds that there are; nil: it is other text.
	Kinds []string
}

// ParameterType is what a parameter's text is.
type ParameterType string

// The types of parameters.
const (
	// Free is any text.
	Free ParameterType = ""
	// Flag is true or false, which is the default: Call.Flag.
	Flag ParameterType = "flag"
	// Word is one of a few words.
	Word ParameterType = "word"
	// WordList is some of a few words, with commas between them.
	WordList ParameterType = "words"
	// Moment is a time or how long ago: Call.Span.
	Moment ParameterType = "moment"
	// Length is the length of a page: Call.Limit.
	Length ParameterType = "length"
)

// tenant is a parameter of every route.
var tenant = Parameter{Name: "tenant", For: "The tenant, for a token of all tenants; without it, `default`."}

// parameters declares the parameters of all routes. A name means the same everywhere, but where Under says otherwise.
var parameters = []Parameter{
	{Name: "again", For: "Also events that were normalised again before.", Type: Flag},
	{Name: "by", For: "`name` gives one series for each name.", Type: Word, Words: []string{"none", "name"}, Default: "none"},
	{Name: "by", Under: "/v1/audit", For: "Who did it, such as `token:ci`."},
	{Name: "cascade", For: "Delete also everything that it owns, as a job.", Type: Flag},
	{Name: "cursor", For: "Continue a list: the `next` of the page before."},
	{Name: "dead", For: "Only dead letters.", Type: Flag},
	{Name: "destination", For: "The name of a connection or webhook."},
	{Name: "dry_run", For: "Change nothing, and answer what would change.", Type: Flag},
	{Name: "email", For: "Whose record products write."},
	{Name: "event", For: "The id of an event."},
	{Name: "failed", For: "Only deliveries with a failed attempt.", Type: Flag},
	{Name: "force", For: "Use the configuration even if it removes much.", Type: Flag},
	{Name: "fresh", For: "Deliver with new ids, so that receivers do not take it for a repetition.", Type: Flag},
	{Name: "include", For: "`standing` adds what waits, the dead letters and the hold.", Type: Word, Words: []string{"standing"}},
	{Name: "include", Under: "/v1/destinations", For: "`standing` adds what waits, the dead letters and the hold; `trend` the attempts of 24 hours. Both: `standing,trend`.", Type: WordList, Words: []string{"standing", "trend"}},
	{Name: "include", Under: "/v1/sources", For: "`seen` adds what it received, and whether it is silent.", Type: Word, Words: []string{"seen"}},
	{Name: "include", Under: "/v1/rules", For: "`seen` adds what it matched, `tests` how its own tests end. Both: `seen,tests`.", Type: WordList, Words: []string{"seen", "tests"}},
	{Name: "include", Under: "/v1/deliveries", For: "`event` adds the event's head, without its content.", Type: Word, Words: []string{"event"}},
	{Name: "include", Under: "/v1/events", For: "`raw` is the raw body, which is always there.", Type: Word, Words: []string{"raw"}},
	{Name: "limit", For: "The length of a page.", Type: Length},
	{Name: "lock", For: "Only the owner may change what it imports.", Type: Flag},
	{Name: "matched", For: "Only decided events that a rule or webhook matched, or with `false` that none did; with `rule`, that this one did, or did not.", Type: Word, Words: []string{"true", "false"}},
	{Name: "mode", For: "`replace` also deletes what the owner had and the import lacks.", Type: Word, Words: []string{"merge", "replace"}, Default: "merge"},
	{Name: "normalise", For: "Read the raw body again first.", Type: Flag},
	{Name: "of", For: "`destination:NAME`, `source:NAME`, `rule:NAME` or `survey:SOURCE/SURVEY`; without a name, all of them together."},
	{Name: "of", Under: "/v1/audit", For: "What was changed, as `webhook/NAME`, or a kind such as `webhook`.", Kinds: audit.Kinds},
	{Name: "owner", For: "Whose documents these are."},
	{Name: "q", For: "Only those with this text in their name or title, whatever its case."},
	{Name: "q", Under: "/v1/destinations", For: "Only those with this text in their name or product, whatever its case."},
	{Name: "q", Under: "/v1/sources", For: "Only those with this text in their name or profile, whatever its case."},
	{Name: "q", Under: "/v1/rules", For: "Only those with this text in their name, whatever its case."},
	{Name: "q", Under: "/v1/connections", For: "Only those with this text in their name, whatever its case."},
	{Name: "q", Under: "/v1/deliveries", For: "The id of a delivery, event or response, or the e-mail address, phone number or external id of the person who answered."},
	{Name: "reason", For: "Why, for those who look at it later."},
	{Name: "respondent", For: "The e-mail address, phone number or external id of the person who answered."},
	{Name: "response", For: "The platform's id of a response."},
	{Name: "restore", For: "Make a deleted tenant again of which events are kept: it sees them.", Type: Flag},
	{Name: "rule", For: "The name of a rule or webhook."},
	{Name: "sealed", For: "Also the secrets, sealed for gateways with the same key of the vault.", Type: Flag},
	{Name: "show_secrets", For: "Show path tokens; it needs the scope `secrets`.", Type: Flag},
	{Name: "since", For: "From this time on: RFC 3339, or how long ago, as `15m`, `24h` or `7d`.", Type: Moment},
	{Name: "sort", For: "The order; with `-` before it, the largest or latest first. Those without a value come last.", Type: Word, Words: DestinationOrders, Default: "name"},
	{Name: "sort", Under: "/v1/sources", For: "The order: by name, or by the events accepted or the requests refused in 24 hours; with `-` before it, the largest first.", Type: Word, Words: SourceOrders, Default: "name"},
	{Name: "sort", Under: "/v1/rules", For: "The order: by name, or by the events matched or the errors in 24 hours; with `-` before it, the largest first.", Type: Word, Words: RuleOrders, Default: "name"},
	{Name: "source", For: "The name of a source; `api` is what is published here."},
	{Name: "state", For: "The state of a delivery.", Type: Word, Words: []string{"waiting", "delivered", "skipped", "dead", "dropped"}},
	{Name: "status", For: "The HTTP status of the last attempt: a number as `429`, a class as `5xx`, or `0` where there was no answer."},
	{Name: "step", For: "The length of one point.", Type: Word, Words: []string{"minute", "hour", "day"}, Default: "hour"},
	{Name: "survey", For: "The platform's id of a survey."},
	{Name: "type", For: "A canonical type of event, such as `response.completed`."},
	{Name: "verdict", For: "The verdict of the last attempt.", Type: Word, Words: []string{"delivered", "skipped", "retry", "rejected", "revoked"}},
	{Name: "until", For: "Up to this time, as `since`.", Type: Moment},
}

// DestinationOrders are the orders of a list of destinations: by name, or by a figure.
var DestinationOrders = []string{
	"name", "-name", "attempts", "-attempts", "failed", "-failed", "success", "-success", "p95", "-p95", "waiting", "-waiting", "oldest", "-oldest", "dead", "-dead",
}

// SourceOrders and RuleOrders are those of lists of sources and of rules.
var (
	SourceOrders = []string{"name", "-name", "events", "-events", "refused", "-refused"}
	RuleOrders   = []string{"name", "-name", "matched", "-matched", "errors", "-errors"}
)

// Parameters returns the declarations of a route's parameters, `tenant` last where the path does not name it. unknown are names of Query without a declaration.
func (r *Route) Parameters() (all []Parameter, unknown []string) {
	for _, name := range r.Query {
		if p := r.parameter(name); p != nil {
			all = append(all, *p)
			continue
		}
		unknown = append(unknown, name)
	}
	if r.TenantIn == "" {
		all = append(all, tenant)
	}
	return all, unknown
}

// parameter returns the declaration of a parameter for this route; nil without one.
func (r *Route) parameter(name string) (best *Parameter) {
	for i := range parameters {
		p := &parameters[i]
		if p.Name == name && strings.HasPrefix(r.Path, p.Under) && (best == nil || len(p.Under) > len(best.Under)) {
			best = p
		}
	}
	return best
}

// check refuses a value that the parameter cannot have. Its handler checks what no declaration says.
func (p *Parameter) check(value string) (err error) {
	if value == "" {
		return nil
	}
	switch p.Type {
	case Flag:
		_, err = ReadFlag(value, p.Name)
	case Length:
		_, err = readLimit(value)
	case Moment:
		_, err = ReadMoment(value, wall.Now(), p.Name)
	case Word:
		return p.checkWord(value)
	case WordList:
		for word := range strings.SplitSeq(value, ",") {
			if err := p.checkWord(word); err != nil {
				return err
			}
		}
	case Free:
		if p.Kinds != nil {
			kind, _, _ := strings.Cut(strings.Replace(value, "/", ":", 1), ":")
			return (&Parameter{Name: p.Name, Words: p.Kinds}).checkWord(kind)
		}
	}
	return err
}

func (p *Parameter) checkWord(word string) error {
	last := len(p.Words) - 1
	switch {
	case slices.Contains(p.Words, word):
		return nil
	case last == 0:
		return answer.Invalid("this is `"+p.Words[0]+"` or nothing", p.Name)
	}
	msg := "this is `" + strings.Join(p.Words[:last], "`, `") + "` or `" + p.Words[last] + "`"
	if near := event.Nearest(word, p.Words); near != "" {
		msg += "; did you mean `" + near + "`?"
	}
	return answer.Invalid(msg, p.Name)
}
