package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/sse"
)

// worked are requests that take long, at /test/work?how=. `go on` reports until it may not.
type worked struct {
	ended   chan error // receives how each ended
	asked   chan struct{}
	refused atomic.Bool // its token does not count
}

func newWorked() *worked { return &worked{ended: make(chan error, 10), asked: make(chan struct{}, 10)} }

func (w *worked) routes(a *App, app *fiber.App) {
	app.Get("/test/work", func(c *fiber.Ctx) error {
		how := strings.Clone(string(c.Request().URI().QueryArgs().Peek("how")))
		still := func(context.Context) bool { return !w.refused.Load() }
		return a.streams.Work(c, "a", still, func(ctx context.Context, report func(any) error) (result any, err error) {
			defer func() { w.ended <- err }()
			w.asked <- struct{}{}
			for n := 1; n <= 3 || how == "go on"; n++ {
				if err := report(map[string]int{"n": n}); err != nil {
					return nil, err
				}
				if how == "go on" {
					time.Sleep(time.Millisecond)
				}
			}
			switch how {
			case "refuse":
				return nil, answer.Invalid("no such `x`", "x")
			case "break":
				return nil, errors.New("the disk is gone")
			}
			return map[string]string{"is": "a\nb <c>"}, nil
		})
	})
}

// A request that takes long is answered in JSON, or as a stream for who asks for one.
func TestWork(t *testing.T) {
	t.Parallel()
	w, log := newWorked(), &logged{}
	r := (&rig{routes: w.routes, log: slog.New(slog.NewTextHandler(log, nil))}).open(t)
	stream := map[string]string{"Accept": "text/event-stream"}
	progress := "event: progress\ndata: {\"n\":1}\n\nevent: progress\ndata: {\"n\":2}\n\nevent: progress\ndata: {\"n\":3}\n\n"
	for _, test := range []struct {
		how    string
		header map[string]string
		status int
		body   string
	}{
		{"", nil, http.StatusOK, `{"is":"a\nb <c>"}`},
		{"refuse", nil, http.StatusUnprocessableEntity, `{"status":422,"detail":[{"msg":"no such ` + "`x`" + `","type":"validation_error","loc":["x"]}],"request_id":"request-7"}`},
		{"break", nil, http.StatusInternalServerError, `{"status":500,"detail":[{"msg":"something went wrong here; the request id leads to it in the log","type":"internal"}],"request_id":"request-7"}`},
		{"", stream, http.StatusOK, ": begin\n\n" + progress + "event: result\ndata: {\"is\":\"a\\nb <c>\"}\n\n"},
		{"refuse", stream, http.StatusOK, ": begin\n\n" + progress + "event: problem\ndata: {\"status\":422,\"detail\":[{\"msg\":\"no such `x`\",\"type\":\"validation_error\",\"loc\":[\"x\"]}],\"request_id\":\"request-7\"}\n\n"},
		{"break", stream, http.StatusOK, ": begin\n\n" + progress + "event: problem\ndata: {\"status\":500,\"detail\":[{\"msg\":\"something went wrong here; the request id leads to it in the log\",\"type\":\"internal\"}],\"request_id\":\"request-7\"}\n\n"},
	} {
		header := map[string]string{"X-Request-Id": "request-7"}
		maps.Copy(header, test.header)
		got := r.ask(t, ask{path: "/test/work?how=" + test.how, header: header})
		if got.status != test.status || got.body != test.body {
			t.Errorf("%q, %v: %d %s\nwant %d %s", test.how, test.header, got.status, got.body, test.status, test.body)
		}
		<-w.ended
	}
	if text := log.take(); strings.Count(text, "the disk is gone") != 2 {
		t.Errorf("the fault is not in the log once for each of both requests:\n%s", text)
	}
	if n := r.app.streams.Open(); n != 0 {
		t.Errorf("%d are open", n)
	}
}

// Work ends when its client leaves, when its token does not count any more, and with the gateway.
func TestWorkEnds(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*worked, *rig) {
		t.Helper()
		w, log := newWorked(), &logged{}
		r := (&rig{routes: w.routes, log: slog.New(slog.NewTextHandler(log, nil)), streams: sse.Options{StillEvery: time.Millisecond}}).open(t)
		t.Cleanup(func() {
			for r.app.streams.Open() > 0 { // a fault is logged before a stream is closed
				runtime.Gosched()
			}
			if text := log.take(); strings.Contains(text, "a request failed") {
				t.Errorf("it is logged as a fault:\n%s", text)
			}
		})
		return w, r
	}
	open := func(t *testing.T, r *rig) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway/test/work?how=go%20on", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		res, err := r.tcp.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	t.Run("client", func(t *testing.T) {
		t.Parallel()
		w, r := begin(t)
		if err := open(t, r).Body.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-w.ended; err == nil {
			t.Error("it goes on for nobody")
		}
	})
	t.Run("token", func(t *testing.T) {
		t.Parallel()
		w, r := begin(t)
		res := open(t, r)
		w.refused.Store(true)
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		body := string(text)
		if !strings.Contains(body, "event: problem\ndata: {\"status\":401,") || strings.Contains(body, "event: result") {
			t.Errorf("it ends with %s", body[max(0, len(body)-500):])
		}
	})
	t.Run("gateway", func(t *testing.T) {
		t.Parallel()
		w, r := begin(t)
		res := open(t, r)
		plain := make(chan told, 1)
		go func() { plain <- r.ask(t, ask{path: "/test/work?how=go%20on"}) }()
		<-w.asked
		<-w.asked
		if err := r.app.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if got := <-plain; got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "the gateway is stopping") {
			t.Errorf("%+v", got)
		}
		for range 2 {
			if err := <-w.ended; err == nil {
				t.Error("it goes on")
			}
		}
		text, err := io.ReadAll(res.Body)
		if body := string(text); err != nil || !strings.Contains(body, "event: problem\ndata: {\"status\":503,") || !strings.Contains(body, "the gateway is stopping") {
			t.Errorf("the stream ends with %s, %v", body[max(0, len(body)-500):], err)
		}
	})
}
