package source

import (
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// params merges the profile's objects into respondent.params. The first value of a name wins, null is absent, and an empty
// array counts as an empty object, because some senders write it so.
func (r *run) params() {
	paths := r.source.Profile.Params
	if len(paths) == 0 {
		return
	}
	var out []byte
	var seen []string
	for _, path := range paths {
		value := r.read(path)
		switch {
		case empty(value):
			continue
		case value.Kind() != jsonpath.Object:
			r.warn.add("respondent.params: `%s` is %s, not an object", path.text, value.Kind())
			continue
		}
		var nulls keys
		value.Each(func(key []byte, member jsonpath.Result) bool {
			if member.Kind() == jsonpath.Null {
				nulls.add(key)
				return true
			}
			if nulls[string(key)] || slices.Contains(seen, string(key)) {
				return true
			}
			if len(seen) == maxParams {
				r.warn.add("respondent.params: more than %d", maxParams)
				return false
			}
			seen = append(seen, string(key))
			if out == nil {
				out = append(out, '{')
			} else {
				out = append(out, ',')
			}
			out = append(append(out, quote(string(key))...), ':')
			out = append(out, compact(member)...)
			return true
		})
	}
	if out != nil {
		r.data.Respondent.Params = append(out, '}')
	}
}

const maxParams = 256

// keys is the set of keys of an object that have been read; later values of the same key are ignored.
type keys map[string]bool

func (k *keys) add(key []byte) {
	if *k == nil {
		*k = keys{}
	}
	(*k)[string(key)] = true
}

// scores fills scores that are still absent, if their condition holds.
func (r *run) scores() {
	for i := range r.source.Profile.Score {
		s := &r.source.Profile.Score[i]
		if s.When != nil && !r.holds(s.When) {
			continue
		}
		if r.on |= s.on; s.Set.absent(&r.data) {
			r.fill(s.Set, Lookup{Paths: s.From})
		}
	}
}

// rolesOf returns the operator's roles for a survey: those of the survey, else those of the source.
func (s *Source) rolesOf(survey string) map[string]Field {
	if roles, ok := s.roles[survey]; ok {
		return roles
	}
	return s.Roles
}

// RolesOf returns the names of the fields that the operator's roles fill with an answer of a survey, or with parts of it, sorted.
func (s *Source) RolesOf(survey string, a *event.Answer) (fields []string) {
	roles := s.rolesOf(survey)
	field, ok := roles[a.QuestionID]
	if !ok && a.Question != "" {
		field, ok = roles[a.Question]
	}
	if ok {
		return []string{field.Name}
	}
	for key, field := range roles {
		if strings.HasPrefix(key, a.QuestionID+".") {
			fields = append(fields, field.Name)
		}
	}
	slices.Sort(fields)
	return fields
}

// IsRead reports whether a role of the operator or of the profile reads an answer of a survey. Events do not keep the <name> of a key
// that the profile splits: a role of the profile for it is found only by what else it names.
func (s *Source) IsRead(survey string, a *event.Answer) bool {
	return len(s.RolesOf(survey, a)) > 0 || slices.ContainsFunc(s.Profile.Roles, func(role Role) bool { return role.fits(a, "") })
}

// HasRole reports whether a role of the operator for a survey fills a field.
func (s *Source) HasRole(survey string, field Field) bool {
	for _, each := range s.rolesOf(survey) {
		if each == field {
			return true
		}
	}
	return false
}

// Reads reports whether the profile makes events of a platform's body, to whose answers roles are applied.
func (s *Source) Reads() bool { return s.Profile != Own() }

// Takes reports whether a role with this field can use the text of an answer.
func (s *Source) Takes(field Field, text string) bool {
	r := run{source: s}
	return r.putText(field, text, "") == filled
}

// sourceRoles applies the operator's roles: those of the survey, else those of the source. They override the values of the
// platform and the profile. The first matching answer counts.
func (r *run) sourceRoles() {
	roles := r.source.rolesOf(r.data.Survey.ID)
	if len(roles) == 0 {
		return
	}
	var done []Field
	apply := func(field Field, text, question string) {
		if slices.Contains(done, field) {
			return
		}
		if text == "" {
			r.clear(field)
		}
		switch r.putText(field, text, "") {
		case filled:
			done = append(done, field)
		case unusable:
			r.warn.add("%s: the answer to `%s` is not %s", field.Name, shown(question), field.wants())
		}
	}
	for i := range r.data.Response.Answers {
		a := &r.data.Response.Answers[i]
		field, ok := roles[a.QuestionID]
		if !ok && a.Question != "" {
			field, ok = roles[a.Question]
		}
		if ok {
			if a.Type == "" && !slices.Contains(done, field) {
				a.Type = field.asked
			}
			apply(field, strings.TrimSpace(a.Text()), a.QuestionID)
			continue
		}
		// An answer may have several parts, such as a name, an address or a contact: `contact.2`, `3.first`.
		parts := jsonpath.Parse(a.Value)
		if kind := parts.Kind(); kind != jsonpath.Array && kind != jsonpath.Object {
			continue
		}
		n := 0
		parts.ForEach(func(key string, part jsonpath.Result) bool {
			if parts.Kind() == jsonpath.Array {
				key = strconv.Itoa(n)
			}
			if n++; n > maxParts {
				return false
			}
			if field, ok := roles[a.QuestionID+"."+key]; ok {
				apply(field, plain(part), a.QuestionID+"."+key)
			}
			return true
		})
	}
}

const maxParts = 64 // of one answer that roles can refer to

// clear notes that the answer which a role makes a field of is empty.
func (r *run) clear(field Field) {
	if field.absent(&r.data) {
		r.data.Clear(field.Name)
	}
}

// roles applies the profile's roles to fields that are still absent.
func (r *run) roles() {
	if len(r.source.Profile.Roles) == 0 {
		return
	}
	types, all := typesOf(r.data.Response.Answers)
	for i := range r.source.Profile.Roles {
		role := &r.source.Profile.Roles[i]
		if !role.Set.absent(&r.data) || all && len(role.Type) > 0 && !slices.ContainsFunc(role.Type, func(typ string) bool { return slices.Contains(types, typ) }) {
			continue
		}
		for j := range r.data.Response.Answers {
			a := &r.data.Response.Answers[j]
			if !role.fits(a, r.names[j]) {
				continue
			}
			if a.IsEmpty() {
				r.clear(role.Set)
				continue
			}
			if r.putText(role.Set, role.text(a), "") == filled {
				break
			}
		}
	}
}

// text returns the text of an answer for a role: the whole answer, or its parts.
func (role *Role) text(a *event.Answer) string {
	if !role.Part.IsZero() {
		return plain(role.Part.in(a.Value))
	}
	if len(role.Parts) == 0 {
		return strings.TrimSpace(a.Text())
	}
	texts := make([]string, len(role.Parts))
	for i, part := range role.Parts {
		if texts[i] = plain(part.in(a.Value)); texts[i] == "" {
			return ""
		}
	}
	return strings.Join(texts, " ")
}

// fewTypes is the maximum number of types that typesOf returns.
const fewTypes = 32

// typesOf returns the distinct types of answers, and whether these are all. Most roles name a type that no answer has, and are
// skipped by this list.
func typesOf(answers []event.Answer) (types []string, all bool) {
	for i := range answers {
		typ := answers[i].Type
		if len(types) > 0 && types[len(types)-1] == typ || slices.Contains(types, typ) {
			continue
		}
		if len(types) == fewTypes {
			return types, false
		}
		types = append(types, typ)
	}
	return types, true
}

// fits reports whether an answer matches a role; name is the <name> of its key, if the profile splits keys.
func (role *Role) fits(a *event.Answer, name string) bool {
	if len(role.Type) > 0 && !slices.Contains(role.Type, a.Type) {
		return false
	}
	if len(role.Question) > 0 {
		if !slices.Contains(role.Question, a.QuestionID) && (a.Question == "" || !slices.Contains(role.Question, a.Question)) &&
			(name == "" || !slices.Contains(role.Question, name)) {
			return false
		}
	}
	if role.Name != nil {
		label := a.Question
		if label == "" {
			label = name
		}
		if label == "" || !role.Name.fits(label) {
			return false
		}
	}
	if role.Value != nil {
		value := jsonpath.Parse(a.Value)
		switch value.Kind() {
		case jsonpath.String, jsonpath.Number:
			return role.Value.matches(value)
		}
		return false
	}
	return true
}

const maxLeads = 1000

// leads reads lead forms.
func (r *run) leads() {
	l := r.source.Profile.Leads
	if l == nil {
		return
	}
	list := r.read(l.From)
	if list.Kind() == jsonpath.Object {
		r.lead(list)
		return
	}
	list.Each(func(_ []byte, lead jsonpath.Result) bool {
		if len(r.data.Response.Leads) == maxLeads {
			r.warn.add("response.leads: more than %d", maxLeads)
			return false
		}
		r.lead(lead)
		return true
	})
}

func (r *run) lead(lead jsonpath.Result) {
	if lead.Kind() != jsonpath.Object {
		return
	}
	var out []byte
	for _, part := range r.source.Profile.leads {
		value, _ := part.from.in(lead.Raw())
		raw := r.leadValue(part, value)
		if raw == nil {
			continue
		}
		if out == nil {
			out = append(out, '{')
		} else {
			out = append(out, ',')
		}
		out = append(append(out, quote(part.name)...), ':')
		out = append(out, raw...)
	}
	if out != nil {
		r.data.Response.Leads = append(r.data.Response.Leads, append(out, '}'))
	}
}

// leadValue returns one value of a lead as JSON: ids and texts as strings, times in UTC, terms_accepted as true or false.
func (r *run) leadValue(part leadPart, value jsonpath.Result) []byte {
	if empty(value) {
		return nil
	}
	text := plain(value)
	switch part.kind {
	case kindTime:
		if r.source.Profile.noTime(text) {
			return nil
		}
		t, ok := event.ParseTime(text, r.source.zone)
		if !ok {
			r.warn.add("response.leads.%s: the value is not a readable time", part.name)
			return nil
		}
		return quote(timeText(t))
	case kindBool:
		b, ok := truth(text)
		switch {
		case !ok:
			r.warn.add("response.leads.%s: the value is not a clear yes or no", part.name)
			return nil
		case b:
			return []byte("true")
		}
		return []byte("false")
	}
	if text == "" {
		if value.Kind() == jsonpath.String {
			return nil // only white space
		}
		return compact(value)
	}
	return quote(text)
}

// writeResult builds response.result from its members, in their usual order.
func (r *run) writeResult() {
	if len(r.result) == 0 {
		return
	}
	names := slices.Clone(resultOrder)
	var others []string
	for name := range r.result {
		if !slices.Contains(names, name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	out := []byte{'{'}
	for _, name := range append(names, others...) {
		raw, ok := r.result[name]
		if !ok {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(out, quote(name)...), ':')
		out = append(out, raw...)
	}
	r.data.Response.Result = append(out, '}')
}
