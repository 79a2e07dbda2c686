package api

import (
	"bytes"
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// MaxBody is the largest body of published events; each event in it has at most intake.MaxBody.
const MaxBody = 10 << 20

// verifiedByToken is the proof of events of the source `api`; event.VerifiedAPI is that of events published as other sources.
const verifiedByToken = "token"

// publish accepts one event, a JSON array, NDJSON or CloudEvents, and with `?source=` a platform's own body.
func (a *API) publish(c *route.Call) error {
	started := a.Clock.Now()
	header := &c.Request().Header
	if encoding := header.ContentEncoding(); len(encoding) > 0 && !bytes.EqualFold(encoding, []byte("identity")) {
		return answer.NewProblem(fiber.StatusUnsupportedMediaType, view.Validation, "a body is taken without Content-Encoding only", "Content-Encoding")
	}
	if len(c.Request().Body()) > MaxBody {
		return answer.NewProblem(fiber.StatusRequestEntityTooLarge, view.TooLarge, "a body has at most 10 MiB")
	}
	if name := c.Asked("source"); name != "" {
		return a.publishAs(c, name, started)
	}
	body := c.Request().Body() // the server read it into memory of its own, which events keep
	form := formOf(header)
	if len(bytes.TrimSpace(body)) == 0 && form != binaryForm {
		return answer.NewProblem(fiber.StatusBadRequest, view.Validation, emptyBody)
	}
	parsed, alone, err := read(form, header, body, event.Defaults{
		Tenant: c.Tenant, AnyTenant: c.Grant.Tenant == access.AnyTenant && !c.Named,
		Received: started, Verified: verifiedByToken,
	})
	if errors.Is(err, event.ErrTooManyEvents) {
		return answer.NewProblem(fiber.StatusRequestEntityTooLarge, view.TooLarge, "a body has at most 10,000 events")
	}
	if err != nil {
		return err
	}
	for i, p := range parsed {
		if p.Err == nil {
			parsed[i].Err = cmp.Or(mayPublishAs(c.Grant, p.Event.Source), a.isThere(c, p.Event.Tenant))
		}
	}
	return a.accept(c, parsed, alone, body, started)
}

// isThere refuses an event whose own `tenant` was deleted.
func (a *API) isThere(c *route.Call, tenant string) error {
	if tenant == c.Tenant {
		return nil // the guard has looked
	}
	if at := a.Tenants.Deleted(tenant); !at.IsZero() {
		return route.TenantDeleted(&access.DeletedError{Tenant: tenant, At: at})
	}
	return nil
}

// mayPublishAs refuses a source that the caller's token may not publish as.
func mayPublishAs(grant *access.Grant, source string) error {
	if err := grant.MayPublishAs(source); err != nil {
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, err.Error(), "source")
	}
	return nil
}

const emptyBody = "the body is empty: publish an event, such as {\"type\": \"response.completed\", \"id\": \"r1\", \"nps_score\": 9}"

// form is the format of published events, if the headers name it.
type form uint8

const (
	anyForm form = iota // detected from the body
	lineForm
	structuredForm
	batchForm
	binaryForm
	unknownForm // of CloudEvents
)

var requiredHeaders = event.RequiredHeaders()

// formOf reads the headers as the HTTP binding of CloudEvents says: the content type first, then `ce-` headers.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3-http-message-mapping
func formOf(header *fasthttp.RequestHeader) form {
	media, _, _ := strings.Cut(strings.ToLower(string(header.ContentType())), ";")
	switch media = strings.TrimSpace(media); media {
	case "application/cloudevents+json":
		return structuredForm
	case "application/cloudevents-batch+json":
		return batchForm
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines":
		return lineForm
	}
	if strings.HasPrefix(media, "application/cloudevents") {
		return unknownForm
	}
	for _, name := range requiredHeaders {
		if len(header.Peek(name)) > 0 {
			return binaryForm
		}
	}
	return anyForm
}

// read makes events of a body. alone: the body is one event, whose fault is the fault of the request.
func read(f form, header *fasthttp.RequestHeader, body []byte, d event.Defaults) (parsed []event.Parsed, alone bool, err error) {
	switch f {
	case lineForm:
		parsed, err = event.ParseLines(body, d)
		return parsed, false, err
	case batchForm:
		parsed, err = event.ParseBatch(body, d)
		return parsed, false, err
	case structuredForm:
		ev, err := event.ParseStructured(body, d)
		return []event.Parsed{{Event: ev, Err: err}}, true, nil
	case binaryForm:
		if name := repeatedAttribute(header); name != "" {
			return []event.Parsed{{Err: &event.FieldError{Path: name, Problem: "stands twice"}}}, true, nil
		}
		ev, err := event.ParseBinary(func(name string) string { return string(header.Peek(event.AttributeHeader + name)) }, body, d)
		if errors.Is(err, event.ErrNotJSON) {
			err = answer.NewProblem(fiber.StatusBadRequest, view.Validation, "the data is not JSON, which an event's data is, whatever Content-Type (`datacontenttype`) says")
		}
		return []event.Parsed{{Event: ev, Err: err}}, true, nil
	case unknownForm:
		return nil, false, answer.NewProblem(fiber.StatusUnsupportedMediaType, view.Validation,
			"CloudEvents are taken in JSON: application/cloudevents+json, application/cloudevents-batch+json, or with ce- headers", "Content-Type")
	}
	parsed, err = event.ParseMany(body, d)
	return parsed, len(parsed) == 1 && parsed[0].Line == 0 && !isArray(body), err
}

// repeatedAttribute is the first ce- header that stands twice, in lower case: what stands before us may read the other one.
func repeatedAttribute(header *fasthttp.RequestHeader) (repeated string) {
	seen := map[string]bool{}
	for key := range header.All() {
		name := strings.ToLower(string(key))
		if !strings.HasPrefix(name, event.AttributeHeader) {
			continue
		}
		if seen[name] && repeated == "" {
			repeated = name
		}
		seen[name] = true
	}
	return repeated
}

func isArray(body []byte) bool {
	body = bytes.TrimLeft(jsonpath.TrimBOM(body), " \t\r\n")
	return len(body) > 0 && body[0] == '['
}

// accept appends the valid events in one step and returns the result of each, in order.
func (a *API) accept(c *route.Call, parsed []event.Parsed, alone bool, body []byte, started time.Time) error {
	valid := make([]*event.Event, 0, len(parsed))
	results := make([]view.Result, len(parsed))
	at := make([]int, 0, len(parsed))
	for i, p := range parsed {
		err := p.Err
		if err == nil && len(p.Event.Raw.Body) > intake.MaxBody {
			err = answer.NewProblem(fiber.StatusRequestEntityTooLarge, view.TooLarge, "an event has at most 1 MiB")
		}
		if err != nil {
			a.Door.Invalid(c.Tenant)
			problem := answer.FromError(err)
			if alone || problem.Status >= fiber.StatusInternalServerError {
				return err
			}
			d := problem.Detail[0]
			if p.Line > 0 && errors.Is(err, event.ErrNotJSON) {
				d.Msg = "the line is not JSON"
			}
			results[i] = view.Result{Status: "invalid", Error: &view.ResultError{Msg: d.Msg, Type: d.Type, Loc: d.Loc, Line: p.Line}}
			continue
		}
		valid = append(valid, p.Event)
		at = append(at, i)
	}
	valid, at, err := a.withinPlan(valid, at, results)
	if err != nil {
		return err
	}
	if len(valid) > 0 {
		appended, err := a.Door.Append(valid, len(body), started)
		if err != nil {
			return err
		}
		for i := range valid {
			results[at[i]] = view.NewResult(valid[i], appended[i])
		}
		if c.Grant.Tenant == access.AnyTenant {
			a.warnOfTenants(valid, func(i int) *view.Result { return &results[at[i]] })
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, view.Results{Results: results})
}

// withinPlan leaves out the events of tenants that publish more than their plans allow, and says so in their results. It returns the
// error of the last one if none is left.
func (a *API) withinPlan(valid []*event.Event, at []int, results []view.Result) (within []*event.Event, places []int, err error) {
	counts := map[string]int{}
	for _, ev := range valid {
		counts[ev.Tenant]++
	}
	refused := map[string]error{}
	for tenant, n := range counts {
		if err := a.TakeEvents(tenant, n); err != nil {
			refused[tenant] = err
		}
	}
	if len(refused) == 0 {
		return valid, at, nil
	}
	for i, ev := range valid {
		over := refused[ev.Tenant]
		if over == nil {
			within, places = append(within, ev), append(places, at[i])
			continue
		}
		err = over
		d := answer.FromError(over).Detail[0]
		results[at[i]] = view.Result{Status: "invalid", Error: &view.ResultError{Msg: d.Msg, Type: d.Type, Loc: d.Loc}}
	}
	if len(within) > 0 {
		err = nil
	}
	return within, places, err
}

// warnOfTenants warns a caller who may publish for every tenant of tenants that the configuration does not name: with a
// misspelt name, events go where nobody looks for them.
func (a *API) warnOfTenants(events []*event.Event, result func(int) *view.Result) {
	plan := a.Plan()
	var known []string // read at the first tenant that is not
	for i, ev := range events {
		if ev.Tenant == access.DefaultTenant || plan.HasTenant(ev.Tenant) {
			continue
		}
		if known == nil {
			known = slices.Sorted(plan.Tenants())
			known = append(known, access.DefaultTenant)
		}
		msg := "nothing is configured for the tenant `" + ev.Tenant + "`"
		if near := event.Nearest(ev.Tenant, known); near != "" {
			msg += "; did you mean `" + near + "`?"
		}
		r := result(i)
		r.Warnings = append(slices.Clone(r.Warnings), msg)
	}
}

// publishAs reads a platform's own body with the profile of its source. The token replaces the signature, and events proved by
// it have dedupe keys of their own.
func (a *API) publishAs(c *route.Call, name string, started time.Time) error {
	if err := mayPublishAs(c.Grant, name); err != nil {
		return err
	}
	through := a.Door.Source(c.Tenant, name)
	if through == nil {
		return noSuch("source", name, a.sourceNames(c.Tenant))
	}
	body := c.Request().Body()
	if len(bytes.TrimSpace(body)) == 0 {
		return answer.NewProblem(fiber.StatusBadRequest, view.Validation, "the body is empty: with `source` it is what that platform sends")
	}
	if len(body) > intake.MaxBody {
		return answer.NewProblem(fiber.StatusRequestEntityTooLarge, view.TooLarge, "a platform's body has at most 1 MiB")
	}
	header := &c.Request().Header
	remote, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	events, err := through.Normalise(&source.Request{
		Method: fiber.MethodPost,
		Header: func(name string) string { return string(header.Peek(name)) },
		Query:  func(name string) string { return c.Asked(name) },
		Body:   body, ContentType: string(header.ContentType()), Remote: remote.Unmap(),
		Received: started, Verified: source.Verified{Kind: event.VerifiedAPI},
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
