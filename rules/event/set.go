package event

import (
	"encoding/json"
	"strconv"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// set puts a value into its field of data. Null and empty text leave the field absent.
func (n *node) set(d *Data, v jsonpath.Result) error {
	if v.Kind() == jsonpath.Null {
		return nil
	}
	switch {
	case n.text != nil:
		s, err := textOf(v, n.Path, n.id)
		if err != nil {
			return err
		}
		*n.text(d) = s
	case n.number != nil:
		f, ok := v.Number()
		if !ok {
			if v.Kind() == jsonpath.String && v.Text() == "" {
				return nil
			}
			return wrong(n.Path, "a number", v)
		}
		*n.number(d) = &f
	case n.truth != nil:
		b, ok := v.Bool()
		if !ok {
			return wrong(n.Path, "true or false", v)
		}
		*n.truth(d) = &b
	case n.object != nil:
		if v.Kind() != jsonpath.Object {
			return wrong(n.Path, "an object", v)
		}
		*n.object(d) = json.RawMessage(v.Raw())
	default:
		return n.setSpecial(d, v)
	}
	return nil
}

func (n *node) setSpecial(d *Data, v jsonpath.Result) (err error) {
	if n.special == answers {
		d.Response.Answers, err = answersOf(v, n.Path)
		return err
	}
	if v.Kind() != jsonpath.Array {
		return wrong(n.Path, "an array", v)
	}
	i := 0
	v.Each(func(_ []byte, v jsonpath.Result) bool {
		path := n.Path + "." + strconv.Itoa(i)
		i++
		if n.special == leads {
			if v.Kind() != jsonpath.Object {
				err = wrong(path, "an object", v)
				return false
			}
			d.Response.Leads = append(d.Response.Leads, json.RawMessage(v.Raw()))
			return true
		}
		var s string
		if s, err = textOf(v, path, false); err != nil {
			return false
		}
		d.Warnings = append(d.Warnings, s)
		return true
	})
	return err
}

// textOf is a field's text; ids may be written as numbers, whose digits are taken as they are.
func textOf(v jsonpath.Result, path string, id bool) (string, error) {
	if v.Kind() == jsonpath.String || id && v.Kind() == jsonpath.Number {
		return v.Text(), nil
	}
	return "", wrong(path, "text", v)
}

func wrong(path, want string, v jsonpath.Result) error {
	return &FieldError{Path: path, Problem: "must be " + want + ", not " + v.Kind().String()}
}

// answersOf reads answers as an array of answers, or as an object of question ids and values.
func answersOf(v jsonpath.Result, path string) (all []Answer, err error) {
	switch v.Kind() {
	case jsonpath.Object:
		v.Each(func(key []byte, v jsonpath.Result) bool {
			if len(all) == MaxAnswers {
				err = ErrTooManyAnswers
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
			if a, err = answerOf(v, path+"."+strconv.Itoa(i)); err != nil {
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

var answerKeys = []string{"question_id", "question", "type", "value", "value_ids", "comment"}

func answerOf(v jsonpath.Result, path string) (a Answer, err error) {
	if v.Kind() != jsonpath.Object {
		return a, wrong(path, "an object", v)
	}
	v.Each(func(key []byte, v jsonpath.Result) bool {
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
			err = unknown(path, string(key), answerKeys)
			return false
		}
		*into, err = textOf(v, path+"."+string(key), into == &a.QuestionID)
		return err == nil
	})
	if err == nil && a.QuestionID == "" {
		err = &FieldError{Path: path + ".question_id", Problem: "is missing"}
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
