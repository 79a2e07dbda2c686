package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/redistest"
)

const (
	benchSenders  = 128
	benchBatch    = 50
	benchPlatform = "bench-platform-secret"
	benchHook     = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
)

// scaled is n, or with -short a tenth of it: CI only sees that each benchmark runs.
func scaled(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// verifying is a receiver that checks each signature and counts.
type verifying struct {
	url   string
	good  atomic.Int64
	bad   atomic.Int64
	want  atomic.Int64
	ready chan struct{}
}

func newVerifying(b *testing.B) *verifying {
	b.Helper()
	v := &verifying{ready: make(chan struct{}, 1)}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(benchHook, "whsec_"))
	if err != nil {
		b.Fatal(err)
	}
	macs := sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}
	server := &fasthttp.Server{NoDefaultServerHeader: true, Handler: func(c *fasthttp.RequestCtx) {
		if want := c.Request.Header.Peek("webhook-signature"); len(want) > 0 {
			mac := macs.Get().(interface {
				Write([]byte) (int, error)
				Sum([]byte) []byte
				Reset()
			})
			mac.Reset()
			_, _ = mac.Write(c.Request.Header.Peek("webhook-id"))
			_, _ = mac.Write([]byte{'.'})
			_, _ = mac.Write(c.Request.Header.Peek("webhook-timestamp"))
			_, _ = mac.Write([]byte{'.'})
			_, _ = mac.Write(c.PostBody())
			sum := mac.Sum(nil)
			macs.Put(mac)
			if !bytes.Equal(want, append([]byte("v1,"), base64.StdEncoding.EncodeToString(sum)...)) {
				v.bad.Add(1)
			}
		}
		if v.good.Add(1) == v.want.Load() {
			select {
			case v.ready <- struct{}{}:
			default:
			}
		}
	}}
	var lc net.ListenConfig
	l, err := lc.Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	v.url = "http://" + l.Addr().String() + "/"
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Shutdown() })
	return v
}

func (v *verifying) expect(n int) { v.want.Store(v.good.Load() + int64(n)) }

func (v *verifying) wait(b *testing.B) {
	b.Helper()
	for v.good.Load() < v.want.Load() {
		select {
		case <-v.ready:
		case <-time.After(5 * time.Minute):
			b.Fatalf("%d of %d came", v.good.Load(), v.want.Load())
		}
	}
	if n := v.bad.Load(); n > 0 {
		b.Fatalf("%d signatures were wrong", n)
	}
}

// request is a prepared POST; one without a signature is the API's.
type request struct{ body, signature []byte }

// feed is a way in: what is posted where, over how many connections, and how many events each request has.
type feed struct {
	path          string
	senders, each int
	requests      func(n int) []request
}

var (
	// platforms send each response by itself.
	webhooks = feed{"/in/pollqr", benchSenders, 1, pollqr}
	// publishers with that much to say send many events at once.
	batches = feed{"/v1/events", 4, benchBatch, published}
)

var benchRun atomic.Int64

// pollqr prepares responses as PollQR sends them, each a new one.
func pollqr(n int) []request {
	run := benchRun.Add(1)
	all := make([]request, n)
	for i := range all {
		body := fmt.Appendf(nil, `{"event":"response.created","survey_id":"550e8400-e29b-41d4-a716-446655440000","response_id":"%08x-9dad-11d1-80b4-%012x","timestamp":"2024-01-01T12:00:00.000Z","business_id":"550e8400-e29b-41d4-a716-446655440001","survey":{"title":"Customer Satisfaction Survey","template_type":"nps"},"response":{"answers":{"1":9,"2":"Great service and friendly staff!","3":"john%d@example.com","4":"+1234567890"},"nps_score":9,"completion_time":45,"ip_address":"192.168.1.1","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"}}`, run, i, i)
		mac := hmac.New(sha256.New, []byte(benchPlatform))
		mac.Write(body)
		all[i] = request{body, []byte(hex.EncodeToString(mac.Sum(nil)))}
	}
	return all
}

// published prepares the same responses in our own spelling, as NDJSON.
func published(n int) []request {
	run := benchRun.Add(1)
	all := make([]request, 0, n/benchBatch)
	for i := 0; i < n; i += benchBatch {
		var body []byte
		for k := i; k < i+benchBatch; k++ {
			body = fmt.Appendf(body, `{"type":"response.completed","id":"%08x-9dad-11d1-80b4-%012x","time":"2024-01-01T12:00:00.000Z","nps_score":9,"survey":{"id":"550e8400-e29b-41d4-a716-446655440000","title":"Customer Satisfaction Survey","type":"nps"},"response":{"answers":{"1":9,"2":"Great service and friendly staff!","3":"john%d@example.com","4":"+1234567890"}},"respondent":{"email":"john%d@example.com","phone":"+1234567890"},"context":{"ip":"192.168.1.1","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"}}`+"\n", run, k, k, k)
		}
		all = append(all, request{body: body})
	}
	return all
}

// fire posts them all over a number of connections.
func fire(b *testing.B, url string, senders int, all []request) {
	b.Helper()
	client := &fasthttp.Client{MaxConnsPerHost: senders, NoDefaultUserAgentHeader: true}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	var load sync.WaitGroup
	for range senders {
		load.Go(func() {
			req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(res)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(all) {
					return
				}
				req.Reset()
				req.SetRequestURI(url)
				req.Header.SetMethod(fasthttp.MethodPost)
				if all[i].signature != nil {
					req.Header.SetContentType("application/json")
					req.Header.SetBytesV("X-PollQR-Signature", all[i].signature)
				} else {
					req.Header.SetContentType("application/x-ndjson")
					req.Header.Set("Authorization", "Bearer "+testToken)
				}
				req.SetBodyRaw(all[i].body)
				if err := client.DoTimeout(req, res, time.Minute); err != nil || res.StatusCode() != fasthttp.StatusOK || bytes.Contains(res.Body(), []byte(`"invalid"`)) {
					b.Errorf("%d %s %v", res.StatusCode(), res.Body(), err)
					return
				}
			}
		})
	}
	load.Wait()
}

// BenchmarkWholeWay is signed PollQR events in, one rule and one signed webhook out, the built binary with everything
// kept, on either engine; beside it, in the same run, the same load straight into the receiver. Generator, receiver and
// Redis share the machine with the gateway.
func BenchmarkWholeWay(b *testing.B) { wholeWays(b, webhooks) }

// BenchmarkWholeWayPublished is the same way for events that come by the API, many in a request.
func BenchmarkWholeWayPublished(b *testing.B) { wholeWays(b, batches) }

func wholeWays(b *testing.B, in feed) {
	b.Run("embedded", func(b *testing.B) { wholeWay(b, nil, in) })
	b.Run("redis", func(b *testing.B) { wholeWay(b, redistest.Start(b, redistest.EverySecond...), in) })
}

func wholeWay(b *testing.B, server *redistest.Server, from feed) {
	receiver := newVerifying(b)
	dir, err := os.MkdirTemp("", "surveygate-bench-")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	engine := ""
	if server != nil {
		engine = fmt.Sprintf("redis: %q\n", server.URL())
	}
	p := start(b, dir, engine+fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
sources:
  pollqr: {profile: pollqr, secrets: [%q]}
tokens: [{name: load, secret: %q, scopes: [publish]}]
connections:
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/unused"}}
webhooks:
  - {name: sink, url: %q, events: [response.completed], secrets: [%q], concurrency: 64}
rules:
  - {name: detractor, when: nps_score <= 6, send: [alarms]}
`, benchPlatform, testToken, receiver.url, benchHook))
	in := "http://" + p.address + from.path

	warm, events := scaled(2000), scaled(20_000)
	receiver.expect(warm)
	fire(b, in, from.senders, from.requests(warm))
	receiver.wait(b)

	var through, direct time.Duration
	var before traffic
	cpu := cpuOf(b, p.cmd.Process.Pid)
	if server != nil {
		before = trafficOf(b, server)
	}
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		load := from.requests(events)
		receiver.expect(events)
		b.StartTimer()
		began := time.Now()
		fire(b, in, from.senders, load)
		receiver.wait(b)
		through += time.Since(began)
	}
	b.StopTimer()
	total := float64(b.N * events)
	if server != nil {
		now := trafficOf(b, server)
		b.ReportMetric((now.calls-before.calls)/total, "round-trips/event")
		b.ReportMetric((now.commands-before.commands)/total, "commands/event")
		b.ReportMetric((now.in-before.in)/total, "B-to-redis/event")
		b.ReportMetric((now.out-before.out)/total, "B-from-redis/event")
		b.ReportMetric((now.memory-before.memory)/total, "B-kept/event")
		b.ReportMetric((now.cpu-before.cpu).Seconds()*1e6/total, "redis-cpu-µs/event")
	}
	cpu = cpuOf(b, p.cmd.Process.Pid) - cpu
	for range b.N {
		load := pollqr(events)
		receiver.expect(len(load))
		began := time.Now()
		fire(b, receiver.url, benchSenders, load)
		receiver.wait(b)
		direct += time.Since(began)
	}
	rate, limit := total/through.Seconds(), total/direct.Seconds()
	b.ReportMetric(rate, "events/s")
	b.ReportMetric(limit, "direct/s")
	b.ReportMetric(rate/limit, "of-direct")
	b.ReportMetric(cpu.Seconds()*1e6/total, "cpu-µs/event")
	b.ReportMetric(0, "ns/op")
	p.stop()
}

// traffic is what a Redis says it did. Calls are scripts, and claims, which are one round trip of a few commands; commands
// are all, those within scripts too.
type traffic struct {
	calls, commands, in, out, memory float64
	cpu                              time.Duration
}

func trafficOf(b *testing.B, server *redistest.Server) traffic {
	b.Helper()
	number := func(section, name string) float64 {
		n, err := strconv.ParseFloat(server.Info(section, name), 64)
		if err != nil {
			b.Fatalf("%s: %v", name, err)
		}
		return n
	}
	calls := 0.0
	for _, name := range []string{"cmdstat_evalsha", "cmdstat_evalsha_ro", "cmdstat_xreadgroup"} {
		var n float64
		_, _ = fmt.Sscanf(server.Info("commandstats", name), "calls=%g,", &n) // none, where it was never called
		calls += n
	}
	return traffic{
		calls: calls, commands: number("stats", "total_commands_processed"),
		in: number("stats", "total_net_input_bytes"), out: number("stats", "total_net_output_bytes"),
		memory: number("memory", "used_memory"), cpu: cpuOf(b, server.PID()),
	}
}

// cpuOf is the processor time that a process has used.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on Linux
}
