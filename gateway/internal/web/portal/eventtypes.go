package portal

import (
	"embed"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (p *Portal) mountEventTypes() {
	p.get(access.CanWebhooks, "/event-types", p.eventTypes)
	p.get(access.CanWebhooks, "/event-types/verify", p.verify)
	p.get(access.CanWebhooks, "/event-types/:type", p.eventType)
}

type eventTypes struct {
	visit
	Types []view.EventType
}

func (p *Portal) eventTypes(r *page.Request) error {
	var types view.EventTypes
	if err := r.Read("/v1/event-types", nil, &types); err != nil {
		return err
	}
	return r.Show("eventtypes", eventTypes{visited(r, nil), types.Data})
}

type eventType struct {
	visit
	view.EventType
	Described []view.EventField
}

func (p *Portal) eventType(r *page.Request) error {
	var types view.EventTypes
	if err := r.Read("/v1/event-types", nil, &types); err != nil {
		return err
	}
	t := eventType{visit: visited(r, nil)}
	fields := map[string]view.EventField{}
	for _, f := range types.Fields {
		fields[f.Name] = f
	}
	for _, each := range types.Data {
		if each.Name == r.Param("type") {
			t.EventType = each
		}
	}
	if t.Name == "" {
		return answer.NewProblem(fiber.StatusNotFound, view.NotFound, "there is no event type of this name")
	}
	for _, name := range t.Fields {
		t.Described = append(t.Described, fields[name])
	}
	return r.Show("eventtype", t)
}

//go:embed verify
var snippets embed.FS

// Snippet is how a receiver verifies a delivery in one language. A test runs all of them.
type Snippet struct {
	// Key is in the address of the page, File in verify.
	Key, Name, File, Code string
}

var languages = []Snippet{
	{Key: "go", Name: "Go", File: "verify.go.txt"},
	{Key: "node", Name: "JavaScript", File: "verify.js"},
	{Key: "python", Name: "Python", File: "verify.py"},
	{Key: "php", Name: "PHP", File: "verify.php"},
	{Key: "ruby", Name: "Ruby", File: "verify.rb"},
}

// Snippets returns the snippets of all languages.
func Snippets() []Snippet {
	all := make([]Snippet, len(languages))
	for i, s := range languages {
		code, err := snippets.ReadFile("verify/" + s.File)
		if err != nil {
			panic(err) // it is part of the binary
		}
		s.Code = string(code)
		all[i] = s
	}
	return all
}

type verification struct {
	visit
	All  []Snippet
	Here Snippet
}

func (p *Portal) verify(r *page.Request) error {
	v := verification{visit: visited(r, nil), All: Snippets()}
	v.Here = v.All[0]
	for _, s := range v.All {
		if s.Key == r.Query("language") {
			v.Here = s
		}
	}
	return r.Show("verify", v)
}
