package web

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// sink accepts everything and keeps nothing, so that what is measured is the door alone.
type sink struct{ state.Store }

func (sink) Append(_ context.Context, events []*event.Event) ([]state.Appended, error) {
	return make([]state.Appended, len(events)), nil
}

// BenchmarkIntake is one signed request of a platform: from its parsed head to its written answer.
func BenchmarkIntake(b *testing.B) {
	for _, c := range []struct {
		name, path, token string
		header            func(body string) map[string]string
	}{
		{"platform", "/in/pollqr", "", signed},
		{"api", "/v1/events?source=pollqr", publishToken, func(string) map[string]string { return nil }},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b)
			r2 := (&rig{clock: r.clock, store: sink{r.store}}).start(b)
			benchmark(b, r2, c.path, c.token, c.header)
		})
	}
	b.Run("embedded", func(b *testing.B) { benchmark(b, newRig(b), "/in/pollqr", "", signed) })
}

func benchmark(b *testing.B, r *rig, path, token string, header func(string) map[string]string) {
	handler := r.app.tcp.Server().Handler
	const bodies = 4096
	requests := make([]*fasthttp.Request, bodies)
	for i := range requests {
		body := pollqr(fmt.Sprintf("r%d", i), i%10)
		req := &fasthttp.Request{}
		req.Header.SetMethod("POST")
		req.SetRequestURI(path)
		req.Header.SetContentType("application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		for name, value := range header(body) {
			req.Header.Set(name, value)
		}
		req.SetBodyString(body)
		requests[i] = req
	}
	b.SetBytes(int64(len(requests[0].Body())))
	b.ReportAllocs()
	b.SetParallelism(64)
	b.ResetTimer()
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		ctx := &fasthttp.RequestCtx{}
		for pb.Next() {
			ctx.Init(requests[next.Add(1)%bodies], nil, nil)
			handler(ctx)
			if ctx.Response.StatusCode() != 200 {
				b.Error(ctx.Response.String())
				return
			}
			ctx.Response.Reset()
		}
	})
}
