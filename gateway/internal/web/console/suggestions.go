package console

import (
	"net/url"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// suggestions is the page of what stored events suggest for a source.
type suggestions struct {
	Name string
	// Looked: the events were looked at. The page itself does not, because that may take a second.
	Looked bool
	view.Suggestions
	Source  view.SourceSuggestions
	Problem *page.Problem
}

func (c *Console) suggestions(r *page.Request) error {
	s := suggestions{Name: r.Param("name"), Looked: r.Query("look") == "yes"}
	if !s.Looked {
		var source view.Source // so that the page of a source that is not there is not found
		if err := r.Read(page.Path("/v1/sources", s.Name), nil, &source); err != nil {
			return err
		}
		return r.Show("suggestions", s)
	}
	if err := r.Read("/v1/suggestions", url.Values{"source": {s.Name}}, &s.Suggestions); err != nil {
		if s.Problem = r.Refusal(err); s.Problem == nil || s.Problem.Status != fiber.StatusTooManyRequests {
			return err
		}
		s.Looked = false
		return r.Show("suggestions", s)
	}
	if at := slices.IndexFunc(s.Sources, func(each view.SourceSuggestions) bool { return each.Source == s.Name }); at >= 0 {
		s.Source = s.Sources[at]
	}
	return r.Show("suggestions", s)
}
