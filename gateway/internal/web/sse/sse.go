// Package sse streams server-sent events to clients of the HTTP server. Every handler whose answer goes on for longer than one
// write uses it: it moves the deadline of the connection, notices clients that left, bounds the streams, and ends them at a stop.
package sse

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// Options bound streams. WriteTimeout is required; zero values of the others mean their default.
type Options struct {
	// Max is how many streams may be open (default 256), MaxPerOwner how many of one session or token (default 8): one more ends its
	// oldest.
	Max, MaxPerOwner int
	// Lifetime is how long a stream lasts (default 5 minutes). Clients of server-sent events connect again by themselves.
	Lifetime time.Duration
	// Heartbeat is the longest time without a write (default 15 s). A client that left is noticed by a failing write, which is
	// the second one after it left.
	Heartbeat time.Duration
	// WriteTimeout bounds each write. A client that reads nothing for that long is given up.
	WriteTimeout time.Duration
	// StillEvery is how often Work asks whether its caller may still have the answer (default 5 s).
	StillEvery time.Duration
	// Log gets the faults of Work behind its answers; nil: they are not logged.
	Log *slog.Logger
}

// The defaults of Options.
const (
	DefaultMax         = 256
	defaultMaxPerOwner = 8
	defaultLifetime    = 5 * time.Minute
	defaultHeartbeat   = 15 * time.Second
	defaultStillEvery  = 5 * time.Second
)

// endWithin bounds the last write of a stream at a stop, so that a client that reads nothing does not delay the stop.
const endWithin = 500 * time.Millisecond

// wall is the machine's clock: deadlines of the network must not depend on the clock of a test.
var wall = clock.System()

// Event is one message. Data may have several lines; ID and Name are one line each, and optional.
type Event struct {
	// ID is what the client sends as Last-Event-ID when it connects again. Alone, it is no message: the client keeps it.
	ID, Name string
	Data     []byte
}

// Streams are the open streams of a server. Make them with New; they are safe for concurrent use.
type Streams struct {
	options Options
	ctx     context.Context // ends with End
	end     context.CancelFunc

	mu     sync.Mutex
	open   map[*stream]struct{}
	owners map[string]int // open streams of each owner
	opened uint64         // how many there ever were
	ended  bool
}

// stream is one open stream.
type stream struct {
	streams *Streams
	number  uint64 // they are counted as they open
	owner   string
	conn    net.Conn
	ctx     context.Context // ends with the stream
	end     context.CancelFunc
}

var errEnded = errors.New("streams have ended")

// New returns Streams with no stream.
func New(o Options) *Streams {
	o.Max = cmp.Or(o.Max, DefaultMax)
	o.MaxPerOwner = cmp.Or(o.MaxPerOwner, defaultMaxPerOwner)
	o.Lifetime = cmp.Or(o.Lifetime, defaultLifetime)
	o.Heartbeat = cmp.Or(o.Heartbeat, defaultHeartbeat)
	o.StillEvery = cmp.Or(o.StillEvery, defaultStillEvery)
	s := &Streams{options: o, open: map[*stream]struct{}{}, owners: map[string]int{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// Serve answers a request with a stream of the events that open's channel has. The stream lasts until the channel is closed,
// its lifetime is over, the client has left, or End is called; then the context that open got ends. owner is the session or
// token of the caller, which has a bound of its own. open runs before Serve returns; what it returns as an error is the answer.
//
// At the bound of the owner its oldest stream ends; at that of all Serve returns a Problem with 503.
func (s *Streams) Serve(c *fiber.Ctx, owner string, open func(ctx context.Context) (<-chan Event, error)) error {
	if c.Method() == fiber.MethodHead {
		setHeader(c)
		return nil
	}
	st, err := s.admit(owner, c.Context().Conn(), s.options.Lifetime)
	if err != nil {
		return err
	}
	writing := false
	defer func() {
		if !writing {
			st.close()
		}
	}()
	events, err := open(st.ctx)
	if err != nil {
		return err
	}
	setHeader(c)
	c.Context().SetConnectionClose() // front counts the connection as being served until it is closed
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		defer st.close()
		st.write(w, events)
	})
	writing = true
	return nil
}

// mediaType is that of server-sent events.
const mediaType = "text/event-stream"

func setHeader(c *fiber.Ctx) {
	c.Set(fiber.HeaderContentType, mediaType)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set("X-Accel-Buffering", "no") // nginx would hold events back
}

// admit adds a stream within the bounds.
func (s *Streams) admit(owner string, conn net.Conn, lifetime time.Duration) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return nil, answer.Unavailable("the gateway is stopping", answer.DefaultRetryAfter, nil)
	case s.owners[owner] >= s.options.MaxPerOwner:
		s.giveWay(owner)
	case len(s.open) >= s.options.Max:
		return nil, answer.Unavailable("too many streams are open", answer.DefaultRetryAfter, nil)
	}
	s.opened++
	st := &stream{streams: s, owner: strings.Clone(owner), conn: conn, number: s.opened}
	st.ctx, st.end = context.WithTimeout(s.ctx, lifetime)
	s.open[st] = struct{}{}
	s.owners[st.owner]++
	return st, nil
}

// giveWay ends the oldest stream of an owner; s.mu is held. A browser that goes from page to page leaves streams behind, which are only
// noticed by a failing write: its next page must not be refused for them.
func (s *Streams) giveWay(owner string) {
	var oldest *stream
	for st := range s.open {
		if st.owner == owner && (oldest == nil || st.number < oldest.number) {
			oldest = st
		}
	}
	_ = oldest.conn.SetWriteDeadline(wall.Now().Add(endWithin)) // it may be in a write
	s.remove(oldest)
	oldest.end()
}

// remove frees the place of a stream; s.mu is held.
func (s *Streams) remove(st *stream) {
	if _, there := s.open[st]; !there {
		return
	}
	delete(s.open, st)
	if s.owners[st.owner]--; s.owners[st.owner] <= 0 {
		delete(s.owners, st.owner)
	}
}

// Open returns how many streams are open.
func (s *Streams) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// End ends all streams and refuses new ones. It does not wait; a stream ends within half a second, whatever its client does.
func (s *Streams) End() {
	s.mu.Lock()
	s.ended = true
	for st := range s.open {
		_ = st.conn.SetWriteDeadline(wall.Now().Add(endWithin)) // it may be in a write
	}
	s.mu.Unlock()
	s.end()
}

func (st *stream) close() {
	st.end()
	s := st.streams
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(st)
}

// write writes events and heartbeats until the stream ends.
func (st *stream) write(w *bufio.Writer, events <-chan Event) {
	err := st.flush(w, []byte(": begin\n\n")) // proxies pass the header on with the first byte
	for err == nil {
		silent, stop := wall.After(st.streams.options.Heartbeat)
		select {
		case <-st.ctx.Done():
			stop()
			return
		case e, ok := <-events:
			if stop(); !ok {
				return
			}
			err = st.flush(w, e.append(nil))
		case <-silent:
			err = st.flush(w, []byte(":\n\n"))
		}
	}
}

// flush writes a part of the stream and moves the deadline of the connection before it: the server's own deadline is set once for
// the whole answer.
func (st *stream) flush(w *bufio.Writer, part []byte) error {
	if err := st.streams.moveDeadline(st); err != nil {
		return err
	}
	return put(w, part)
}

// put writes a part of a stream at once.
func put(w *bufio.Writer, part []byte) error {
	if _, err := w.Write(part); err != nil {
		return err
	}
	return w.Flush()
}

// moveDeadline gives the next write of a stream its time.
func (s *Streams) moveDeadline(st *stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.open[st]; !open || s.ended {
		return errEnded // End or giveWay has set the last deadline
	}
	return st.conn.SetWriteDeadline(wall.Now().Add(s.options.WriteTimeout))
}

var oneLine = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")

// append writes an event as its client reads it.
func (e *Event) append(b []byte) []byte {
	field := func(name, value string) {
		if value != "" {
			b = append(append(append(append(b, name...), ": "...), oneLine.Replace(value)...), '\n')
		}
	}
	field("id", e.ID)
	field("event", e.Name)
	if e.Data == nil && e.Name == "" {
		return append(b, '\n')
	}
	data := bytes.ReplaceAll(bytes.ReplaceAll(e.Data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		b = append(append(append(b, "data: "...), line...), '\n')
	}
	return append(b, '\n')
}
