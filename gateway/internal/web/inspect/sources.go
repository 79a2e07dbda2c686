package inspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

func sourceRows() []row {
	return []row{
		{(*Inspection).capture, route.Route{
			Method: fiber.MethodPost, Path: "/v1/sources/:name/capture", Scope: access.Settings,
			For: "keep the requests that it gets for a while, up to 24h, on all replicas; `0s` ends that",
			In:  view.CaptureAsk{}, Out: view.Capturing{}, Statuses: []int{fiber.StatusConflict},
		}},
		{(*Inspection).test, route.Route{
			Method: fiber.MethodPost, Path: "/v1/sources/:name/test", Scope: access.Read,
			For: "how it would read a request of its platform: proof, events, and what is not mapped; nothing is kept",
			In:  view.SourceTest{}, Out: view.SourceTested{}, Statuses: []int{fiber.StatusTooManyRequests, fiber.StatusRequestEntityTooLarge},
		}},
		{(*Inspection).questions, route.Route{
			Method: fiber.MethodGet, Path: "/v1/sources/:name/questions", Scope: access.Read, Query: []string{"survey"}, Out: view.Questions{},
			For: "the questions in the newest responses of a survey, and which of them no role of the source reads",
		}},
	}
}

// source returns the source that the path names.
func (i *Inspection) source(c *route.Call) (*config.Source, error) {
	return i.sourceNamed(c, c.Segment("name"))
}

// sourceNamed returns a source of the caller's tenant.
func (i *Inspection) sourceNamed(c *route.Call, name string) (*config.Source, error) {
	plan := i.Plan()
	if s := plan.Source(c.Tenant, name); s != nil {
		return s, nil
	}
	var names []string
	for _, each := range plan.Sources(c.Tenant) {
		names = append(names, each.Name)
	}
	return nil, answer.NoSuch("source", name, names)
}

func (i *Inspection) capture(c *route.Call) error {
	s, err := i.source(c)
	if err != nil {
		return err
	}
	var ask view.CaptureAsk
	if err := route.ReadJSON(c.Body(), &ask); err != nil {
		return err
	}
	lasts, err := time.ParseDuration(ask.For)
	if err != nil || lasts < 0 || lasts > intake.MaxCapture {
		return answer.Invalid(fmt.Sprintf("this is how long, such as 1h, up to %s; 0s ends it", "24h"), "for")
	}
	if s.Stream != nil {
		return answer.Conflict("this source reads a Redis stream and gets no requests")
	}
	until, err := i.Door.Capture(c.Base, c.Tenant, s.Name, lasts)
	if errors.Is(err, state.ErrConflict) {
		return answer.Conflict("somebody else is changing this at this moment: ask again")
	}
	if err != nil {
		return err
	}
	if err := i.Book.Audit.Add(c.Base, c.Tenant, audit.Line{By: c.By(), Did: "source.capture", Of: "source/" + s.Name}); err != nil {
		return err
	}
	v := view.Capturing{Source: s.Name}
	if !until.IsZero() {
		v.CaptureUntil = &view.Time{Time: until}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, v)
}

// maxSearch is for how long places of a body that are not read are searched for.
const maxSearch = time.Second

func (i *Inspection) test(c *route.Call) error {
	s, err := i.source(c)
	if err != nil {
		return err
	}
	var t view.SourceTest
	if err := route.ReadJSON(c.Body(), &t); err != nil {
		return err
	}
	if len(t.Body) == 0 {
		return answer.Invalid("the body of the platform's request is missing", "body")
	}
	req := intake.TestRequest{Headers: t.Headers, Query: t.Query, Token: t.Token}
	req.Body, req.ContentType = bodyOf(t.Body)
	if len(req.Body) > intake.MaxBody {
		return answer.NewProblem(fiber.StatusRequestEntityTooLarge, view.TooLarge, "a platform's body has at most 1 MiB", "body")
	}
	for name, value := range t.Headers {
		if string(bytes.ToLower([]byte(name))) == "content-type" {
			req.ContentType = value
		}
	}
	leave, err := i.enter(c)
	if err != nil {
		return err
	}
	defer leave()
	watch := clock.System()
	began := watch.Elapsed()
	tested, err := i.Door.Test(s, req, func() bool { return watch.Elapsed()-began > maxSearch })
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, tested)
}

// bodyOf returns a platform's body that is written as JSON, or as the text of the body, and its content type.
func bodyOf(written json.RawMessage) (body []byte, contentType string) {
	text := ""
	if json.Unmarshal(written, &text) != nil {
		return written, fiber.MIMEApplicationJSON
	}
	if body = []byte(text); json.Valid(bytes.TrimSpace(body)) {
		return body, fiber.MIMEApplicationJSON
	}
	return body, fiber.MIMEApplicationForm
}
