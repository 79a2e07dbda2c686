package page

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Request is a visit of a page.
type Request struct {
	Ctx *fiber.Ctx
	// Grant is what the visitor may do; nil without a session.
	Grant *access.Grant
	// Session is the visitor's; nil without one.
	Session *access.Session
	// Tenant is whose page it is; empty for a page of the whole gateway.
	Tenant string
	// Status is that of the answer; 0 means 200.
	Status int

	site  *Site
	nonce string
	// once is of the showing of the form that was posted; empty: the form has none.
	once string
	// header are those of the visitor's request that the API is asked with.
	header [][2]string
}

// passed are the headers of a visitor's request that the API decides by.
var passed = []string{
	fiber.HeaderCookie, fiber.HeaderHost, fiber.HeaderOrigin, "Sec-Fetch-Site", fiber.HeaderXForwardedFor, fiber.HeaderXForwardedProto, fiber.HeaderXForwardedHost,
	fiber.HeaderForwarded,
}

// request reads a visit. The request is returned also with an error.
func (s *Site) request(c *fiber.Ctx) (*Request, error) {
	r := &Request{Ctx: c, site: s, nonce: newNonce()}
	h := &c.Request().Header
	for _, name := range passed {
		if value := h.Peek(name); len(value) > 0 {
			r.header = append(r.header, [2]string{name, string(value)})
		}
	}
	if s.Portal {
		r.header = append(r.header, [2]string{route.SessionHeader, "portal"})
	}
	r.header = append(r.header, [2]string{answer.RequestIDHeader, answer.RequestID(c.Context())})
	var own fasthttp.RequestHeader
	r.setHeader(&own)
	session := s.Callers.Session(&own)
	if session == nil || (session.Link != "") != s.Portal {
		return r, nil
	}
	caller, err := s.Callers.Of(s.Context, &own)
	if err != nil {
		return r, fmt.Errorf("find out who visits: %w", err)
	}
	if caller.Grant == nil {
		return r, nil
	}
	r.Grant, r.Session = caller.Grant, session
	if s.Portal {
		r.Tenant = r.Grant.Tenant
		return r, nil
	}
	if named := strings.Clone(c.Params("tenant")); named != "" {
		tenant, ok := r.Grant.TenantFor(named)
		if !ok {
			return r, answer.NewProblem(fiber.StatusForbidden, view.Permission, "this session does not reach the tenant `"+named+"`", "tenant")
		}
		r.Tenant = tenant
	}
	return r, nil
}

func newNonce() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it cannot fail
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// showing names this showing of the page, in its forms.
func (r *Request) showing() string {
	sum := sha256.Sum256([]byte("once " + r.nonce))
	return hex.EncodeToString(sum[:12])
}

func (r *Request) setHeader(h *fasthttp.RequestHeader) {
	for _, each := range r.header {
		h.Set(each[0], each[1])
	}
}

// May reports whether the visitor has a scope.
func (r *Request) May(s access.Scope) bool { return r.Grant != nil && r.Grant.May(s) }

// Everywhere reports whether the visitor reaches every tenant.
func (r *Request) Everywhere() bool { return r.Grant != nil && r.Grant.Tenant == access.AnyTenant }

// Home is the tenant whose overview the visitor begins with.
func (r *Request) Home() string {
	if r.Grant == nil || r.Everywhere() {
		return access.DefaultTenant
	}
	return r.Grant.Tenant
}

// Base is the path that the pages of the request's tenant begin with, without a slash at its end.
func (r *Request) Base() string {
	base := r.site.below() + r.site.Root
	if r.site.Portal {
		return base
	}
	tenant := r.Tenant
	if tenant == "" {
		tenant = r.Home()
	}
	return base + "/t/" + tenant
}

// Root is the path of the site, as the browser sees it.
func (r *Request) Root() string { return r.site.below() + r.site.Root }

// Query returns a parameter of the page's address.
func (r *Request) Query(name string) string { return strings.Clone(r.Ctx.Query(name)) }

// Param returns a part of the page's path, decoded.
func (r *Request) Param(name string) string {
	value, err := url.PathUnescape(r.Ctx.Params(name))
	if err != nil {
		return strings.Clone(r.Ctx.Params(name))
	}
	return strings.Clone(value)
}

// Form returns the fields of the form that was posted.
func (r *Request) Form() (url.Values, error) {
	if !strings.HasPrefix(string(r.Ctx.Request().Header.ContentType()), fiber.MIMEApplicationForm) {
		return nil, answer.NewProblem(fiber.StatusBadRequest, view.Validation, "a form is expected")
	}
	values, err := url.ParseQuery(string(r.Ctx.Body()))
	if err != nil {
		return nil, answer.NewProblem(fiber.StatusBadRequest, view.Validation, "the body is not a form")
	}
	r.once = values.Get(onceField)
	return values, nil
}

// onceField is the field of a form whose value is of one showing of it.
const onceField = "once"

// Show answers with a page.
func (r *Request) Show(page string, data any) error {
	body, err := r.site.render(r, page, "page", r.frame(page, data))
	if err != nil {
		return err
	}
	return r.send(body)
}

// Part answers with a fragment of a page: one of its definitions. A browser that has the same one already gets 304.
func (r *Request) Part(page, name string, data any) error {
	body, err := r.site.render(r, page, name, data)
	if err != nil {
		return err
	}
	// The nonce and what is made of it differ each time, and are no part of what is shown.
	sum := sha256.Sum256(bytes.ReplaceAll(bytes.ReplaceAll(body, []byte(r.nonce), nil), []byte(r.showing()), nil))
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	r.Ctx.Set(fiber.HeaderETag, tag)
	if r.Ctx.Get(fiber.HeaderIfNoneMatch) == tag {
		r.setPageHeader()
		return r.Ctx.SendStatus(fiber.StatusNotModified)
	}
	return r.send(body)
}

// Wants reports whether a fragment of the page is asked for: `part` in its address.
func (r *Request) Wants(part string) bool { return r.Ctx.Query(partName) == part }

// partName is the parameter of an address that asks for a fragment of its page.
const partName = "part"

// isPart reports whether a fragment is asked for, whichever it is.
func (r *Request) isPart() bool { return r.Ctx.Context().QueryArgs().Has(partName) }

// Address is the address of the page that the visitor is on, from the path of the site on and as it was asked for: its path, and its query
// without what asks for a fragment. A form is on the page at the path that it is posted to, or on the nearest above.
func (r *Request) Address() string {
	uri := r.Ctx.Context().URI()
	path, query := string(uri.PathOriginal()), string(uri.QueryString())
	if r.Ctx.Method() != fiber.MethodGet && r.Ctx.Method() != fiber.MethodHead {
		if at := r.site.nearest(r.Ctx.Route().Path, path); at != path {
			path, query = at, ""
		}
	}
	parameters := slices.DeleteFunc(strings.Split(query, "&"), func(each string) bool {
		name, _, _ := strings.Cut(each, "=")
		return name == "" || name == partName
	})
	if len(parameters) == 0 {
		return path
	}
	return path + "?" + strings.Join(parameters, "&")
}

// See leads the browser to another page of the tenant, which shows a note once; path begins with a slash, and "" is no note.
func (r *Request) See(path, note string) error {
	if note != "" {
		r.setNote(note)
	}
	return r.Ctx.Redirect(r.Base()+path, fiber.StatusSeeOther)
}

// SeeAt is See for a path of the site that belongs to no tenant.
func (r *Request) SeeAt(path, note string) error {
	if note != "" {
		r.setNote(note)
	}
	return r.Ctx.Redirect(r.Root()+path, fiber.StatusSeeOther)
}

// Download answers with a file to keep.
func (r *Request) Download(name, kind string, body []byte) error {
	r.setPageHeader()
	r.Ctx.Set(fiber.HeaderContentType, kind)
	r.Ctx.Set(fiber.HeaderContentDisposition, `attachment; filename="`+name+`"`)
	return r.Ctx.Send(body)
}

func (r *Request) setPageHeader() {
	frames := ""
	if r.site.Frames != nil {
		frames = r.site.Frames(r)
	}
	c := r.Ctx
	c.Set(fiber.HeaderContentSecurityPolicy, policy(r.nonce, frames))
	if frames == "" {
		c.Set(fiber.HeaderXFrameOptions, "DENY")
		c.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderPermissionsPolicy, "clipboard-write=(self)")
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(answer.RequestIDHeader, answer.RequestID(c.Context()))
}

func (r *Request) send(body []byte) error {
	r.setPageHeader()
	c := r.Ctx
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	if r.Status != 0 {
		c.Status(r.Status)
	}
	c.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	if len(body) > 1<<10 && c.Request().Header.HasAcceptEncoding("gzip") {
		c.Set(fiber.HeaderContentEncoding, "gzip")
		return c.Send(compressedFast(body))
	}
	return c.Send(body)
}

// writers are those of gzip that pages are compressed with.
var writers = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is one that there is
	}
	return w
}}

func compressedFast(body []byte) []byte {
	var b bytes.Buffer
	w := writers.Get().(*gzip.Writer)
	defer writers.Put(w)
	w.Reset(&b)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}
