package intake

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/rules/event"
)

// Mount adds the platforms' paths.
func (d *Door) Mount(app *fiber.App) {
	app.All("/in/:source/:token?", d.serve)
	app.All("/t/:tenant/in/:source/:token?", d.serve)
}

// goneFor is the Retry-After of a source that is disabled or was removed.
const goneFor = 5 * time.Minute

func (d *Door) serve(c *fiber.Ctx) error {
	tenant, name := c.Params("tenant", access.DefaultTenant), c.Params("source")
	e := d.find(tenant, name)
	if e == nil || !e.enabled || e.stream {
		return d.closed(strings.Clone(tenant), strings.Clone(name), e)
	}
	r, _ := d.readers.Get().(*reader)
	defer func() {
		r.reset()
		d.readers.Put(r)
	}()
	now := d.Clock.Now()
	r.open(c, now, d.ofBase(d.Plan()).proxies)
	var err error
	if c.Method() != fiber.MethodPost {
		err = d.handshake(c, e, r)
	} else {
		err = d.take(c, e, r, now)
	}
	if d.captures(e, now) {
		d.capture(c, e, r, now, err)
	}
	return err
}

// closed answers for a source that takes no requests: it does not exist (nil), is disabled, or reads a stream.
func (d *Door) closed(tenant, name string, e *entry) error {
	configured := e != nil && !e.stream
	if configured || access.ValidName(tenant) && access.ValidName(name) && d.once(tenant, name) {
		return answer.Unavailable("this source does not take anything now", goneFor, nil)
	}
	if e != nil {
		return answer.NewProblem(fiber.StatusNotFound, view.NotFound, "this source reads a Redis stream and takes no requests")
	}
	return answer.NotFound("source")
}

// handshake answers requests that are not POST: platforms probe an address before they use it.
func (d *Door) handshake(c *fiber.Ctx, e *entry, r *reader) error {
	reply, ok := e.source.Handshake(&r.request)
	if !ok {
		c.Set(fiber.HeaderAllow, "POST, GET, HEAD")
		return fiber.ErrMethodNotAllowed
	}
	c.Status(reply.Status)
	return c.SendString(reply.Body)
}

func (d *Door) take(c *fiber.Ctx, e *entry, r *reader, started time.Time) error {
	if encoding := c.Request().Header.ContentEncoding(); len(encoding) > 0 && !bytes.EqualFold(encoding, identity) {
		// A platform signs the bytes that it sent, and a small compressed body may become a large one.
		return d.refuse(c, e, r, rejection{reason: state.RefusedEncoding, problem: answer.NewProblem(fiber.StatusBadRequest,
			view.Validation, "a body is taken without Content-Encoding only")})
	}
	body := c.Request().Body()
	if len(body) > MaxBody {
		r.request.Body = body
		why := tooLarge()
		_, err := e.source.Verify(&r.request) // nothing is made of it, but it is kept as whose it is
		why.proved = err == nil && r.proved()
		return d.refuse(c, e, r, why)
	}
	if reply, ok := e.source.Handshake(&r.request); ok {
		c.Status(reply.Status)
		return c.SendString(reply.Body)
	}
	r.request.Body = body
	verified, err := e.source.Verify(&r.request)
	if err != nil {
		return d.refuse(c, e, r, rejection{reason: state.RefusedSignature, cause: err, problem: answer.NewProblem(fiber.StatusUnauthorized,
			view.Authentication, "this request is not proved to come from the platform")})
	}
	r.request.Verified = verified
	r.request.ContentType = contentType(c.Request().Header.ContentType())
	events, err := e.source.Normalise(&r.request, started)
	if err != nil {
		return d.refuse(c, e, r, unreadable(err))
	}
	appended, err := d.Append(events, len(body), started)
	if err != nil {
		if d.Log.Enabled(d.Context, slog.LevelDebug) {
			d.Log.Debug("not accepted", "tenant", e.tenant, "source", e.name, "err", err)
		}
		return err
	}
	if d.Log.Enabled(d.Context, slog.LevelDebug) {
		for i, ev := range events {
			d.Log.Debug("accepted", "tenant", e.tenant, "source", e.name, "event", ev.ID, "status", status(appended[i]))
		}
	}
	e.refusals.accepted()
	accepted(c, events, appended)
	return nil
}

var identity = []byte("identity")

func tooLarge() rejection {
	return rejection{reason: state.RefusedTooLarge, problem: answer.NewProblem(fiber.StatusRequestEntityTooLarge, view.TooLarge,
		"a body has at most 1 MiB")}
}

// unreadable returns the refusal for a verified request of which no event can be made.
func unreadable(err error) rejection {
	r := rejection{proved: true, cause: err}
	if field, ok := errors.AsType[*event.FieldError](err); ok {
		r.reason, r.problem = state.RefusedInvalid, answer.FromError(field)
		return r
	}
	switch {
	case errors.Is(err, source.ErrNotJSON), errors.Is(err, event.ErrNotJSON):
		r.reason = state.RefusedNotJSON
		r.problem = answer.FromError(err)
	case errors.Is(err, event.ErrTooDeep):
		r.reason = state.RefusedTooDeep
		r.problem = answer.Invalid("the body is nested deeper than 64 levels")
	case errors.Is(err, event.ErrTooManyAnswers):
		r.reason = state.RefusedTooManyAnswers
		r.problem = answer.Invalid("one event has at most 2,000 answers")
	case errors.Is(err, source.ErrTooManyEvents):
		r.reason = state.RefusedTooManyEvents
		r.problem = answer.Invalid("one request has at most 1,000 events")
	default:
		r.reason = state.RefusedUnreadable
		r.problem = answer.Invalid("the body cannot be read")
	}
	return r
}

func status(a state.Appended) string {
	if a.Duplicate {
		return "duplicate"
	}
	return "accepted"
}

// accepted writes the answer: an object for one event, `results` where a body held several or none.
// Ids are hexadecimal, so nothing needs escaping.
func accepted(c *fiber.Ctx, events []*event.Event, appended []state.Appended) {
	res := c.Response()
	res.Header.SetContentType(jsonType)
	if len(events) == 1 {
		result(res, events[0], appended[0])
		return
	}
	res.AppendBodyString(`{"results":[`)
	for i, ev := range events {
		if i > 0 {
			res.AppendBodyString(",")
		}
		result(res, ev, appended[i])
	}
	res.AppendBodyString(`]}`)
}

func result(res *fasthttp.Response, ev *event.Event, a state.Appended) {
	res.AppendBodyString(`{"id":"`)
	res.AppendBodyString(a.ID(ev))
	if a.Duplicate {
		res.AppendBodyString(`","status":"duplicate"}`)
		return
	}
	res.AppendBodyString(`","status":"accepted"}`)
}

// reader is a request in the form that package source takes. It is pooled together with its look-up functions, which would
// otherwise be allocated for each request.
type reader struct {
	request source.Request
	ctx     *fiber.Ctx
}

func newReader() *reader {
	r := &reader{}
	r.request.Header = func(name string) string { return string(r.ctx.Request().Header.Peek(name)) }
	r.request.Query = func(name string) string { return string(r.ctx.Request().URI().QueryArgs().Peek(name)) }
	r.request.HeaderTwice = func(name string) bool { return len(r.ctx.Request().Header.PeekAll(name)) > 1 }
	r.request.QueryTwice = func(name string) bool { return len(r.ctx.Request().URI().QueryArgs().PeekMulti(name)) > 1 }
	return r
}

func (r *reader) open(c *fiber.Ctx, now time.Time, proxies []netip.Prefix) {
	r.ctx = c
	r.request.Method = c.Method() // one of the router's constants
	r.request.Token = pathToken(c.Params("token"))
	r.request.Remote = Remote(c, proxies)
	r.request.Received = now
}

func (r *reader) reset() {
	r.ctx = nil
	r.request = source.Request{
		Header: r.request.Header, Query: r.request.Query, HeaderTwice: r.request.HeaderTwice, QueryTwice: r.request.QueryTwice,
	}
}

// pathToken returns the secret segment of the path, copied only if it was escaped.
func pathToken(segment string) string {
	if !strings.Contains(segment, "%") {
		return segment
	}
	plain, err := url.PathUnescape(segment)
	if err != nil {
		return segment
	}
	return plain
}

// contentType copies the header, without allocating for application/json.
func contentType(b []byte) string {
	if string(b) == jsonType {
		return jsonType
	}
	return string(b)
}

const jsonType = "application/json"
