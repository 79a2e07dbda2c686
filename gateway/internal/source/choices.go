package source

import (
	"slices"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// chosen replaces ids of options by their texts. It returns false if the value contains no id of an option.
func (d *reading) chosen(answer *event.Answer, value jsonpath.Result, element []byte, options *Options) bool {
	if empty(value) {
		return false
	}
	if value.Kind() == jsonpath.Object {
		return d.matrix(answer, value, element, options)
	}
	known := options.known(options.From, element)
	if len(known) == 0 {
		return false
	}
	if value.Kind() != jsonpath.Array {
		text, ok := known[plain(value)]
		if ok {
			answer.Value, answer.ValueIDs = compact(text), texts(value)
		}
		return ok
	}
	out, any := named(value, known)
	if any {
		answer.Value, answer.ValueIDs = out, texts(value)
	}
	return any
}

// known returns the texts of a list of choices by their ids.
func (o *Options) known(from Path, element []byte) map[string]jsonpath.Result {
	if from.IsZero() {
		return nil
	}
	texts := map[string]jsonpath.Result{}
	from.in(element).Each(func(_ []byte, option jsonpath.Result) bool {
		id, text := plain(o.ID.in(option.Raw())), o.Text.in(option.Raw())
		if _, known := texts[id]; id != "" && !known && !empty(text) {
			texts[id] = text
		}
		return true
	})
	return texts
}

// matrix replaces the ids of rows and columns in a matrix answer by their texts.
func (d *reading) matrix(answer *event.Answer, value jsonpath.Result, element []byte, options *Options) bool {
	rows, columns := options.known(options.Rows, element), options.known(options.Columns, element)
	if len(rows) == 0 {
		return false
	}
	all := true
	var rowTexts []string
	var seen keys
	out := []byte{'{'}
	value.Each(func(key []byte, chosen jsonpath.Result) bool {
		if seen[string(key)] {
			return true // if a row occurs twice, the first one counts
		}
		seen.add(key)
		row, ok := rows[string(key)]
		if all = ok && row.Kind() == jsonpath.String && !slices.Contains(rowTexts, row.Text()); !all {
			return false // without a distinct text for every row, the ids are kept
		}
		rowTexts = append(rowTexts, row.Text())
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(out, compact(row)...), ':')
		if chosen.Kind() == jsonpath.Array {
			texts, _ := named(chosen, columns)
			out = append(out, texts...)
		} else if text, ok := columns[plain(chosen)]; ok {
			out = append(out, compact(text)...)
		} else {
			out = append(out, compact(chosen)...)
		}
		return true
	})
	if all {
		answer.Value, answer.ValueIDs = append(out, '}'), texts(value)
	}
	return all
}

// named replaces each id of a list that has a text by that text, and reports whether any had.
func named(value jsonpath.Result, texts map[string]jsonpath.Result) (out []byte, any bool) {
	out = []byte{'['}
	value.Each(func(_ []byte, id jsonpath.Result) bool {
		if len(out) > 1 {
			out = append(out, ',')
		}
		if text, ok := texts[plain(id)]; ok {
			any = true
			out = append(out, compact(text)...)
		} else {
			out = append(out, compact(id)...) // a free text among the options
		}
		return true
	})
	return append(out, ']'), any
}

// optionRows returns the keys of rows that repeat one option of another question: Tally sends a question with its options, and
// then a row `<key>_<option id>` with true or false for each of them.
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

// define adds the texts of the definitions that have the key, outermost first: `Your Name / First`.
func (d *reading) define(answer *event.Answer, key string) {
	if key == "" {
		return
	}
	if !d.defined {
		d.defined = true
		d.definitions()
	}
	question := ""
	for _, list := range d.defs[:len(d.answers.Defs)] {
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

// definitions reads the lists of questions into maps that are reused.
func (d *reading) definitions() {
	for i := range d.answers.Defs {
		def := &d.answers.Defs[i]
		if i == len(d.defs) {
			d.defs = append(d.defs, map[string]definition{})
		}
		list := d.defs[i]
		clear(list)
		found := make([]jsonpath.Result, def.elements.Len())
		d.doc.Elements(&def.elements, d.read(def.From), found, func(one jsonpath.Result) bool {
			raw := one.Raw()
			id := shared(def.ID.among(found, raw))
			whole := definition{shared(def.Question.among(found, raw)), shared(def.Type.among(found, raw))}
			if _, known := list[id]; id != "" && !known {
				list[id] = whole
			}
			if def.Sub != nil {
				def.Sub.define(list, id, whole, raw)
			}
			return true
		})
	}
}

// define adds the parts of a question; the text of each is the question's text and its own.
func (p *Parts) define(list map[string]definition, question string, whole definition, raw []byte) {
	p.From.in(raw).Each(func(_ []byte, part jsonpath.Result) bool {
		id, text := shared(p.ID.in(part.Raw())), shared(p.Question.in(part.Raw()))
		if _, known := list[id]; id == "" || text == "" || known && id != question {
			return true
		}
		if whole.question != "" && text != whole.question {
			text = whole.question + " / " + text
		}
		list[id] = definition{text, whole.typ}
		return true
	})
}
