package expression

import "github.com/surveygate/surveygate/rules/jsonpath"

// answer returns the value of the answer with this question id, or else with exactly this question label.
func (f *frame) answer(key string) value {
	if !f.read {
		all := f.vals[f.scope.answers]
		if !f.spend(len(all.str) / 16) {
			return value{}
		}
		f.read = true
		if all.kind == list {
			jsonpath.Parse(bytesOf(all.str)).Each(func(_ []byte, item jsonpath.Result) bool {
				var one answer
				item.Each(func(key []byte, r jsonpath.Result) bool {
					switch string(key) {
					case "question_id":
						one.key = valueOf(r).str
					case "question":
						one.label = valueOf(r).str
					case "value":
						one.value = r
					}
					return true
				})
				f.answers = append(f.answers, one)
				return true
			})
		}
	}
	if len(f.answers) > fewAnswers {
		return f.answerOfMany(key)
	}
	for i := range f.answers {
		if f.answers[i].key == key {
			return valueOf(f.answers[i].value)
		}
	}
	for i := range f.answers {
		if f.answers[i].label == key {
			return valueOf(f.answers[i].value)
		}
	}
	return value{}
}

// fewAnswers is the number of answers up to which a linear search is faster than building a map.
const fewAnswers = 32

// answerOfMany finds an answer in a map, so that many lookups in many answers do not take quadratic time.
func (f *frame) answerOfMany(key string) value {
	if len(f.byKey) == 0 {
		if f.byKey == nil {
			f.byKey = make(map[string]int32, 2*len(f.answers))
		}
		if !f.spend(8 * len(f.answers)) {
			return value{}
		}
		for _, of := range []func(*answer) string{func(a *answer) string { return a.key }, func(a *answer) string { return a.label }} {
			for i := range f.answers {
				name := of(&f.answers[i])
				if _, before := f.byKey[name]; name != "" && !before {
					f.byKey[name] = int32(i)
				}
			}
		}
	}
	if at, found := f.byKey[key]; found {
		return valueOf(f.answers[at].value)
	}
	return value{}
}
