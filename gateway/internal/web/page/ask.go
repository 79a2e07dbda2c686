package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Ask is a question to the API.
type Ask struct {
	Method, Path string
	Query        url.Values
	// Body is sent as JSON; nil: none.
	Body any
	// Raw is sent in place of Body, as it is. Type is its type.
	Raw  []byte
	Type string
	// Match is the version in If-Match; empty: none.
	Match string
	// NewOnly sends If-None-Match: *.
	NewOnly bool
	// DryRun: the question changes nothing although its method could. So it may be asked for a visitor who came by a link from
	// elsewhere, or who typed the address.
	DryRun bool
}

// Answer is what the API answered: with a status below 400.
type Answer struct {
	Status int
	Body   []byte
	// Tag is the version in the ETag, without its quotes.
	Tag string
	// Location is the path of what was made.
	Location string
}

// Path joins the parts of a path of the API, each escaped.
func Path(parts ...string) string {
	var b strings.Builder
	for i, each := range parts {
		if i == 0 {
			b.WriteString(each)
			continue
		}
		b.WriteByte('/')
		b.WriteString(url.PathEscape(each))
	}
	return b.String()
}

// Read asks the API for what a page shows. The error is a *answer.Problem where the API refuses.
func (r *Request) Read(path string, query url.Values, out any) error {
	a, err := r.Ask(Ask{Method: fiber.MethodGet, Path: path, Query: query})
	if err != nil {
		return err
	}
	return a.Decode(out)
}

// Decode reads the body of an answer.
func (a *Answer) Decode(out any) error {
	if err := json.Unmarshal(a.Body, out); err != nil {
		return fmt.Errorf("read an answer of the API: %w", err)
	}
	return nil
}

// Ask asks the API as the visitor: for the page's tenant, where the question names none. The error is a *answer.Problem where the
// API refuses.
func (r *Request) Ask(ask Ask) (*Answer, error) {
	var c fasthttp.RequestCtx
	var q fasthttp.Request
	query := url.Values{}
	for name, values := range ask.Query {
		for _, value := range values {
			if value != "" {
				query.Add(name, value)
			}
		}
	}
	if r.Tenant != "" && !r.site.Portal && !query.Has("tenant") && !strings.HasPrefix(ask.Path, "/v1/tenants") { // these name theirs in the path
		query.Set("tenant", r.Tenant)
	}
	target := ask.Path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	q.Header.SetMethod(ask.Method)
	r.setHeader(&q.Header)
	q.SetRequestURI(target)
	switch {
	case ask.Raw != nil:
		q.Header.SetContentType(ask.Type)
		q.SetBodyRaw(ask.Raw)
	case ask.Body != nil:
		body, err := json.Marshal(ask.Body)
		if err != nil {
			return nil, fmt.Errorf("write a question to the API: %w", err)
		}
		q.Header.SetContentType(fiber.MIMEApplicationJSON)
		q.SetBodyRaw(body)
	}
	if ask.Match != "" {
		q.Header.Set(fiber.HeaderIfMatch, `"`+ask.Match+`"`)
	}
	if ask.NewOnly {
		q.Header.Set(fiber.HeaderIfNoneMatch, "*")
	}
	if ask.DryRun {
		q.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if r.once != "" && ask.Method == fiber.MethodPost && !ask.DryRun {
		sum := sha256.Sum256(bytes.Join([][]byte{[]byte(r.once), []byte(target), q.Body()}, []byte{0}))
		q.Header.Set("Idempotency-Key", "form-"+hex.EncodeToString(sum[:16]))
	}
	c.Init(&q, r.Ctx.Context().RemoteAddr(), nil)
	r.site.Routes(&c)
	a := &Answer{
		Status: c.Response.StatusCode(), Body: c.Response.Body(), Tag: strings.Trim(string(c.Response.Header.Peek(fiber.HeaderETag)), `"`),
		Location: string(c.Response.Header.Peek(fiber.HeaderLocation)),
	}
	if a.Status >= fiber.StatusBadRequest {
		return a, problemOf(a)
	}
	return a, nil
}

// problemOf returns the problem that an answer of the API has.
func problemOf(a *Answer) error {
	var p view.Problem
	if err := json.Unmarshal(a.Body, &p); err != nil || len(p.Detail) == 0 {
		return answer.NewProblem(a.Status, view.Internal, "the API answered "+fmt.Sprint(a.Status))
	}
	return &answer.Problem{Status: a.Status, Detail: p.Detail}
}

// Together asks several questions at the same time. Of its errors, the first in their order is the one that a page shows.
func (r *Request) Together(ask ...func() error) error { return route.Together(ask...) }
