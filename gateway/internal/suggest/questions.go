package suggest

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// questions is what was seen of the questions of one source.
type questions struct {
	source  *config.Source
	room    *int // how many more questions are counted
	of      map[place]*question
	told    map[uint64]bool // answers of responses that were counted
	events  int
	back    time.Time
	stopped string
}

// place is a question of a survey.
type place struct{ survey, key string }

func newQuestions(s *config.Source, room *int) *questions {
	return &questions{source: s, room: room, of: map[place]*question{}, told: map[uint64]bool{}}
}

// add counts the answers of an event that no role reads.
func (q *questions) add(ev *event.Event) {
	q.events++
	receiver := q.source.Receiver
	if !receiver.Reads() {
		return
	}
	data := ev.Data()
	for i := range data.Response.Answers {
		a := &data.Response.Answers[i]
		key := cmp.Or(a.QuestionID, a.Question)
		if key == "" || receiver.IsRead(data.Survey.ID, a) {
			continue
		}
		at := place{data.Survey.ID, key}
		if q.isTold(at, ev.ResponseKey()) {
			continue
		}
		seen := q.of[at]
		if seen == nil {
			if *q.room == 0 {
				continue
			}
			*q.room--
			seen = &question{survey: at.survey, key: key}
			q.of[at] = seen
		}
		seen.title, seen.typ = cmp.Or(seen.title, a.Question), cmp.Or(seen.typ, a.Type)
		seen.add(receiver, a, data)
	}
}

// maxTold bounds the memory of answers that were counted: of further ones, each event counts.
const maxTold = 50_000

// isTold reports whether the answer of a response was counted already: several events tell of it, and only the newest counts.
func (q *questions) isTold(at place, response string) bool {
	if response == "" {
		return false
	}
	hash := maphash.Comparable(seed, [3]string{at.survey, at.key, response})
	was := q.told[hash]
	if !was && len(q.told) < maxTold {
		q.told[hash] = true
	}
	return was
}

// chosen is a role that is suggested, for one survey or, if survey is empty, for all. surveys are those that it was seen in.
type chosen struct {
	*question
	guess
	survey  string
	surveys []string
	also    []string
}

// choose returns the roles that are suggested, those with the most answers first.
func (q *questions) choose() []chosen {
	var all []chosen
	for _, group := range q.groups() {
		merged := *group[0]
		merged.distinct = maps.Clone(merged.distinct)
		surveys := []string{merged.survey}
		for _, other := range group[1:] {
			merged.merge(other)
			surveys = append(surveys, other.survey)
		}
		if g, ok := merged.guess(); ok && isAlike(group, g.field) {
			all = append(all, chosen{question: &merged, guess: g, surveys: surveys})
			continue
		}
		for _, one := range group {
			if g, ok := one.guess(); ok && one.survey != "" {
				all = append(all, chosen{question: one, guess: g, survey: one.survey, surveys: []string{one.survey}})
			}
		}
	}
	all = slices.DeleteFunc(all, func(c chosen) bool { // another question has the role
		return slices.ContainsFunc(c.surveys, func(survey string) bool { return q.source.Receiver.HasRole(survey, c.field) })
	})
	slices.SortFunc(all, func(a, b chosen) int {
		return cmp.Or(b.fit-a.fit, cmp.Compare(a.survey, b.survey), cmp.Compare(a.key, b.key))
	})
	return oneForEach(all)
}

// groups returns the questions by what a role names them by, in order; those of a group are of different surveys.
func (q *questions) groups() [][]*question {
	byKey := map[string][]*question{}
	for at, one := range q.of {
		byKey[at.key] = append(byKey[at.key], one)
	}
	var all [][]*question
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		slices.SortFunc(byKey[key], func(a, b *question) int { return cmp.Compare(a.survey, b.survey) })
		all = append(all, byKey[key])
	}
	return all
}

// isAlike reports whether the questions of a group can have one role for all surveys: all of them with answers enough look the same.
func isAlike(group []*question, f source.Field) bool {
	for _, one := range group {
		if one.answers < minAnswers || len(group) == 1 {
			continue
		}
		if g, ok := one.guess(); !ok || g.field != f {
			return false
		}
	}
	return true
}

// oneForEach keeps one question for each field of a survey: of several the one with the most answers, because only the first of an
// event would count.
func oneForEach(all []chosen) (kept []chosen) {
	for _, c := range all {
		at := slices.IndexFunc(kept, func(k chosen) bool {
			return k.field == c.field && slices.ContainsFunc(k.surveys, func(survey string) bool { return slices.Contains(c.surveys, survey) })
		})
		if at < 0 {
			kept = append(kept, c)
			continue
		}
		kept[at].also = append(kept[at].also, c.key)
	}
	return kept
}

const maxRoles = 100 // that are suggested for one source

// suggestions returns what the questions suggest.
func (q *questions) suggestions() view.SourceSuggestions {
	receiver := q.source.Receiver
	v := view.SourceSuggestions{
		Source: q.source.Name, Profile: receiver.Profile.Name, Events: q.events, Back: view.Time{Time: q.back}, Stopped: q.stopped, Roles: []view.SuggestedRole{},
	}
	if !receiver.Reads() {
		v.Note = "its events are in surveygate's own format: whoever sends them writes email, nps_score and the other fields, and there are no roles"
		return v
	}
	all := q.choose()
	all = all[:min(len(all), maxRoles)]
	for _, c := range all {
		role := view.SuggestedRole{
			Survey: c.survey, Question: c.key, Type: c.typ, Kind: c.kind, Field: short(c.field), Answers: c.answers, Fit: c.fit,
			Evidence: c.evidence, Example: c.example, Line: lineOf(c.key, c.field), Also: c.also,
		}
		if c.title != c.key {
			role.Title = c.title
		}
		role.Path = "sources." + q.source.Name + ".roles"
		if c.survey != "" {
			role.Path = "sources." + q.source.Name + ".surveys." + quoted(c.survey) + ".roles"
		}
		v.Roles = append(v.Roles, role)
	}
	if len(all) > 0 {
		v.YAML, v.Where = q.yaml(all)
	}
	return v
}
