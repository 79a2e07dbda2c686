package sse

import (
	"bufio"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/rules/event"
)

// WorkFor bounds the work of one request. JSONFor bounds it where the answer is not a stream, because then it is not noticed that the
// client has left.
const (
	WorkFor = 10 * time.Minute
	JSONFor = time.Minute
)

// The names of the events of a stream of Work.
const (
	ProgressEvent = "progress"
	ResultEvent   = "result"
	ProblemEvent  = "problem"
)

// Work answers a request with the result of do, which takes seconds to minutes. With `Accept: text/event-stream` the answer is a stream:
// `progress` events with what report was given, and at the end one `result`, or one `problem` in the form of the API's errors. Otherwise
// it is JSON, once do has ended, and report writes nothing.
//
// The context of do has a deadline, WorkFor or JSONFor away, before which do should end by itself. It is over early when the gateway
// stops. Report returns an error then, when the client has left, and when still says no, which is asked every few seconds: do returns that
// error. do is called once, in one goroutine, unless Work returns an error of the bounds of streams; it may not use the request, which
// has ended: what is wrong with the request is found before.
func (s *Streams) Work(c *fiber.Ctx, owner string, still func(context.Context) bool,
	do func(ctx context.Context, report func(progress any) error) (result any, err error),
) error {
	isStream, lifetime := strings.Contains(c.Get(fiber.HeaderAccept), mediaType), JSONFor
	if isStream {
		lifetime = WorkFor
	}
	st, err := s.admit(owner, c.Context().Conn(), lifetime)
	if err != nil {
		return err
	}
	w := &work{stream: st, still: still, asked: wall.Elapsed()}
	if !isStream {
		defer st.close()
		result, err := do(st.ctx, func(any) error { return w.goOn() })
		if err != nil {
			return w.problem(err)
		}
		if err := s.moveDeadline(st); err != nil { // that of the server is over
			return w.problem(err)
		}
		return answer.JSON(c, fiber.StatusOK, result)
	}
	requestID := answer.RequestID(c.Context())
	setHeader(c)
	c.Context().SetConnectionClose()
	c.Context().SetBodyStreamWriter(func(out *bufio.Writer) {
		defer st.close()
		w.out = out
		if st.flush(out, []byte(": begin\n\n")) != nil {
			st.end() // do is called all the same: it lets go of what its caller holds
		}
		result, err := do(st.ctx, func(progress any) error {
			if err := w.goOn(); err != nil {
				return err
			}
			return w.write(ProgressEvent, progress)
		})
		if err == nil {
			err = w.write(ResultEvent, result)
		}
		if err == nil {
			return
		}
		problem := w.problem(err)
		if problem.Status >= fiber.StatusInternalServerError && s.options.Log != nil && st.ctx.Err() == nil {
			s.options.Log.Error("a request failed", "request_id", requestID, "err", problem)
		}
		w.refuse(problem.View(requestID))
	})
	return nil
}

// work is one request of Work.
type work struct {
	stream *stream
	out    *bufio.Writer // nil where the answer is not a stream
	still  func(context.Context) bool
	asked  time.Duration // when still was asked
}

// goOn returns an error when the work has to end.
func (w *work) goOn() error {
	if err := w.stream.ctx.Err(); err != nil {
		return err
	}
	if now := wall.Elapsed(); now-w.asked >= w.stream.streams.options.StillEvery {
		if w.asked = now; !w.still(w.stream.ctx) {
			return answer.NewProblem(fiber.StatusUnauthorized, view.Authentication, "the token of this request does not count any more")
		}
	}
	return nil
}

// problem returns what the caller is told of an error of the work.
func (w *work) problem(err error) *answer.Problem {
	switch ended := w.stream.ctx.Err(); {
	case errors.Is(ended, context.DeadlineExceeded):
		return answer.Unavailable("this takes too long: ask for less", answer.DefaultRetryAfter, err)
	case ended != nil:
		return answer.Unavailable("the gateway is stopping", answer.DefaultRetryAfter, err)
	}
	return answer.FromError(err)
}

func (w *work) write(name string, data any) error {
	text, err := event.Marshal(data)
	if err != nil {
		return err
	}
	e := Event{Name: name, Data: text}
	if err = w.stream.flush(w.out, e.append(nil)); err != nil {
		w.stream.end() // the client has left, which is no fault
	}
	return err
}

// refuse writes a problem, also where the streams have ended: the deadline that was set then bounds it. Where the client has left, nobody
// reads it.
func (w *work) refuse(problem any) {
	text, err := event.Marshal(problem)
	if err != nil {
		return
	}
	if err := w.stream.streams.moveDeadline(w.stream); err != nil && !errors.Is(err, errEnded) {
		return
	}
	e := Event{Name: ProblemEvent, Data: text}
	_ = put(w.out, e.append(nil))
}
