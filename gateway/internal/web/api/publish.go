package api

import (
	"bytes"
	"errors"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
	"github.com/surveygate/surveygate/rules/event"
)

// MaxBody is the largest body of published events; each event in it has at most intake.MaxBody.
const MaxBody = 10 << 20

// verifiedByToken is how published events were proved.
const verifiedByToken = "token"

type resultsView struct {
	Results []resultView `json:"results"`
}

// publish takes one event, a JSON array, NDJSON or CloudEvents, and with `?source=` a platform's own body.
func (a *API) publish(c *call) error {
	started := a.Clock.Now()
	header := &c.Request().Header
	if encoding := header.ContentEncoding(); len(encoding) > 0 && !bytes.EqualFold(encoding, []byte("identity")) {
		return answer.Say(fiber.StatusUnsupportedMediaType, answer.Validation, "a body is taken without Content-Encoding only", "Content-Encoding")
	}
	if len(c.Request().Body()) > MaxBody {
		return answer.Say(fiber.StatusRequestEntityTooLarge, answer.TooLarge, "a body has at most 10 MiB")
	}
	if name := query(c.Ctx, "source"); name != "" {
		return a.publishAs(c, name, started)
	}
	body := bytes.Clone(c.Request().Body())
	defaults := event.Defaults{
		Tenant: c.tenant, AnyTenant: c.grant.Tenant == access.AnyTenant && !c.named,
		Received: started, Verified: verifiedByToken,
	}
	if len(header.Peek("Ce-Specversion")) > 0 {
		ev, err := event.ParseBinary(func(name string) string { return string(header.Peek("Ce-" + name)) }, body, defaults)
		return a.accept(c, []event.Parsed{{Event: ev, Err: err}}, true, body, started)
	}
	parsed, err := event.ParseMany(body, defaults)
	if errors.Is(err, event.ErrTooManyEvents) {
		return answer.Say(fiber.StatusRequestEntityTooLarge, answer.TooLarge, "a body has at most 10,000 events")
	}
	if err != nil {
		return err
	}
	return a.accept(c, parsed, len(parsed) == 1 && !isArray(body), body, started)
}

func isArray(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '['
}

// accept appends the valid ones in one step and says of each, in order, what became of it.
func (a *API) accept(c *call, parsed []event.Parsed, alone bool, body []byte, started time.Time) error {
	valid := make([]*event.Event, 0, len(parsed))
	results := make([]resultView, len(parsed))
	at := make([]int, 0, len(parsed))
	for i, p := range parsed {
		err := p.Err
		if err == nil && len(p.Event.Raw.Body) > intake.MaxBody {
			err = answer.Say(fiber.StatusRequestEntityTooLarge, answer.TooLarge, "an event has at most 1 MiB")
		}
		if err != nil {
			a.Door.Invalid(1)
			problem := answer.Of(err)
			if alone || problem.Status >= fiber.StatusInternalServerError {
				return err
			}
			d := problem.Detail[0]
			results[i] = resultView{Status: "invalid", Error: &errorView{Msg: d.Msg, Type: string(d.Type), Loc: d.Loc}}
			continue
		}
		valid = append(valid, p.Event)
		at = append(at, i)
	}
	if len(valid) > 0 {
		appended, err := a.Door.Append(valid, len(body), started)
		if err != nil {
			return err
		}
		for i := range valid {
			results[at[i]] = viewResult(valid[i], appended[i])
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, resultsView{results})
}

// publishAs takes a platform's own body through its source's profile: the token stands for the signature.
func (a *API) publishAs(c *call, name string, started time.Time) error {
	through := a.Door.Source(c.tenant, name)
	if through == nil {
		return answer.Missing("source")
	}
	body := bytes.Clone(c.Request().Body())
	if len(body) > intake.MaxBody {
		return answer.Say(fiber.StatusRequestEntityTooLarge, answer.TooLarge, "a platform's body has at most 1 MiB")
	}
	header := &c.Request().Header
	remote, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	events, err := through.Normalise(&source.Request{
		Method: fiber.MethodPost,
		Header: func(name string) string { return string(header.Peek(name)) },
		Query:  func(name string) string { return query(c.Ctx, name) },
		Body:   body, ContentType: string(header.ContentType()), Remote: remote.Unmap(),
		Received: started, Verified: source.Verified{Kind: verifiedByToken},
	}, started)
	if err != nil {
		return err
	}
	parsed := make([]event.Parsed, len(events))
	for i, ev := range events {
		parsed[i].Event = ev
	}
	return a.accept(c, parsed, true, body, started)
}
