package expression

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser/lexer"

	"github.com/surveygate/surveygate/rules/event"
)

// meant are words that people write for names of the event, and the names that they mean.
var meant = map[string]string{ //nolint:gosec // words
	"nps": "nps_score", "score": "nps_score or csat_score", "rating": "csat_score or nps_score", "stars": "csat_score",
	"csat": "csat_score", "ces": "ces_score", "group": "nps_group", "segment": "nps_group", "detractor": `nps_group == "detractor"`,
	"promoter": `nps_group == "promoter"`, "passive": `nps_group == "passive"`,
	"platform": "source", "provider": "source", "vendor": "source",
	"event": "type", "event_type": "type", "event.type": "type", "kind": "type",
	"duration": "response.duration_s", "seconds": "response.duration_s", "response.duration": "response.duration_s",
	"survey.name": "survey.title", "survey_name": "survey.title", "title": "survey.title", "form": "survey.title", "form.name": "survey.title",
	"survey_id": "survey.id", "form_id": "survey.id", "form.id": "survey.id", "id": "response.id", "response_id": "response.id",
	"comment": "feedback", "comments": "feedback", "text": "feedback", "message": "feedback", "remark": "feedback", "response.comment": "feedback",
	"mail": "email", "e_mail": "email", "email_address": "email", "respondent.mail": "respondent.email",
	"tel": "phone", "mobile": "phone", "telephone": "phone",
	"contact": "respondent", "user": "respondent", "customer": "respondent", "user_id": "respondent.external_id", "customer_id": "respondent.external_id",
	"opt_in": "consent", "optin": "consent", "gdpr": "consent",
	"company": "account", "organization": "account", "company_id": "account.id",
	"language": "context.language", "lang": "context.language", "locale": "context.language", "country": "context.country",
	"url": "context.page_url", "page": "context.page_url", "browser": "context.user_agent",
	"date": "time", "timestamp": "time", "created_at": "time", "submitted_at": "response.completed_at", "completed_at": "response.completed_at",
	"completed": "response.completed", "finished": "response.completed", "question": `answer("4")`, "answers": "response.answers",
	"utm_source": "params.utm_source", "utm_campaign": "params.utm_campaign", "utm_medium": "params.utm_medium",
}

// nearest is the name of the event that was probably meant: one that means the same, one spelt alike, or one that ends or
// begins with what was written, as `score.nps` does.
func nearest(name string) string {
	if known := meant[strings.ToLower(name)]; known != "" {
		return known
	}
	names := event.Names()
	if near := event.Nearest(name, names); near != "" {
		return near
	}
	for _, candidate := range names {
		if strings.HasSuffix(candidate, "."+name) || strings.HasPrefix(candidate, name+"_") {
			return candidate
		}
	}
	return ""
}

// noClock is the remedy for functions of the time of day, which the language does not have: what a rule decides must be the
// same whenever it is asked.
const noClock = `a rule has no clock and no durations; times are texts: time >= "2026-01-31", seconds are response.duration_s, and delay: 48h waits before it sends`

// clockFunctions are those of other languages that ask for the time of day, or make times and durations.
var clockFunctions = map[string]bool{
	"now": true, "today": true, "date": true, "duration": true, "timezone": true, "age": true, "days": true, "hours": true, "minutes": true, "ago": true,
}

// badNumber is a number that cannot be read: most often one with a unit.
func (c *compiler) badNumber(from int) {
	part := func(b byte) bool {
		return b == '.' || b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
	}
	for from > 0 && part(c.src.text[from-1]) {
		from--
	}
	text := c.src.text[from:]
	end := 0
	for end < len(text) && part(text[end]) {
		end++
	}
	word, remedy := text[:end], ""
	if unit := strings.TrimLeft(word, "0123456789."); len(unit) > 0 && strings.Trim(unit, "smhdwSMHDW") == "" {
		remedy = noClock
	} else if strings.Contains(word, "_") {
		remedy = "write it without _"
	}
	c.faultAt(from, from+len(word), fmt.Sprintf("`%s` is not a number", word), remedy)
}

// dashed is a key of the respondent's or the URL's own that has a dash in it: without quotes that is a subtraction. It
// reports whether it was one.
func (c *compiler) dashed(n *ast.BinaryNode) bool {
	if n.Operator != "-" {
		return false
	}
	from, to := c.src.span(n)
	text := c.src.text[from:to]
	if strings.ContainsAny(text, " \t\n") {
		return false
	}
	path, ok := pathOf(n.Left)
	if !ok {
		if inner, is := n.Left.(*ast.BinaryNode); is { // of a-b-c, a-b is the left side
			for inner.Operator == "-" {
				next, is := inner.Left.(*ast.BinaryNode)
				if !is {
					break
				}
				inner = next
			}
			path, ok = pathOf(inner.Left)
		}
	}
	if !ok || len(path) < 2 {
		return false
	}
	for i := len(path) - 1; i > 0; i-- {
		prefix := strings.Join(path[:i], ".")
		if fields[prefix].open {
			c.fault(n, fmt.Sprintf("`%s` is a subtraction", clip(text)), fmt.Sprintf("a key with a dash is quoted: %s[%q]", prefix, strings.TrimPrefix(text, prefix+".")))
			return true
		}
	}
	return false
}

// piped is a filter as template languages write it: `name | upper`.
func (c *compiler) piped(i int) {
	t, remedy := c.src.tokens[i], "write or"
	before := strings.TrimRight(c.src.text[:t.from], " \t\n")
	start := strings.LastIndexAny(before, " \t\n(,") + 1
	if c.want != asCondition {
		start = 0
	}
	operand := clip(strings.TrimSpace(before[start:]))
	if i+1 < len(c.src.tokens) && c.src.tokens[i+1].Kind == lexer.Identifier && operand != "" {
		switch name := c.src.tokens[i+1].Value; {
		case functions[name] != nil && functions[name].min == 1:
			remedy = fmt.Sprintf("write %s(%s)", name, operand)
		case name == "default":
			remedy = fmt.Sprintf("write %s ?? 'something else'", operand)
		case c.want != asCondition:
			remedy = "there are no filters; functions stand before, as in upper(name)"
		}
	}
	message := "`|` does not join conditions"
	if remedy != "write or" {
		message = "`|` is not part of the rule language"
	}
	c.faultAt(t.from, t.to, message, remedy)
}

// anyOf finds an operator on texts that is asked of several at once, as `feedback contains any ["a", "b"]`, and says how that
// is written.
func (c *compiler) anyOf(i int) bool {
	tokens := c.src.tokens
	if i == 0 || i+2 >= len(tokens) || !isTextOperator(tokens[i]) {
		return false
	}
	word := strings.ToLower(tokens[i+1].Value)
	if (word != "any" && word != "all" && word != "one" && word != "none" && word != "of") || (tokens[i+2].Value != "[" && tokens[i+2].Value != "(") {
		return false
	}
	if word == "of" {
		word = "any"
	}
	c.faultAt(tokens[i+1].from, tokens[i+1].to, fmt.Sprintf("`%s` asks for one text", tokens[i].Value),
		fmt.Sprintf("ask for each: %s(%s, %s %s #)", word, c.listFrom(i+2), tokens[i-1].Value, tokens[i].Value))
	return true
}

// listFrom is the list that begins at a token, as it was written.
func (c *compiler) listFrom(i int) string {
	from, depth := c.src.tokens[i].to, 0
	for _, t := range c.src.tokens[i:] {
		switch d := bracket(t); {
		case d > 0:
			depth++
		case d < 0:
			if depth--; depth == 0 {
				inner := strings.TrimSpace(c.src.text[from:t.from])
				if text := "[" + strings.TrimSuffix(strings.TrimPrefix(inner, "["), "]") + "]"; utf8.RuneCountInString(text) <= 40 {
					return text
				}
				return `["a", "b"]`
			}
		}
	}
	return `["a", "b"]`
}

// calledOperator is an operator that is written as a function: contains(feedback, "slow").
func (c *compiler) calledOperator(i int) bool {
	tokens := c.src.tokens
	t := tokens[i]
	if t.Kind != lexer.Operator || !isTextOperator(t) && t.Value != "matches" ||
		i+1 >= len(tokens) || tokens[i+1].Value != "(" || i > 0 && valueLike(tokens[i-1]) {
		return false
	}
	c.faultAt(t.from, t.to, fmt.Sprintf("`%s` is an operator, which stands between two values", t.Value), fmt.Sprintf("write feedback %s 'slow'", t.Value))
	return true
}

func isTextOperator(t token) bool {
	_, ok := textOperators[t.Value]
	return ok && t.Kind == lexer.Operator
}
