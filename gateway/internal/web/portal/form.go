package portal

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
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
	Version uint64
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

// maxHeaders bounds the headers of a form.
const maxHeaders = 30

// readForm reads the form as it was posted.
func readForm(values url.Values) hookForm {
	f := hookForm{
		URL: strings.TrimSpace(values.Get("url")), Title: strings.TrimSpace(values.Get("title")), All: values.Get("which") != "some",
		Events: map[string]bool{}, Body: values.Get("body"),
	}
	f.Version, _ = strconv.ParseUint(values.Get("version"), 10, 64) // 0 is no version
	for _, each := range values["event"] {
		f.Events[each] = true
	}
	texts := values["header-value"]
	for i, name := range values["header-name"] {
		if name = strings.TrimSpace(name); name != "" && i < len(texts) && len(f.Headers) < maxHeaders {
			f.Headers = append(f.Headers, headerField{name, texts[i]})
		}
	}
	return f
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
