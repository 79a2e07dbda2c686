// Package answer writes the answers of every HTTP route: one form of JSON, one form of errors, one request id.
package answer

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Problem is an error that the caller sees.
type Problem struct {
	Status int
	Detail []view.Detail
	// RetryAfter is sent if it is not 0.
	RetryAfter time.Duration
	// Cause is logged and never sent.
	Cause error
}

func (p *Problem) Error() string {
	text := strconv.Itoa(p.Status)
	if len(p.Detail) > 0 {
		text += " " + p.Detail[0].Msg
	}
	if p.Cause != nil {
		text += ": " + p.Cause.Error()
	}
	return text
}

func (p *Problem) Unwrap() error { return p.Cause }

// NewProblem returns a problem with one detail.
func NewProblem(status int, t view.ProblemType, msg string, loc ...string) *Problem {
	return &Problem{Status: status, Detail: []view.Detail{{Msg: msg, Type: t, Loc: loc}}}
}

// Invalid returns a 422 for the part of the request that loc names.
func Invalid(msg string, loc ...string) *Problem {
	return NewProblem(fiber.StatusUnprocessableEntity, view.Validation, msg, loc...)
}

// NotFound returns a 404; what is the kind of thing, such as `delivery`. A thing of another tenant gets the same answer.
func NotFound(what string) *Problem {
	return NewProblem(fiber.StatusNotFound, view.NotFound, "no such "+what)
}

// NoSuch returns a 404 for a name, with the nearest of the names that there are. One that has come to be meanwhile is not suggested.
func NoSuch(what, name string, names []string) *Problem {
	problem := NotFound(what)
	if near := event.Nearest(name, names); near != "" && near != name {
		problem.Detail[0].Msg += " `" + name + "`; did you mean `" + near + "`?"
	}
	return problem
}

// Conflict returns a 409.
func Conflict(msg string) *Problem { return NewProblem(fiber.StatusConflict, view.Conflict, msg) }

// Unavailable returns a 503 with Retry-After.
func Unavailable(msg string, after time.Duration, cause error) *Problem {
	p := NewProblem(fiber.StatusServiceUnavailable, view.Unavailable, msg)
	p.RetryAfter, p.Cause = after, cause
	return p
}

// DefaultRetryAfter is the Retry-After of a 503 that has no better one.
const DefaultRetryAfter = 5 * time.Second

// FromError returns the problem for an error: errors of stores and of readers of events become answers that a caller can act upon, and
// any other error a 500 without details.
func FromError(err error) *Problem {
	if problem, ok := errors.AsType[*Problem](err); ok {
		return problem
	}
	if web, ok := errors.AsType[*fiber.Error](err); ok {
		return fromHTTP(web)
	}
	var field *event.FieldError
	switch {
	case errors.As(err, &field):
		return Invalid(field.Error(), strings.Split(field.Path, ".")...)
	case errors.Is(err, event.ErrTooDeep), errors.Is(err, event.ErrTooManyAnswers), errors.Is(err, source.ErrTooManyEvents):
		return Invalid(err.Error())
	case errors.Is(err, jsonpath.ErrUTF16):
		return NewProblem(fiber.StatusBadRequest, view.Validation, "the body is not JSON: "+jsonpath.ErrUTF16.Error())
	case errors.Is(err, event.ErrNotJSON), errors.Is(err, source.ErrNotJSON):
		return NewProblem(fiber.StatusBadRequest, view.Validation, "the body is not JSON")
	case errors.Is(err, state.ErrNotFound):
		return NewProblem(fiber.StatusNotFound, view.NotFound, "no such thing here")
	case errors.Is(err, state.ErrConflict):
		return Conflict("it is being worked on, or changed meanwhile")
	case errors.Is(err, state.ErrUnavailable), errors.Is(err, state.ErrClosed):
		return Unavailable("nothing can be read or kept now; /readyz says why", DefaultRetryAfter, err)
	default:
		return &Problem{
			Status: fiber.StatusInternalServerError,
			Detail: []view.Detail{{Msg: "something went wrong here; the request id leads to it in the log", Type: view.Internal}},
			Cause:  err,
		}
	}
}

// fromHTTP returns the problem for an error of the router or the HTTP server.
func fromHTTP(err *fiber.Error) *Problem {
	switch err.Code {
	case fiber.StatusNotFound:
		return NewProblem(err.Code, view.NotFound, "no such path; /docs shows all of them")
	case fiber.StatusMethodNotAllowed:
		return NewProblem(err.Code, view.Validation, "this path does not know that method")
	case fiber.StatusRequestEntityTooLarge:
		return NewProblem(err.Code, view.TooLarge, "the body is too large")
	case fiber.StatusRequestHeaderFieldsTooLarge:
		return NewProblem(err.Code, view.TooLarge, "the headers are too large")
	case fiber.StatusRequestTimeout:
		return NewProblem(err.Code, view.Validation, "the request took too long to arrive")
	default:
		// Anything else that the server could not read is the caller's fault; its text may quote the request.
		return NewProblem(fiber.StatusBadRequest, view.Validation, "this is no HTTP request that can be read")
	}
}

// RequestIDHeader is the header of the request id, in requests and answers.
const RequestIDHeader = "X-Request-Id"

// RequestID returns the caller's own id if it is printable and short, otherwise a new one. It stays the same for the request.
func RequestID(c *fasthttp.RequestCtx) string {
	if id, ok := c.UserValue(RequestIDHeader).(string); ok {
		return id
	}
	id := string(c.Request.Header.Peek(RequestIDHeader))
	if !isLoggableID(id) {
		var random [12]byte
		_, _ = rand.Read(random[:]) // it cannot fail
		id = "req_" + hex.EncodeToString(random[:])
	}
	c.SetUserValue(RequestIDHeader, id)
	return id
}

// isLoggableID reports whether a request id of a caller may be written into the log.
func isLoggableID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// View returns the body of an answer with the problem.
func (p *Problem) View(requestID string) view.Problem {
	return view.Problem{Status: p.Status, Detail: p.Detail, RequestID: requestID}
}

// Write answers with a problem and replaces what was answered before.
func (p *Problem) Write(c *fasthttp.RequestCtx) {
	id := RequestID(c)
	c.Response.Header.Set(RequestIDHeader, id)
	if p.RetryAfter > 0 {
		c.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	detail := p.Detail
	if allowed := c.Response.Header.Peek(fasthttp.HeaderAllow); p.Status == fiber.StatusMethodNotAllowed && len(allowed) > 0 && len(detail) == 1 {
		detail = slices.Clone(detail)
		detail[0].Msg += "; it takes " + string(allowed)
	}
	shown := p.View(id)
	shown.Detail = detail
	body, err := event.Marshal(shown)
	if err != nil { // a struct of texts and a number can be written
		body = []byte(`{"status":500,"detail":[{"msg":"something went wrong here","type":"internal"}]}`)
	}
	put(c, p.Status, body)
}

// ClosingResponse returns the problem as a complete HTTP response that closes the connection, for clients whose request is not read.
func (p *Problem) ClosingResponse() []byte {
	var c fasthttp.RequestCtx
	p.Write(&c)
	c.Response.SetConnectionClose()
	var b bytes.Buffer
	_, _ = c.Response.WriteTo(&b) // a buffer takes everything
	return b.Bytes()
}

// JSON answers with a value.
func JSON(c *fiber.Ctx, status int, v any) error {
	body, err := event.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	put(c.Context(), status, body)
	return nil
}

// Bytes answers with JSON that is already written; it is not copied and must not change.
func Bytes(c *fiber.Ctx, status int, body []byte) error {
	put(c.Context(), status, body)
	return nil
}

func put(c *fasthttp.RequestCtx, status int, body []byte) {
	c.Response.SetStatusCode(status)
	c.Response.Header.SetContentType("application/json")
	c.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	c.Response.SetBodyRaw(body)
}
