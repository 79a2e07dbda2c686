package web

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/web/api"
	"github.com/surveygate/surveygate/gateway/internal/web/compat"
	"github.com/surveygate/surveygate/gateway/internal/web/console"
	"github.com/surveygate/surveygate/gateway/internal/web/inspect"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
	"github.com/surveygate/surveygate/gateway/internal/web/listener"
	"github.com/surveygate/surveygate/gateway/internal/web/manage"
	"github.com/surveygate/surveygate/gateway/internal/web/portal"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

const (
	// smallBody is the largest body where the API has no use for one: it is read because some clients always send one.
	smallBody = 64 << 10
	// openForm is the largest form of somebody without a session. Forms write most bytes of a text as up to three: formGrowth.
	openForm   = 4 << 10
	formGrowth = 3
	// firstRoom is how much memory a body has before anything of it came, and all that the body of nearly every webhook
	// needs. It does not count in the bound of all bodies: there is one for each connection at most.
	firstRoom = 4 << 10
	// growth is by how much the buffer exceeds the bytes that came.
	growth = 4
)

// How fast a body must come: all of it within bodyFor, and at least windowBytes within each window.
const (
	bodyFor     = 30 * time.Second
	window      = 5 * time.Second
	windowBytes = 16 << 10
)

// How much is read of a body that is too large, before it is refused: many clients send all of it before they read the
// answer, and find their connection reset where nobody takes it in. One that pauses is waiting for the answer.
const (
	discardMost  = 16 << 20
	discardPause = time.Second
)

// wall is the clock of the network, which a test's own clock must not change.
var wall = clock.System()

// bodyLimit returns the size up to which the body of a request is read, by its header alone; 0 if it is not read.
func (f *front) bodyLimit(h *fasthttp.RequestHeader) int {
	if h.IsGet() && noBody(h) { // as most that take none
		return 0
	}
	path := pathOf(h)
	if f.entry != route.Apart && f.app.door.Takes(path, h.IsPost()) {
		return intake.MaxRead
	}
	if f.console && h.IsPost() && string(path) == manage.LoginPath {
		return smallBody
	}
	if f.hasPage(path) && h.IsPost() {
		return f.formLimit(h, path)
	}
	if !isManaged(path) || h.IsGet() || h.IsHead() {
		return 0
	}
	grant := access.Socket
	if f.entry != route.Socket {
		var ok bool
		if grant, ok = f.app.callers.Known(h); !ok {
			return 0
		}
	}
	if h.IsPost() && string(bytes.TrimSuffix(path, []byte("/"))) == "/v1/events" && grant != nil && grant.May(access.Publish) {
		return api.MaxBody
	}
	if h.IsPost() && string(bytes.TrimSuffix(path, []byte("/"))) == manage.ImportPath && grant != nil && grant.May(access.Admin) {
		return settings.MaxImport
	}
	if h.IsPost() && inspect.IsPlan(path) && grant != nil && grant.Tenant == access.AnyTenant && grant.May(access.Read|access.Settings) {
		return inspect.MaxPlan
	}
	if h.IsPost() && inspect.TakesLong(path) {
		return inspect.MaxBody
	}
	return smallBody
}

// hasPage reports whether a path is one of the console or of the portal, where the server has them.
func (f *front) hasPage(path []byte) bool {
	return f.console && bytes.HasPrefix(path, []byte(console.Root+"/")) || f.portal && bytes.HasPrefix(path, []byte(portal.Root+"/"))
}

// formLimit returns the size up to which a form of a page is read: a small one of anybody, and larger ones of who has a session. A larger one
// without a session is not read, for the page that it is for answers without it: the session has ended.
func (f *front) formLimit(h *fasthttp.RequestHeader, path []byte) int {
	session := f.app.callers.PortalSession(h)
	if bytes.HasPrefix(path, []byte(console.Root+"/")) {
		session = f.app.callers.Session(h)
	}
	switch {
	case session == nil && h.ContentLength() > openForm:
		return 0
	case session == nil:
		return openForm
	case bytes.HasSuffix(path, []byte(console.ImportPath)):
		return formGrowth * settings.MaxImport
	}
	return formGrowth * inspect.MaxBody
}

// isManaged reports whether a path is of a route that needs a token.
func isManaged(path []byte) bool {
	return bytes.HasPrefix(path, []byte("/v1/")) || bytes.HasPrefix(path, []byte(compat.Prefix))
}

// noBody reports whether a request announces no body.
func noBody(h *fasthttp.RequestHeader) bool {
	length := h.ContentLength()
	return length == 0 || length < -1 // -1 is chunked
}

// pathOf returns the path that the router will see: as written, without the query.
func pathOf(h *fasthttp.RequestHeader) []byte {
	path := h.RequestURI()
	if len(path) > 0 && path[0] == '/' && !bytes.HasPrefix(path, []byte("//")) {
		if end := bytes.IndexAny(path, "?#"); end >= 0 {
			path = path[:end]
		}
		return path
	}
	uri := fasthttp.AcquireURI()
	defer fasthttp.ReleaseURI(uri)
	if uri.Parse(h.Host(), path) != nil {
		return nil
	}
	return bytes.Clone(uri.PathOriginal())
}

// ambiguous reports whether a header frames its body in two ways. What the server makes of it may differ from what a proxy
// before it made, so nothing behind the request can be trusted (RFC 9112, section 6.1).
func ambiguous(h *fasthttp.RequestHeader) bool {
	if h.ContentLength() != -1 && h.IsHTTP11() { // as nearly always
		return false
	}
	raw := bytes.ToLower(h.RawHeaders())
	coded := hasField(raw, "transfer-encoding:")
	return coded && (!h.IsHTTP11() || hasField(raw, "content-length:"))
}

// hasField reports whether a line of the header, in lower case, begins with a name and its colon.
func hasField(raw []byte, name string) bool {
	return bytes.HasPrefix(raw, []byte(name)) || bytes.Contains(raw, []byte("\n"+name))
}

const waitsForContinue = "100-continue"

// headerReceived keeps the server from reading a body that no route wants or that is too large: it turns the request into one
// that asks first (`Expect: 100-continue`), which expected then refuses.
func (f *front) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if !noBody(h) && (f.bodyLimit(h) == 0 || h.ContentLength() > discardMost) {
		h.Set(fasthttp.HeaderExpect, waitsForContinue)
	}
	return fasthttp.RequestConfig{}
}

func (f *front) wanted(h *fasthttp.RequestHeader) bool {
	limit := f.bodyLimit(h)
	return limit > 0 && h.ContentLength() <= limit
}

// expected reports whether the body of a request that asks first is read. If it is not, expected has answered.
func (f *front) expected(c *fasthttp.RequestCtx) (status int) {
	h := &c.Request.Header
	if noBody(h) || f.wanted(h) {
		return fiber.StatusContinue
	}
	if !bytes.Contains(bytes.ToLower(h.RawHeaders()), []byte("expect:")) {
		h.Del(fasthttp.HeaderExpect) // the client never asked
	}
	conn := c.Conn().(*listener.Conn)
	defer conn.EndServing()
	defer func() { status = c.Response.StatusCode() }()
	defer f.recovered(c)
	switch {
	case !conn.BeginServing(): // it was evicted, and nothing can be answered
	case h.ContentLength() > intake.MaxRead, f.bodyLimit(h) > 0:
		f.refuse(c, conn, fiber.ErrRequestEntityTooLarge)
	default:
		conn.DrainOnClose()
		f.route(c)
	}
	return 0 // replaced by what was answered
}

// readBody reads the body of a request into memory of its own, which belongs to whoever handles the request.
func (f *front) readBody(c *fasthttp.RequestCtx, conn *listener.Conn) error {
	if !conn.HeaderRead() {
		return net.ErrClosed
	}
	length, limit := c.Request.Header.ContentLength(), f.bodyLimit(&c.Request.Header)
	most := length
	if length < 0 {
		most = limit + 1 // one more, to see that there is more
	}
	in := progress{conn: conn}
	stream := c.RequestBodyStream()
	if length > limit {
		in.discard(stream)
		return fiber.ErrRequestEntityTooLarge
	}
	body := make([]byte, 0, min(firstRoom, most))
	for {
		n, err := stream.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			in.discard(stream)
			return fiber.ErrRequestEntityTooLarge
		case errors.Is(err, io.EOF) && length >= 0 && len(body) < length:
			return fiber.ErrBadRequest // the client closed the connection
		case errors.Is(err, io.EOF), length >= 0 && len(body) == length:
			if cap(body) > len(body)+len(body)/4 { // chunked: what is kept of it must not keep the room too
				body = bytes.Clone(body)
			}
			c.Request.SetBodyRaw(body)
			return nil
		case err != nil:
			return ofReading(err)
		}
		if len(body) == cap(body) {
			larger := min(growth*cap(body), most)
			if !conn.Reserve(larger - cap(body)) {
				in.discard(stream)
				return noRoom()
			}
			body = append(make([]byte, 0, larger), body...)
		}
		if err := in.read(n); err != nil {
			return ofReading(err)
		}
	}
}

// ofReading returns the answer for a body that could not be read.
func ofReading(err error) error {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() || strings.Contains(err.Error(), "timeout") {
		return fiber.ErrRequestTimeout
	}
	return fiber.ErrBadRequest
}

// discard reads and drops the rest of a body until it ends, the client pauses, or a bound is reached.
func (p *progress) discard(stream io.Reader) {
	if p.end.IsZero() {
		p.end = wall.Now().Add(bodyFor)
	}
	room := discards.Get().(*[]byte)
	defer discards.Put(room)
	for left := discardMost; left > 0; {
		until := wall.Now().Add(discardPause)
		if until.After(p.end) {
			until = p.end
		}
		if p.conn.SetReadDeadline(until) != nil {
			return
		}
		n, err := stream.Read(*room)
		if left -= n; err != nil {
			return
		}
	}
}

var discards = sync.Pool{New: func() any {
	room := make([]byte, 32<<10)
	return &room
}}

// progress ends the reading of a body that arrives too slowly.
type progress struct {
	conn  net.Conn
	reads int
	got   int
	end   time.Time // of all
	until time.Time // of this window
}

// read counts what came. Most bodies are there after two reads, under the deadline of the header.
func (p *progress) read(n int) error {
	p.reads++
	p.got += n
	if p.reads < 3 {
		return nil
	}
	now := wall.Now()
	if p.end.IsZero() {
		p.end = now.Add(bodyFor)
	}
	if p.until.IsZero() || p.got >= windowBytes {
		p.got, p.until = 0, now.Add(window)
		if p.until.After(p.end) {
			p.until = p.end
		}
		return p.conn.SetReadDeadline(p.until)
	}
	return nil
}
