package expression

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser/lexer"

	"github.com/surveygate/surveygate/rules/event"
)

// synonyms maps words that people write to the names of the event that they mean.
var synonyms = map[string]string{ //nolint:gosec // words
	"nps": "nps_score", "score": "nps_score or csat_score", "rating": "csat_score or nps_score", "stars": "csat_score",
	"csat": "csat_score", "group": "nps_group", "segment": "nps_group", "detractor": `nps_group == "detractor"`,
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

// nearest returns the name of the event that was probably meant: a synonym, a name with a similar spelling, or one that ends or
// begins with the written name, such as `score.nps`.
func nearest(name string) string {
	if known := synonyms[strings.ToLower(name)]; known != "" {
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

// noClock is the remedy for functions of the present time, which the language does not have: what a rule decides must be the same at
// any time.
const noClock = `a rule has no clock: age_days, received.hour and received.weekday are about the receipt; times are texts: time >= "2026-01-31", and delay: 48h waits before it sends`

// durationHint is the remedy for a number with a unit.
const durationHint = `write a duration as a function, which gives seconds: response.duration_s > duration("36h")`

// clockFunctions are functions of other languages that return the current time, or make times and durations.
var clockFunctions = map[string]bool{
	"now": true, "today": true, "date": true, "timezone": true, "age": true, "days": true, "hours": true, "minutes": true, "ago": true,
}

// badNumber adds the fault for a number that cannot be parsed, usually one with a unit.
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
		remedy = durationHint
	} else if strings.Contains(word, "_") {
		remedy = "write it without _"
	}
	c.faultAt(from, from+len(word), fmt.Sprintf("`%s` is not a number", word), remedy)
}

// isDashedKey adds a fault if a subtraction is probably a key with a dash that lacks its quotes, such as params.plan-name. It
// reports whether it is one.
func (c *compiler) isDashedKey(n *ast.BinaryNode) bool {
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
		if inner, is := n.Left.(*ast.BinaryNode); is { // in a-b-c, a-b is the left side
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

// pipeHint adds the fault for a filter in the form of template languages: `name | upper`.
func (c *compiler) pipeHint(i int) {
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

// anyOf adds a fault if a text operator has several operands, as in `feedback contains any ["a", "b"]`, with the correct form. It
// reports whether it found one.
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

// listFrom returns the text of the list that begins at a token.
func (c *compiler) listFrom(i int) string {
	from, depth := c.src.tokens[i].to, 0
	for _, t := range c.src.tokens[i:] {
		switch d := bracketDepth(t); {
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

// calledOperator adds a fault if an operator is written as a function: contains(feedback, "slow"). It reports whether it found
// one.
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
