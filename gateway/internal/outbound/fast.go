package outbound

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// fast speaks HTTP/1.1 on connections of its own and reads answers with fasthttp.
//
// fasthttp's HostClient is not used, because it cannot be cancelled, repeats a request that a fresh connection did
// not answer, cannot say whether a byte was sent, and leaves a goroutine that never stops.
type fast struct {
	policy   Policy
	resolver *net.Resolver
	tls      *tls.Config
	pools    *pools
}

func newFast(p Policy, r *net.Resolver, t *tls.Config, all *connections) *fast {
	return &fast{policy: p, resolver: r, tls: t, pools: newPools(all)}
}

func (f *fast) close() { f.pools.close() }

// errStale means that the peer closed a reused connection before it answered anything.
var errStale = errors.New("the connection had been closed")

// send writes the request on a reused connection, else on a new one. The peer may have closed a reused connection at any
// time: then the request is written once more, on a new one. The peer may so get it twice, with the same id.
func (f *fast) send(ctx context.Context, w *wire, deadline time.Time) (answer, error) {
	p := f.pools.acquire(w.key)
	if err := p.enter(ctx, deadline); err != nil {
		return answer{}, err
	}
	defer p.leave()
	reached := false
	if c := p.take(); c != nil {
		got, err := f.exchange(ctx, p, c, w, deadline)
		if !errors.Is(err, errStale) {
			return got, err
		}
		reached = got.reached
	}
	nc, auth, err := f.dial(ctx, w, deadline)
	if err != nil {
		return answer{reached: reached}, err
	}
	got, err := f.exchange(ctx, p, &conn{Conn: nc}, w, deadline)
	err = withClientAuth(auth, err)
	got.reached = got.reached || reached
	return got, err
}

// dial makes a connection to an address that the guard has checked.
func (f *fast) dial(ctx context.Context, w *wire, deadline time.Time) (net.Conn, clientAuth, error) {
	g := guard{policy: f.policy, trusted: w.key.trusted, plain: !w.tls}
	d := net.Dialer{Timeout: ConnectTimeout, Deadline: deadline, Resolver: f.resolver, Control: g.control}
	nc, err := f.pools.all.dial(ctx, w.key.destination, deadline, func() (net.Conn, error) { return d.DialContext(ctx, "tcp", w.addr) })
	if err != nil {
		return nil, notAsked, &phaseError{phaseConnect, err}
	}
	if !w.tls {
		return nc, notAsked, nil
	}
	config := f.tls
	if w.identity != nil {
		config = w.identity.config
	}
	tc, auth, err := handshake(ctx, nc, config, w.url.Hostname(), min(ConnectTimeout, deadline.Sub(wall.Now())), "http/1.1")
	if err != nil {
		return nil, auth, err
	}
	return tc, auth, nil
}

// expired is a deadline in the past.
var expired = time.Unix(1, 0)

// exchange writes the request and reads its answer. The connection goes back to its pool or is closed.
func (f *fast) exchange(ctx context.Context, p *pool, c *conn, w *wire, deadline time.Time) (answer, error) {
	var got answer
	if c.reused && !c.drained() {
		_ = c.Close()
		return got, errStale
	}
	if err := c.SetDeadline(deadline); err != nil {
		_ = c.Close()
		return got, stale(c, err)
	}
	if c.reused && !c.quiet() {
		_ = c.Close()
		return got, errStale
	}
	release := func() bool { return true }
	if ctx.Done() != nil {
		release = context.AfterFunc(ctx, func() { _ = c.SetDeadline(expired) })
	}
	reuse, err := c.roundTrip(w, &got)
	// A cancelled context has moved the connection's deadline, or is about to.
	if !release() || err != nil || !reuse {
		_ = c.Close()
		return got, err
	}
	p.put(c)
	return got, nil
}

// drained reports whether TLS buffers no unsolicited bytes of the peer. It leaves the read deadline expired.
func (c *conn) drained() bool {
	secure, ok := c.Conn.(*tls.Conn)
	if !ok {
		return true
	}
	if secure.SetReadDeadline(expired) != nil {
		return false
	}
	var b [1]byte
	n, err := secure.Read(b[:])
	return n == 0 && isTimeout(err)
}

// stale turns the failure of a reused connection that has not answered a byte into errStale.
func stale(c *conn, err error) error {
	if c.reused && !isTimeout(err) {
		return errStale
	}
	return &phaseError{phaseExchange, err}
}

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, HeaderCap) }}

// roundTrip exchanges one request and reports whether the connection can carry another.
func (c *conn) roundTrip(w *wire, got *answer) (bool, error) {
	got.reached = true // once written, bytes may have arrived even if the write fails
	writeErr := c.write(w)
	if writeErr != nil && (isTimeout(writeErr) || c.reused) {
		return false, stale(c, writeErr)
	}
	// A peer that refuses a large body may answer and close before it has read all of it.
	br := readers.Get().(*bufio.Reader)
	br.Reset(c.Conn)
	resp := fasthttp.AcquireResponse()
	defer func() {
		fasthttp.ReleaseResponse(resp)
		br.Reset(nil)
		readers.Put(br)
	}()
	head, err := readHead(br)
	if err == nil {
		err = parseHead(br, resp, head, got)
	} else if _, silent := errors.AsType[*silentError](err); silent {
		if writeErr != nil {
			return false, &phaseError{phaseExchange, writeErr}
		}
		return false, stale(c, err)
	}
	if err != nil {
		if err := rescue(br, head, w, got, err); err != nil {
			return false, &phaseError{phaseExchange, err}
		}
		return false, nil
	}
	whole, err := readBody(br, resp, w, got)
	if err != nil {
		return false, &phaseError{phaseExchange, err}
	}
	// Unsolicited bytes behind the answer could be mistaken for the next answer.
	return whole && writeErr == nil && got.response.Fault == "" && !resp.ConnectionClose() && br.Buffered() == 0, nil
}

// rescue reads what it can of an answer whose head is faulty. The error says why the answer is missing or incomplete.
func rescue(br *bufio.Reader, head []byte, w *wire, got *answer, fault error) error {
	length := salvage(head, got)
	if length < 0 {
		return fault
	}
	if got.response.Fault == "" {
		got.response.Fault = faultFraming
	}
	if w.bodiless(got.response.Status) {
		return nil
	}
	_, _ = br.Discard(len(head))
	_, err := readSized(br, length, w, got)
	return err
}

// bodiless reports whether an answer of the status has no body, whatever its header says.
func (w *wire) bodiless(status int) bool {
	return w.method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// joinBelow is the size below which a body is copied behind its header, so that one packet and one TLS record carries both.
const joinBelow = 16 << 10

func (c *conn) write(w *wire) error {
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	b.WriteString(w.method)
	b.WriteByte(' ')
	b.WriteString(w.target)
	b.WriteString(" HTTP/1.1\r\nHost: ")
	b.WriteString(w.url.Host)
	for i := range w.fields {
		b.WriteString("\r\n")
		b.WriteString(w.fields[i].Name)
		b.WriteString(": ")
		b.WriteString(w.fields[i].Value)
	}
	if len(w.body) > 0 || (w.method != http.MethodGet && w.method != http.MethodHead) {
		b.WriteString("\r\nContent-Length: ")
		b.Write(strconv.AppendInt(b.AvailableBuffer(), int64(len(w.body)), 10))
	}
	b.WriteString("\r\n\r\n")
	if len(w.body) < joinBelow {
		b.Write(w.body)
		_, err := c.Write(b.Bytes())
		return err
	}
	if _, err := c.Write(b.Bytes()); err != nil {
		return err
	}
	_, err := c.Write(w.body)
	return err
}

// drainBelow is how much of a body beyond the cap is read so that its connection can be kept.
const drainBelow = 256 << 10

// readBody keeps up to w.keep bytes and reports whether the body was read to its end.
func readBody(br *bufio.Reader, resp *fasthttp.Response, w *wire, got *answer) (bool, error) {
	if w.bodiless(resp.StatusCode()) {
		return true, nil
	}
	if length := resp.Header.ContentLength(); length >= 0 {
		return readSized(br, length, w, got)
	}
	// Chunked, or until the connection closes.
	resp.StreamBody = true
	if err := resp.ReadBody(br, 0); err != nil {
		return false, err
	}
	defer func() { _ = resp.CloseBodyStream() }()
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(resp.BodyStream(), int64(w.keep)+1))
	got.received = int(n)
	if int(n) > w.keep {
		got.response.Truncated = true
		b.Truncate(w.keep)
	}
	got.response.Body = b.Bytes()
	return int(n) <= w.keep, err
}

// readSized is readBody for a body of known length.
func readSized(br *bufio.Reader, length int, w *wire, got *answer) (bool, error) {
	keep := min(length, w.keep)
	if keep > 0 {
		body := make([]byte, keep)
		n, err := io.ReadFull(br, body)
		got.response.Body, got.received = body[:n], n
		if err != nil {
			return false, brokeOff(err)
		}
	}
	rest := length - keep
	if rest == 0 {
		return true, nil
	}
	got.response.Truncated = true
	if rest > drainBelow {
		return false, nil
	}
	n, err := br.Discard(rest)
	got.received += n
	return err == nil, nil
}

// brokeOff turns io.EOF into io.ErrUnexpectedEOF, for a body that was announced to be longer.
func brokeOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// copyHeader copies a header with three allocations, because fasthttp reuses its own.
func copyHeader(h *fasthttp.ResponseHeader) http.Header {
	n, size := 0, 0
	for k, v := range h.All() {
		n++
		size += len(k) + len(v)
	}
	text := make([]byte, 0, size)
	for k, v := range h.All() {
		text = append(append(text, k...), v...)
	}
	all := string(text)
	out := make(http.Header, n)
	values := make([]string, 0, n)
	at := 0
	for k, v := range h.All() {
		name := all[at : at+len(k)]
		values = append(values, all[at+len(k):at+len(k)+len(v)])
		at += len(k) + len(v)
		if had, ok := out[name]; ok {
			out[name] = append(slices.Clip(had), values[len(values)-1])
			continue
		}
		out[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return out
}
