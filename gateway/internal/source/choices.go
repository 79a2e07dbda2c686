package source

import (
	"strings"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// chosen turns ids of options into their texts; false where the value holds none of them.
func (d *reading) chosen(answer *event.Answer, value, list jsonpath.Result, options *Options) bool {
	if empty(value) || list.Kind() != jsonpath.Array {
		return false
	}
	texts := map[string]jsonpath.Result{}
	list.Each(func(_ []byte, option jsonpath.Result) bool {
		id, text := plain(options.ID.in(option.Raw())), options.Text.in(option.Raw())
		if id != "" && !empty(text) {
			texts[id] = text
		}
		return true
	})
	if value.Kind() != jsonpath.Array {
		text, ok := texts[plain(value)]
		if ok {
			answer.Value, answer.ValueIDs = compact(text), compact(value)
		}
		return ok
	}
	any := false
	out := []byte{'['}
	value.Each(func(_ []byte, id jsonpath.Result) bool {
		if len(out) > 1 {
			out = append(out, ',')
		}
		if text, ok := texts[plain(id)]; ok {
			any = true
			out = append(out, compact(text)...)
		} else {
			out = append(out, compact(id)...) // an own text among the options
		}
		return true
	})
	if any {
		answer.Value, answer.ValueIDs = append(out, ']'), compact(value)
	}
	return any
}

// optionRows are keys of rows that repeat one option of another question: Tally sends a question with its options
// and then `<key>_<option id>` as true or false for each of them.
func optionRows(a *Answers, from jsonpath.Result) map[string]bool {
	if a.Options == nil || len(a.Each[PartID]) == 0 {
		return nil
	}
	rows := map[string]bool{}
	from.Each(func(_ []byte, element jsonpath.Result) bool {
		raw := element.Raw()
		options := jsonpath.Read(raw, a.Options.From.text)
		if options.Kind() != jsonpath.Array {
			return true
		}
		key, _ := a.Each[PartID].in(raw)
		options.Each(func(_ []byte, option jsonpath.Result) bool {
			if id := plain(a.Options.ID.in(option.Raw())); id != "" {
				rows[plain(key)+"_"+id] = true
			}
			return true
		})
		return true
	})
	return rows
}

type definition struct{ question, typ string }

// define adds the texts of the definitions that have the key: the outermost first, `Your Name / First`.
func (d *reading) define(answer *event.Answer, key string) {
	if key == "" {
		return
	}
	if d.defs == nil {
		d.defs = d.definitions()
	}
	question := ""
	for _, list := range d.defs {
		def, ok := list[key]
		if !ok {
			continue
		}
		if answer.Type == "" {
			answer.Type = def.typ
		}
		switch {
		case def.question == "" || def.question == question:
		case question == "":
			question = def.question
		default:
			question = def.question + " / " + question
		}
	}
	if answer.Question == "" {
		answer.Question = question
	}
}

func (d *reading) definitions() []map[string]definition {
	lists := make([]map[string]definition, len(d.answers.Defs))
	for i, def := range d.answers.Defs {
		lists[i] = map[string]definition{}
		d.read(def.From).Each(func(_ []byte, one jsonpath.Result) bool {
			raw := one.Raw()
			id := plain(def.ID.in(raw))
			if _, known := lists[i][id]; id != "" && !known {
				lists[i][id] = definition{strings.TrimSpace(plain(def.Question.in(raw))), plain(def.Type.in(raw))}
			}
			return true
		})
	}
	return lists
}
