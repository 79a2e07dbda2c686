package console

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// maxRules is how many rules and webhooks the page of an event shows, the ones that matched first; maxAnswers how many answers, each with at
// most maxAnswer bytes.
const (
	maxRules   = 60
	maxAnswers = 200
	maxAnswer  = 4 << 10
)

type eventPage struct {
	view.Record
	Explained view.Explanation
	Title     string
	Way       []wayStep
	// Took is in words how long it was from the receipt to the last attempt, or to the decision.
	Took  string
	Rules []explainedRule
	// MoreRules is how many are not shown; Matched and Asked count all.
	MoreRules, Matched, Asked int
	// AllRules is `all` where all are asked for.
	AllRules string
	Data     eventData
	Scores   []score
	Context  []fact
	// Answers are the first of the response, MoreAnswers how many more it has.
	Answers     []answered
	MoreAnswers int
	Raw         rawBody
	// MayWrite: the visitor may replay; MayEdit: may write rules.
	MayWrite, MayEdit bool
	Problem           *page.Problem
}

// eventData is what the page shows of a normalised event. Numbers stay as they are written.
type eventData struct {
	Raw struct {
		ContentType string  `json:"content_type"`
		Encoding    string  `json:"encoding"`
		SHA256      string  `json:"sha256"`
		Redacted    bool    `json:"redacted"`
		Body        *string `json:"body"`
	} `json:"raw"`
	Survey struct {
		ID, Title, Type, Version string
	} `json:"survey"`
	Response struct {
		ID          string                     `json:"id"`
		Completed   *bool                      `json:"completed"`
		CompletedAt string                     `json:"completed_at"`
		DurationS   json.Number                `json:"duration_s"`
		Permalink   string                     `json:"permalink"`
		ReviewState string                     `json:"review_state"`
		Score       map[string]json.RawMessage `json:"score"`
		Feedback    string                     `json:"feedback"`
		Answers     []answered                 `json:"answers"`
		Leads       []json.RawMessage          `json:"leads"`
	} `json:"response"`
	Respondent struct {
		ID         string          `json:"id"`
		ExternalID string          `json:"external_id"`
		Email      string          `json:"email"`
		Name       string          `json:"name"`
		FirstName  string          `json:"first_name"`
		LastName   string          `json:"last_name"`
		Phone      string          `json:"phone"`
		Verified   *bool           `json:"verified"`
		Consent    *bool           `json:"consent"`
		Params     json.RawMessage `json:"params"`
	} `json:"respondent"`
	Context map[string]string `json:"context"`
}

// answered is an answer of a response. Value is JSON.
type answered struct {
	QuestionID string          `json:"question_id"`
	Question   string          `json:"question"`
	Value      json.RawMessage `json:"value"`
	Comment    string          `json:"comment"`
}

// Shown returns the value as far as the page shows it.
func (a *answered) Shown() page.Excerpt { return page.Cut(string(a.Value), maxAnswer) }

// score is a score of a response; Group is that of an NPS.
type score struct{ Name, Value, Group string }

// fact is a line of the normalised event.
type fact struct{ Name, Value string }

// scoreNames and contextNames are the fields of an event, in the order in which they are shown.
var (
	scoreNames   = []fact{{"nps", "NPS"}, {"csat", "CSAT"}, {"ces", "CES"}, {"custom", "Score"}}
	contextNames = []fact{
		{"ip", "IP address"}, {"user_agent", "Browser"}, {"page_url", "Page"}, {"channel", "Channel"}, {"language", "Language"}, {"country", "Country"}, {"collector_id", "Collector"},
	}
)

// scores returns the scores of a response.
func (d *eventData) scores() (all []score) {
	for _, name := range scoreNames {
		value, there := d.Response.Score[name.Name]
		if !there {
			continue
		}
		s := score{Name: name.Value, Value: string(value)}
		if n, err := strconv.ParseFloat(s.Value, 64); err == nil && name.Name == "nps" {
			switch {
			case n <= 6:
				s.Group = "detractor"
			case n >= 9:
				s.Group = "promoter"
			default:
				s.Group = "passive"
			}
		}
		all = append(all, s)
	}
	return all
}

// facts returns what is known of where a response was given.
func (d *eventData) facts() (all []fact) {
	for _, name := range contextNames {
		if value := d.Context[name.Name]; value != "" {
			all = append(all, fact{name.Value, value})
		}
	}
	return all
}

// rawBody is the body as it was received.
type rawBody struct {
	// Pieces are its text; of JSON with the names of fields apart.
	Pieces []piece
	Size   int
	// Kept: the body is stored. Binary: it is no text, and shown in base64. Indented: line breaks were added to JSON.
	Kept, Binary, Indented bool
	// Left is how many bytes of the text are not shown. More: the page can show more of them.
	Left int
	More bool
}

// piece is a part of a JSON text: the name of a field, or what is between two.
type piece struct {
	Text string
	Name bool
}

func (c *Console) event(r *page.Request) error { return c.showEvent(r, nil) }

func (c *Console) showEvent(r *page.Request, problem *page.Problem) error {
	e := eventPage{Problem: problem, MayWrite: r.May(access.Write), MayEdit: r.May(access.Settings)}
	path := page.Path("/v1/events", r.Param("id"))
	query := url.Values{"source": {r.Query("source")}} // it tells events apart that were published with the same id
	err := r.Together(
		func() error { return r.Read(path, query, &e.Record) },
		func() error { return r.Read(path+"/explain", query, &e.Explained) },
	)
	if err != nil {
		return err
	}
	part := r.Wants("state")
	if !part { // the part shows nothing of the body
		e.read(r.Query("raw"))
	}
	e.Title = eventTitle(&e.Event)
	e.Way, e.Took = wayOf(&e.Explained, &e.Event)
	e.Rules = explainedRules(&e.Explained)
	for i := range e.Rules {
		if e.Rules[i].Matched {
			e.Matched++
		}
		if e.MayWrite && e.Rules[i].Matched && e.Rules[i].Kind != "test" {
			e.Rules[i].Replay = e.ID
		}
	}
	e.Asked = len(e.Rules)
	if r.Query("rules") == "all" {
		e.AllRules = "all"
	} else if len(e.Rules) > maxRules {
		e.Rules, e.MoreRules = e.Rules[:maxRules], len(e.Rules)-maxRules
	}
	if part {
		return r.Part("event", "state", e)
	}
	return r.Show("event", e)
}

// read reads what the page shows of the event itself; raw is how its body is asked for.
func (e *eventPage) read(raw string) {
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(e.Envelope, &envelope); err == nil {
		_ = json.Unmarshal(envelope.Data, &e.Data) // what does not fit is left out here, and is in the JSON
	}
	e.Scores, e.Context = e.Data.scores(), e.Data.facts()
	e.Answers = e.Data.Response.Answers
	if e.MoreAnswers = len(e.Answers) - maxAnswers; e.MoreAnswers > 0 {
		e.Answers = e.Answers[:maxAnswers]
	}
	e.Raw = newRawBody(&e.Data, raw)
}

// eventTitle is what happened, in words: `Response completed`.
func eventTitle(ev *view.Event) string {
	if ev.Entry != nil {
		return "Entry of a stream"
	}
	words := strings.NewReplacer(".", " ", "_", " ").Replace(ev.Type)
	if words == "" {
		return "Event"
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// newRawBody returns what is shown of the raw body; how is exact for no added line breaks, and all for more of it.
func newRawBody(d *eventData, how string) rawBody {
	raw := rawBody{Kept: d.Raw.Body != nil, Binary: d.Raw.Encoding == "base64"}
	if !raw.Kept {
		return raw
	}
	text := *d.Raw.Body
	raw.Size = len(text)
	if raw.Binary {
		raw.Size = base64.StdEncoding.DecodedLen(len(text)) - strings.Count(text[max(0, len(text)-2):], "=")
	}
	limit := page.MaxText
	if how == "all" || how == "exact" {
		limit = page.MaxWhole
	}
	shown := page.Cut(text, limit)
	if how != "exact" && !raw.Binary {
		shown = page.Indent(text, limit)
	}
	raw.Indented, raw.Left, raw.More = shown.Indented, shown.Left, shown.Left > 0 && limit < page.MaxWhole
	if raw.Indented && len(shown.Text) <= page.MaxText { // each name is an element of the page
		raw.Pieces = pieces(shown.Text)
	} else {
		raw.Pieces = []piece{{Text: shown.Text}}
	}
	return raw
}

// pieces divides a JSON text, which may end early, into names of fields and the rest.
func pieces(text string) []piece {
	var all []piece
	from := 0
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		end := i + 1
		for end < len(text) && text[end] != '"' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		if end+1 < len(text) && text[end+1] == ':' {
			all = append(all, piece{Text: text[from:i]}, piece{text[i : end+1], true})
			from = end + 1
		}
		i = end
	}
	return append(all, piece{Text: text[from:]})
}
