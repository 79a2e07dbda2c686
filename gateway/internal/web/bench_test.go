package web

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// discard accepts everything and keeps nothing, so that what is measured is the way to it alone.
type discard struct{ state.Store }

func (discard) Append(_ context.Context, events []*event.Event) ([]state.Appended, error) {
	return make([]state.Appended, len(events)), nil
}

// BenchmarkIntake is one signed request of a platform on a kept connection: from its first byte to its written answer.
func BenchmarkIntake(b *testing.B) {
	for _, c := range []struct {
		name, path, token string
		header            func(body string) map[string]string
		pad               int
	}{
		{"platform", "/in/pollqr", "", signed, 0},
		{"platform 6KiB", "/in/pollqr", "", signed, 6 << 10},
		{"platform 200KiB", "/in/pollqr", "", signed, 200 << 10},
		{"api", "/v1/events?source=pollqr", publishToken, func(string) map[string]string { return nil }, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b)
			r2 := (&rig{clock: r.clock, store: discard{r.store}}).start(b)
			benchmark(b, r2, c.path, c.token, c.header, c.pad)
		})
	}
	b.Run("embedded", func(b *testing.B) { benchmark(b, newRig(b), "/in/pollqr", "", signed, 0) })
}

func benchmark(b *testing.B, r *rig, path, token string, header func(string) map[string]string, pad int) {
	bodies := 4096
	if pad > 0 {
		bodies = 64
	}
	requests := make([][]byte, bodies)
	for i := range requests {
		body := strings.Replace(pollqr(fmt.Sprintf("r%d", i), i%10), "slow", strings.Repeat("s", pad+1), 1)
		var text bytes.Buffer
		fmt.Fprintf(&text, "POST %s HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", path, len(body))
		if token != "" {
			fmt.Fprintf(&text, "Authorization: Bearer %s\r\n", token)
		}
		for name, value := range header(body) {
			if name != "Content-Type" {
				fmt.Fprintf(&text, "%s: %s\r\n", name, value)
			}
		}
		fmt.Fprintf(&text, "\r\n%s", body)
		requests[i] = text.Bytes()
	}
	b.SetBytes(int64(len(requests[0])))
	b.ReportAllocs()
	b.SetParallelism(16)
	b.ResetTimer()
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		conn, err := r.dial()
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		answers := bufio.NewReader(conn)
		for pb.Next() {
			if err := exchange(conn, answers, requests[int(next.Add(1))%bodies]); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// exchange sends a request and reads its answer, which must be 200.
func exchange(conn net.Conn, answers *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := answers.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case first && !bytes.Contains(line, []byte(" 200 ")):
			return fmt.Errorf("answered %s", line)
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			_, _ = fmt.Sscanf(string(line), "Content-Length: %d", &length)
		case len(line) == 2:
			_, err := answers.Discard(length)
			return err
		}
	}
}
