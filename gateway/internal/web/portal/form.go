package portal

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// isMissing reports whether the API has nothing of a name.
func isMissing(err error) bool {
	problem, ok := errors.AsType[*answer.Problem](err)
	return ok && problem.Status == fiber.StatusNotFound
}

// spec are the fields of a webhook's document that the portal shows. A field of another form is left out.
type spec struct {
	URL, Title string
	Events     []string
	Headers    map[string]string
}

func specOf(document json.RawMessage) spec {
	var s spec
	var fields map[string]json.RawMessage
	if json.Unmarshal(document, &fields) != nil {
		return s
	}
	for name, into := range map[string]any{"url": &s.URL, "title": &s.Title, "events": &s.Events, "headers": &s.Headers} {
		_ = json.Unmarshal(fields[name], into) // what does not fit stays empty
	}
	return s
}

// hookForm is the form of a webhook's settings.
type hookForm struct {
	URL, Title string
	// All: it is sent all events; else those of Events.
	All    bool
	Events map[string]bool
	// Body is the form of what is sent; empty: it stays as it is.
	Body    string
	Headers []headerField
	// Version is that of the document which the form was filled from.
	Version uint64 `json:"-"`
}

// Text is the form as readOpened reads it.
func (f hookForm) Text() (string, error) {
	text, err := json.Marshal(f)
	return string(text), err
}

// headerField is a header. The value of one that is kept is a mask, which means the value as it is.
type headerField struct{ Name, Value string }

// bodies are the forms of what is sent that the portal offers.
var bodies = []struct{ Value, Words string }{
	{"event", "Event: the fields of the page Event types"},
	{"cloudevents", "CloudEvents: the same in the envelope of CloudEvents 1.0"},
	{"raw", "Raw: what the survey platform sent, byte for byte"},
}

// formOf fills the form from a document.
func formOf(w *view.Webhook) hookForm {
	s := specOf(w.Spec)
	f := hookForm{URL: s.URL, Title: s.Title, Events: map[string]bool{}, Version: w.Version}
	for _, each := range s.Events {
		f.Events[each] = true
	}
	f.All = f.Events["*"]
	for _, b := range bodies {
		if b.Value == w.Body {
			f.Body = b.Value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		f.Headers = append(f.Headers, headerField{name, s.Headers[name]})
	}
	return f
}

// readOpened returns the form as it was when it was opened, as the posted form says; without that, it is otherwise.
func readOpened(values url.Values, otherwise hookForm) (hookForm, error) {
	text := values.Get("opened")
	if text == "" {
		return otherwise, nil
	}
	var f hookForm
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return otherwise, errors.New("the form is damaged: look at each field, and save again")
	}
	return f, nil
}

// readForm reads the form as it was posted. A field that was not sent stays as it was. The faults are what cannot be read of it.
func readForm(values url.Values, was *hookForm) (f hookForm, faults []view.Detail) {
	fault := func(msg string) { faults = append(faults, view.Detail{Msg: msg, Type: view.Validation}) }
	f = hookForm{URL: was.URL, Title: was.Title, All: was.All, Events: map[string]bool{}, Body: cmp.Or(values.Get("body"), was.Body)}
	if values.Has("url") {
		f.URL = strings.TrimSpace(values.Get("url"))
	}
	if values.Has("title") {
		f.Title = strings.TrimSpace(values.Get("title"))
	}
	for _, each := range values["event"] {
		f.Events[each] = true
	}
	switch which := values.Get("which"); {
	case which == "all" || which == "some":
		f.All = which == "all"
	case which != "" || len(f.Events) > 0:
		fault("choose all events, or only some")
	default:
		f.Events = was.Events
	}
	names, texts := values["header-name"], values["header-value"]
	if len(names) != len(texts) {
		fault("the headers are incomplete: each has a name and a value")
	}
	if len(names) == 0 && len(texts) == 0 {
		f.Headers = was.Headers
	}
	seen := map[string]bool{}
	for i := range max(len(names), len(texts)) {
		var h headerField
		if i < len(names) {
			h.Name = strings.TrimSpace(names[i])
		}
		if i < len(texts) {
			h.Value = texts[i]
		}
		switch key := strings.ToLower(h.Name); {
		case h.Name == "" && (h.Value == "" || slices.ContainsFunc(was.Headers, func(old headerField) bool { return old.Value == h.Value })):
			continue // an empty row, or a header that is removed
		case h.Name == "":
			fault("a header has a value but no name")
		case seen[key]:
			fault("the header " + h.Name + " is there twice")
		default:
			seen[key] = true
		}
		f.Headers = append(f.Headers, h)
	}
	return f, faults
}

// change is what somebody else changed while the form was open.
type change struct {
	// Words are `Address is now`, with Now behind it; empty: the words say all.
	Words, Now string
	// Kept: the visitor has changed it too, and saving puts that in its place.
	Kept bool
}

// rebase brings the form, which was opened as was, to the settings as they are now: what the visitor did not touch is taken over. It returns
// what has changed. body is the word for the present form of what is sent.
func (f *hookForm) rebase(was, now *hookForm, body string) []change {
	var changes []change
	differs := func(name, before, typed, present, shown string, take func()) {
		switch {
		case present == before || typed == present:
		case typed == before:
			take()
			changes = append(changes, change{name + " is now", cmp.Or(shown, "empty"), false})
		default:
			changes = append(changes, change{name + " is now", cmp.Or(shown, "empty"), true})
		}
	}
	differs("Title", was.Title, f.Title, now.Title, now.Title, func() { f.Title = now.Title })
	differs("Address", was.URL, f.URL, now.URL, now.URL, func() { f.URL = now.URL })
	list := func(each *hookForm) string { return strings.Join(each.events(), ", ") }
	shown := list(now)
	if now.All {
		shown = "all"
	}
	differs("The choice of events", list(was), list(f), list(now), shown, func() { f.All, f.Events = now.All, now.Events })
	differs("Body", was.Body, f.Body, now.Body, body, func() { f.Body = now.Body })

	before, typed, present := headersOf(was), headersOf(f), headersOf(now)
	names := map[string]bool{}
	for _, each := range []map[string]string{before, present} {
		for name := range each {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, had := before[name]
		mine, have := typed[name]
		other, has := present[name]
		if had == has && old == other || have == has && mine == other {
			continue
		}
		c := change{Words: "The header " + name + " has another value now", Kept: had != have || old != mine}
		switch {
		case !has:
			c.Words = "The header " + name + " is removed"
		case !had:
			c.Words = "The header " + name + " is new"
		}
		if !c.Kept {
			f.Headers = slices.DeleteFunc(slices.Clone(f.Headers), func(h headerField) bool { return h.Name == name })
			if has {
				f.Headers = append(f.Headers, headerField{name, other})
			}
		}
		changes = append(changes, c)
	}
	return changes
}

// headersOf are the values of a form's headers, by their names.
func headersOf(f *hookForm) map[string]string {
	values := map[string]string{}
	for _, h := range f.Headers {
		values[h.Name] = h.Value
	}
	return values
}

// events are those of the form, as a document has them.
func (f *hookForm) events() []string {
	if f.All {
		return []string{"*"}
	}
	return append([]string{}, slices.Sorted(maps.Keys(f.Events))...) // an empty list is refused; null would be none
}

// patch is what the form changes of a document, as a merge patch.
func (f *hookForm) patch(was *hookForm) map[string]any {
	patch := map[string]any{}
	if f.URL != was.URL {
		patch["url"] = f.URL
	}
	switch {
	case f.Title == was.Title:
	case f.Title == "":
		patch["title"] = nil
	default:
		patch["title"] = f.Title
	}
	if now, before := f.events(), was.events(); !slices.Equal(now, before) {
		patch["events"] = now
	}
	if f.Body != "" && f.Body != was.Body {
		patch["body"] = f.Body
	}
	headers := map[string]any{}
	for _, h := range was.Headers {
		headers[h.Name] = nil
	}
	for _, h := range f.Headers {
		headers[h.Name] = h.Value
	}
	for _, h := range was.Headers {
		if headers[h.Name] == h.Value {
			delete(headers, h.Name)
		}
	}
	if len(headers) > 0 {
		patch["headers"] = headers
	}
	return patch
}

// eventChoice is a type of events in the form.
type eventChoice struct {
	Name, Words string
	On          bool
}

// choices are the types that the form offers: those that there are, and before them what the document has of other forms.
func (p *Portal) choices(r *page.Request, form *hookForm) ([]eventChoice, error) {
	var types view.EventTypes
	if err := r.Read("/v1/event-types", nil, &types); err != nil {
		return nil, err
	}
	var all []eventChoice
	known := map[string]bool{"*": true}
	for _, t := range types.Data {
		known[t.Name] = true
		all = append(all, eventChoice{t.Name, t.Words, form.Events[t.Name]})
	}
	var others []eventChoice
	for _, name := range slices.Sorted(maps.Keys(form.Events)) {
		if !known[name] {
			others = append(others, eventChoice{name, "", true})
		}
	}
	return append(others, all...), nil
}
