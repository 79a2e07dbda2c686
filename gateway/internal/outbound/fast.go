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

// fast is HTTP/1.1 on our own connections, with fasthttp as the reader of answers.
//
// fasthttp's HostClient is not used, because it cannot be cancelled, repeats a request that a fresh connection did
// not answer, cannot say whether a byte was sent, and leaves a goroutine behind that nothing stops.
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

// errStale is a kept connection that the peer closed before it answered anything.
var errStale = errors.New("the connection had been closed")

// send writes the request on a kept connection, else on a new one. A kept connection may have been closed by its
// peer at any time: then the request is written once more, on a new one. That the peer has it twice is possible
// and allowed, because the id is the same.
func (f *fast) send(ctx context.Context, w *wire, deadline time.Time) (answer, error) {
	p := f.pools.of(w.key)
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
		reached = true
	}
	nc, err := f.dial(ctx, w, deadline)
	if err != nil {
		return answer{reached: reached}, err
	}
	got, err := f.exchange(ctx, p, &conn{Conn: nc}, w, deadline)
	got.reached = got.reached || reached
	return got, err
}

// dial makes a connection to an address that the guard has seen.
func (f *fast) dial(ctx context.Context, w *wire, deadline time.Time) (net.Conn, error) {
	g := guard{policy: f.policy, trusted: w.key.trusted, plain: !w.tls}
	d := net.Dialer{Timeout: ConnectTimeout, Deadline: deadline, Resolver: f.resolver, Control: g.control}
	nc, err := f.pools.all.dial(ctx, w.key.destination, deadline, func() (net.Conn, error) { return d.DialContext(ctx, "tcp", w.addr) })
	if err != nil {
		return nil, &phaseError{phaseConnect, err}
	}
	if !w.tls {
		return nc, nil
	}
	config := f.tls.Clone()
	config.ServerName = w.url.Hostname()
	config.NextProtos = []string{"http/1.1"}
	tc := tls.Client(nc, config)
	hands, cancel := context.WithTimeout(ctx, min(ConnectTimeout, deadline.Sub(wall.Now())))
	defer cancel()
	if err := tc.HandshakeContext(hands); err != nil {
		_ = nc.Close()
		return nil, &phaseError{phaseTLS, err}
	}
	return tc, nil
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// exchange writes the request and reads its answer. The connection goes back to its pool or is closed.
func (f *fast) exchange(ctx context.Context, p *pool, c *conn, w *wire, deadline time.Time) (answer, error) {
	var got answer
	if err := c.SetDeadline(deadline); err != nil {
		_ = c.Close()
		return got, stale(c, err)
	}
	release := func() bool { return true }
	if ctx.Done() != nil {
		release = context.AfterFunc(ctx, func() { _ = c.SetDeadline(past) })
	}
	reuse, err := c.roundTrip(w, &got)
	// A context that ended has moved, or is about to move, the connection's deadline.
	if !release() || err != nil || !reuse {
		_ = c.Close()
		return got, err
	}
	p.put(c)
	return got, nil
}

// stale marks a fault of a kept connection that has not answered a byte yet.
func stale(c *conn, err error) error {
	if c.kept && !isTimeout(err) {
		return errStale
	}
	return &phaseError{phaseExchange, err}
}

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, HeaderCap) }}

// roundTrip says whether the connection can carry another request.
func (c *conn) roundTrip(w *wire, got *answer) (bool, error) {
	got.reached = true // from the first byte on nobody knows how far they came
	writeErr := c.write(w)
	if writeErr != nil && (isTimeout(writeErr) || c.kept) {
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
	if err := readHeader(br, resp); err != nil {
		switch {
		case writeErr != nil:
			return false, &phaseError{phaseExchange, writeErr}
		case errors.Is(err, io.EOF): // fasthttp says so of every fault before the first byte
			return false, stale(c, err)
		}
		return false, &phaseError{phaseExchange, err}
	}
	got.response.Status = resp.StatusCode()
	got.response.Header = copyHeader(&resp.Header)
	whole, err := readBody(br, resp, w, got)
	if err != nil {
		return false, &phaseError{phaseExchange, err}
	}
	// Bytes behind the answer were not asked for: what follows could not be told from the next answer.
	return whole && writeErr == nil && !resp.ConnectionClose() && br.Buffered() == 0, nil
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// joinBelow is the size of bodies that are copied behind their header, so that one packet and one TLS record
// carries both.
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

// maxInterim bounds how many 1xx answers may come before the real one.
const maxInterim = 5

func readHeader(br *bufio.Reader, resp *fasthttp.Response) error {
	for i := range maxInterim + 1 {
		resp.Header.SetNoDefaultContentType(true)
		if err := resp.Header.Read(br); err != nil {
			if errors.Is(err, io.EOF) && (i > 0 || br.Buffered() > 0) {
				return io.ErrUnexpectedEOF // not before the first byte
			}
			return err
		}
		if s := resp.StatusCode(); s >= 200 {
			return nil
		} else if s == http.StatusSwitchingProtocols {
			return errProtocol("the peer switched to another protocol")
		}
	}
	return errProtocol("the peer keeps answering with 1xx")
}

// drainBelow is how much of a body beyond the cap is read so that its connection can be kept.
const drainBelow = 256 << 10

// readBody keeps as many bytes as are asked for and says whether the body was read to its end.
func readBody(br *bufio.Reader, resp *fasthttp.Response, w *wire, got *answer) (bool, error) {
	status := resp.StatusCode()
	if w.method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		return true, nil
	}
	if length := resp.Header.ContentLength(); length >= 0 {
		keep := min(length, w.keep)
		if keep > 0 {
			got.response.Body = make([]byte, keep)
			n, err := io.ReadFull(br, got.response.Body)
			got.received = n
			if err != nil {
				return false, err
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
	// Chunked, or until the connection closes.
	resp.StreamBody = true
	if err := resp.ReadBody(br, 0); err != nil {
		return false, err
	}
	defer func() { _ = resp.CloseBodyStream() }()
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(resp.BodyStream(), int64(w.keep)+1))
	got.received = int(n)
	if err != nil {
		return false, err
	}
	if int(n) > w.keep {
		got.response.Truncated = true
		b.Truncate(w.keep)
	}
	got.response.Body = b.Bytes()
	return int(n) <= w.keep, nil
}

// copyHeader makes a header of its own with three allocations: what fasthttp holds is reused.
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
