package event

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// set stores a value in its field of the data. path is the field's path for errors. Null leaves the field absent, as does an
// empty text for a number. loose is for stored events: it ignores unknown parts of answers and leads.
func (n *node) set(d *Data, path string, v jsonpath.Result, loose bool) error {
	if v.Kind() == jsonpath.Null {
		return nil
	}
	switch {
	case n.text != nil:
		s, err := textOf(v, path, n.Identifier)
		if err != nil {
			return err
		}
		if n.Identifier && !loose && !v.IsText() {
			return NotTextError(path)
		}
		*n.text(d) = s
	case n.number != nil:
		f, ok := v.Number()
		if !ok {
			if v.Kind() == jsonpath.String && v.Text() == "" {
				return nil
			}
			return wrong(path, "a number", v)
		}
		*n.number(d) = &f
	case n.truth != nil:
		b, ok := v.Bool()
		if !ok {
			return wrong(path, "true or false", v)
		}
		*n.truth(d) = &b
	case n.object != nil:
		if v.Kind() != jsonpath.Object {
			return wrong(path, "an object", v)
		}
		*n.object(d) = json.RawMessage(v.Raw())
	default:
		return n.setSpecial(d, path, v, loose)
	}
	return nil
}

func (n *node) setSpecial(d *Data, path string, v jsonpath.Result, loose bool) (err error) {
	if n.special == answers {
		d.Response.Answers, err = answersOf(v, path, loose)
		return err
	}
	if v.Kind() != jsonpath.Array {
		return wrong(path, "an array", v)
	}
	i := 0
	v.Each(func(_ []byte, v jsonpath.Result) bool {
		path := path + "." + strconv.Itoa(i)
		i++
		if n.special == leads {
			if v.Kind() != jsonpath.Object {
				if !loose {
					err = wrong(path, "an object", v)
				}
				return loose
			}
			d.Response.Leads = append(d.Response.Leads, json.RawMessage(v.Raw()))
			return true
		}
		s, fault := textOf(v, path, false)
		if fault == nil {
			list := n.texts(d)
			*list = append(*list, s)
		} else if !loose {
			err = fault
		}
		return err == nil
	})
	return err
}

// textOf returns a field's text. An id may be written as a number, whose digits are kept. The result shares the bytes of the
// JSON, because envelopes and bodies are never changed.
func textOf(v jsonpath.Result, path string, id bool) (string, error) {
	if v.Kind() == jsonpath.String || id && v.Kind() == jsonpath.Number {
		return v.SharedText(), nil
	}
	return "", wrong(path, "text", v)
}

func wrong(path, want string, v jsonpath.Result) error {
	return &FieldError{Path: path, Problem: "must be " + want + ", not " + v.Kind().String()}
}

// answersOf reads answers from an array of answers, or from an object that maps question ids to values.
func answersOf(v jsonpath.Result, path string, loose bool) (all []Answer, err error) {
	var seen questions
	switch v.Kind() {
	case jsonpath.Object:
		v.Each(func(key []byte, v jsonpath.Result) bool {
			if len(all) == MaxAnswers {
				err = ErrTooManyAnswers
				return false
			}
			if !loose && seen.isDuplicate(all, key) {
				err = &FieldError{Path: path + "." + clip(string(key)), Problem: "stands twice"}
				return false
			}
			all = append(all, Answer{QuestionID: string(key), Value: json.RawMessage(v.Raw())})
			return true
		})
		return all, err
	case jsonpath.Array:
		i := 0
		v.Each(func(_ []byte, v jsonpath.Result) bool {
			if i == MaxAnswers {
				err = ErrTooManyAnswers
				return false
			}
			var a Answer
			if a, err = answerOf(v, loose); err != nil {
				if fault, ok := errors.AsType[*FieldError](err); ok {
					fault.Path = path + "." + strconv.Itoa(i) + fault.Path
				}
				return false
			}
			i++
			all = append(all, a)
			return true
		})
		return all, err
	}
	return nil, wrong(path, "an array or an object", v)
}

// questions holds the ids that were read. It is used from fewAnswers on; fewer answers are compared one by one.
type questions map[string]bool

const fewAnswers = 16

// isDuplicate reports whether id was read before, and adds it.
func (q *questions) isDuplicate(all []Answer, id []byte) bool {
	if len(all) < fewAnswers {
		for i := range all {
			if all[i].QuestionID == string(id) {
				return true
			}
		}
		return false
	}
	if *q == nil {
		*q = make(questions, 4*fewAnswers)
		for i := range all {
			(*q)[all[i].QuestionID] = true
		}
	}
	was := (*q)[string(id)]
	(*q)[string(id)] = true
	return was
}

var answerKeys = []string{"question_id", "question", "type", "value", "value_ids", "comment"}

// answerOf reads one answer. The paths of its errors are relative to the answer.
func answerOf(v jsonpath.Result, loose bool) (a Answer, err error) {
	if v.Kind() != jsonpath.Object {
		if loose {
			return a, nil
		}
		return a, wrong("", "an object", v)
	}
	seen := 0 // a bit for each of answerKeys
	v.Each(func(key []byte, v jsonpath.Result) bool {
		if i := slices.Index(answerKeys, string(key)); i >= 0 {
			if was := seen; was&(1<<i) != 0 {
				if !loose {
					err = &FieldError{Path: "." + answerKeys[i], Problem: "stands twice"}
				}
				return loose // the first counts
			}
			seen |= 1 << i
		}
		if v.Kind() == jsonpath.Null {
			return true
		}
		var into *string
		switch string(key) {
		case "question_id":
			into = &a.QuestionID
		case "question":
			into = &a.Question
		case "type":
			into = &a.Type
		case "comment":
			into = &a.Comment
		case "value":
			a.Value = json.RawMessage(v.Raw())
			return true
		case "value_ids":
			a.ValueIDs = json.RawMessage(v.Raw())
			return true
		default:
			if loose {
				return true
			}
			fault := unknown("", string(key), answerKeys)
			fault.Path = "." + fault.Path
			err = fault
			return false
		}
		var s string
		s, err = textOf(v, "."+string(key), into == &a.QuestionID)
		if err == nil {
			*into = s
		} else if loose {
			err = nil
		}
		return err == nil
	})
	if err == nil && a.QuestionID == "" && !loose {
		err = &FieldError{Path: ".question_id", Problem: "is missing"}
	}
	return a, err
}

func unknown(path, key string, known []string) *FieldError {
	full := clip(key)
	if path != "" {
		full = path + "." + full
	}
	return &FieldError{Path: full, Problem: "is not a field of an event", Nearest: Nearest(key, known)}
}
