package suggest

import (
	"fmt"
	"hash/maphash"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// The kinds of questions.
const (
	kindEmail   = "email"
	kindPhone   = "phone"
	kindConsent = "consent"
	kindScore   = "score"
	kindComment = "comment"
)

// The fields that roles can fill with them.
var (
	email    = field("email")
	phone    = field("phone")
	consent  = field("consent")
	nps      = field("nps_score")
	csat     = field("csat_score")
	ces      = field("ces_score")
	feedback = field("feedback")

	allFields = []source.Field{email, phone, consent, nps, csat, ces, feedback}
)

// field returns a field by its short name, which is part of the language.
func field(name string) (f source.Field) {
	if err := f.UnmarshalText([]byte(name)); err != nil {
		panic(err)
	}
	return f
}

const (
	minAnswers  = 5
	longText    = 20  // characters: a comment has more
	maxCompared = 500 // answers of a question that are compared with each other
	maxText     = 4096
	maxYesNo    = 16 // bytes of a yes or no
)

var (
	mails  = regexp.MustCompile(`^[^\s@,;<>]+@[^\s@,;<>]+\.[^\s@.,;<>]{2,}$`)
	phones = regexp.MustCompile(`^\+?[0-9][0-9 ()./-]{5,22}[0-9]$`)

	seed = maphash.MakeSeed()
)

// question is what was seen of a question of a survey that no role reads.
type question struct {
	survey, key, title, typ string

	answers int // that are not empty
	mails, phones, abroad, truths,
	upTo10, upTo5, upTo7, long int
	least, most float64
	compared    int
	distinct    map[uint64]bool
	filled      [7]int // of allFields, by something else than a role for this question

	mail, phone, truth, number, text string // examples
}

// add counts an answer.
func (q *question) add(s *source.Source, a *event.Answer, data *event.Data) {
	if a.IsEmpty() {
		return
	}
	text := strings.TrimSpace(a.Text())
	if text == "" {
		return
	}
	q.answers++
	for i, f := range allFields {
		if f.In(data) {
			q.filled[i]++
		}
	}
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	if len(text) <= maxYesNo && s.Takes(consent, text) {
		q.truths++
		first(&q.truth, text)
	}
	switch jsonpath.Parse(a.Value).Kind() {
	case jsonpath.Array, jsonpath.Object:
		return // several choices or parts are neither an address nor a comment
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && n == math.Trunc(n) && s.Takes(csat, text) {
		q.number10(n, text)
	}
	switch {
	case mails.MatchString(text):
		q.mails++
		first(&q.mail, text)
	case phones.MatchString(text):
		q.phones++
		first(&q.phone, text)
		if text[0] == '+' {
			q.abroad++
		}
	}
	if utf8.RuneCountInString(text) > longText {
		q.long++
		first(&q.text, text)
	}
	if q.compared < maxCompared {
		if q.distinct == nil {
			q.distinct = map[uint64]bool{}
		}
		q.compared++
		q.distinct[maphash.String(seed, text)] = true
	}
}

// number10 counts a whole number.
func (q *question) number10(n float64, text string) {
	if n < 0 || n > 10 {
		return
	}
	if q.upTo10 == 0 {
		q.least, q.most, q.number = n, n, text
	}
	q.upTo10++
	q.least, q.most = min(q.least, n), max(q.most, n)
	if n >= 1 && n <= 5 {
		q.upTo5++
	}
	if n >= 1 && n <= 7 {
		q.upTo7++
	}
}

func first(example *string, text string) {
	if *example == "" {
		*example = text
	}
}

// merge adds what was seen of the same question in another survey.
func (q *question) merge(o *question) {
	if q.upTo10 == 0 {
		q.least, q.most = o.least, o.most
	} else if o.upTo10 > 0 {
		q.least, q.most = min(q.least, o.least), max(q.most, o.most)
	}
	q.answers, q.mails, q.phones, q.abroad, q.truths = q.answers+o.answers, q.mails+o.mails, q.phones+o.phones, q.abroad+o.abroad, q.truths+o.truths
	q.upTo10, q.upTo5, q.upTo7, q.long = q.upTo10+o.upTo10, q.upTo5+o.upTo5, q.upTo7+o.upTo7, q.long+o.long
	q.compared += o.compared
	for hash := range o.distinct {
		if q.distinct == nil {
			q.distinct = map[uint64]bool{}
		}
		q.distinct[hash] = true
	}
	for i := range q.filled {
		q.filled[i] += o.filled[i]
	}
	for _, each := range [...]struct{ to, from *string }{{&q.mail, &o.mail}, {&q.phone, &o.phone}, {&q.truth, &o.truth}, {&q.number, &o.number}, {&q.text, &o.text}} {
		first(each.to, *each.from)
	}
}

// guess is what a question looks like.
type guess struct {
	kind     string
	field    source.Field
	fit      int
	evidence []string
	example  string
}

// guess says what a question looks like; ok is false if it looks like nothing that a role is for, or if the field has a value
// from elsewhere in most of the events.
func (q *question) guess() (g guess, ok bool) {
	if q.answers < minAnswers {
		return g, false
	}
	words := append(wordsOf(q.title), wordsOf(q.key)...)
	types := wordsOf(q.typ)
	switch {
	case q.share(q.mails, 80):
		g = guess{kindEmail, email, q.mails, []string{q.said(q.mails, "an e-mail address", "e-mail addresses")}, maskMail(q.mail)}
	case q.share(q.phones, 80) && (q.share(q.abroad, 80) || named(append(words, types...), phoneWords) != ""):
		g = guess{kindPhone, phone, q.phones, []string{q.said(q.phones, "a phone number", "phone numbers")}, maskPhone(q.phone)}
		if word := named(append(words, types...), phoneWords); word != "" {
			g.evidence = append(g.evidence, q.names(word))
		}
	case q.share(q.truths, 90) && named(words, consentWords) != "":
		g = guess{kindConsent, consent, q.truths, []string{q.said(q.truths, "yes or no", "yes or no"), q.names(named(words, consentWords))}, q.truth}
	case q.share(q.upTo10, 95):
		g, ok = q.score(words, types)
		if !ok {
			return g, false
		}
	case q.share(q.long, 50) && len(q.distinct)*10 >= q.compared*8:
		g = guess{kindComment, feedback, q.long, []string{q.said(q.long, fmt.Sprintf("longer than %d characters", longText), fmt.Sprintf("longer than %d characters", longText)), q.different()}, maskText(q.text)}
	default:
		return g, false
	}
	for i, f := range allFields {
		if f == g.field && q.filled[i]*2 > q.answers {
			return g, false
		}
	}
	return g, true
}

// score says which score a question with numbers is. A number alone is none: its text, id or type must say so.
func (q *question) score(words, types []string) (guess, bool) {
	g := guess{kind: kindScore, example: q.number}
	scale := named(types, scaleTypes)
	of := func(f source.Field, fit, from, to int, why string) (guess, bool) {
		numbers := fmt.Sprintf("from %d to %d", from, to)
		g.field, g.fit = f, fit
		g.evidence = []string{q.said(fit, "a whole number "+numbers, "whole numbers "+numbers), fmt.Sprintf("the lowest is %g, the highest %g", q.least, q.most), why}
		return g, true
	}
	explicit := append(append([]string{}, words...), types...)
	// Many answers without a single one above 5 are no scale up to 10, whatever is asked.
	tooLow := q.most <= 5 && q.answers >= 20 && named(explicit, npsWords[:1]) == ""
	switch {
	case named(explicit, npsWords) != "" && !tooLow:
		return of(nps, q.upTo10, 0, 10, q.names(named(explicit, npsWords)))
	case named(explicit, csatWords) != "" && q.share(q.upTo5, 95):
		return of(csat, q.upTo5, 1, 5, q.names(named(explicit, csatWords)))
	case named(explicit, cesWords) != "" && q.share(q.upTo7, 95):
		return of(ces, q.upTo7, 1, 7, q.names(named(explicit, cesWords)))
	case scale == "":
		return g, false
	case q.share(q.upTo5, 95):
		return of(csat, q.upTo5, 1, 5, q.typed())
	case q.share(q.upTo7, 95):
		return of(ces, q.upTo7, 1, 7, q.typed())
	}
	return of(nps, q.upTo10, 0, 10, q.typed())
}

// share reports whether n is at least so many percent of the answers.
func (q *question) share(n, percent int) bool { return n*100 >= q.answers*percent }

func (q *question) said(n int, one, many string) string {
	if q.answers == 1 {
		return "its answer is " + one
	}
	return fmt.Sprintf("%d of %d answers are %s", n, q.answers, many)
}

func (q *question) different() string {
	return fmt.Sprintf("%d of %d are different", len(q.distinct), q.compared)
}

// names says which word was found, and where.
func (q *question) names(word string) string {
	for _, place := range [...]struct{ what, text string }{{"text", q.title}, {"id", q.key}, {"type", q.typ}} {
		if slices.Contains(wordsOf(place.text), word) {
			return fmt.Sprintf("its %s names `%s`", place.what, word)
		}
	}
	return "it names `" + word + "`"
}

func (q *question) typed() string {
	return "its type is `" + q.typ + "`; neither its text nor its id says what it measures"
}
