package console

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// questions is the page of the questions of a survey.
type questions struct {
	view.Questions
	Rows []questionRow
	// MoreRules: there are rules that were not looked at.
	MoreRules bool
}

// questionRow is a question with the rules whose conditions use it.
type questionRow struct {
	view.Question
	Rules []string
}

// questions asks two questions, and one more for each 200 rules.
func (c *Console) questions(r *page.Request) error {
	var q questions
	var rules []view.Rule
	err := r.Together(
		func() error {
			return r.Read(page.Path("/v1/sources", r.Param("name"))+"/questions", url.Values{"survey": {r.Query("survey")}}, &q.Questions)
		},
		func() (err error) {
			rules, q.MoreRules, err = allRules(r)
			return err
		},
	)
	if err != nil {
		return err
	}
	for i := range q.Data {
		row := questionRow{Question: q.Data[i]}
		for j := range rules {
			if usesQuestion(rules[j].When, &row.Question) {
				row.Rules = append(row.Rules, rules[j].Name)
			}
		}
		q.Rows = append(q.Rows, row)
	}
	return r.Show("questions", q)
}

var (
	// quotedTexts are those of a condition; usedNames are the names that it uses.
	quotedTexts = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`)
	usedNames   = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_.]*`)
	answersOf   = regexp.MustCompile(`\banswer\(\s*(?:"([^"]*)"|'([^']*)')`)
)

// usesQuestion reports whether a condition uses a question: by a field that it is read into, or by its id or text.
func usesQuestion(when string, q *view.Question) bool {
	for _, match := range answersOf.FindAllStringSubmatch(when, -1) {
		if asked := match[1] + match[2]; asked != "" && (asked == q.ID || asked == q.Question) {
			return true
		}
	}
	used := usedNames.FindAllString(quotedTexts.ReplaceAllString(when, " "), -1)
	return slices.ContainsFunc(q.Roles, func(field string) bool {
		return slices.ContainsFunc(used, func(name string) bool { return name == field || strings.HasPrefix(name, field+".") })
	})
}
