package event

import "github.com/surveygate/surveygate/rules/jsonpath"

// persons are the paths that identify the respondent, in the order of Person's results.
var persons = func() *jsonpath.Paths {
	paths := &jsonpath.Paths{}
	for _, path := range []string{"respondent.email", "respondent.phone", "respondent.external_id"} {
		if _, err := paths.Add(path); err != nil {
			panic(err) // the paths are constant
		}
	}
	return paths
}()

// Person returns what identifies the respondent; absent values are empty. It does not decode Data, so it is cheap.
func (e *Event) Person() (email, phone, externalID string) {
	var found [3]string
	persons.Extract(e.DataJSON(), func(slot int, r jsonpath.Result) { found[slot] = r.Text() })
	return found[0], found[1], found[2]
}
