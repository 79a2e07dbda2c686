package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"go.uber.org/goleak"

	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/erase"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/replay"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/tail"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/gateway/internal/web/sse"
)

func TestMain(m *testing.M) {
	leaktest.Main(m,
		// Both end by themselves: the one with the process, the other at its next look, 10 s after its server stopped.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const (
	pollqrSecret = "pollqr-secret-0123456789"
	pathToken    = "0123456789abcdefghijkl"
	everyToken   = "every-0123456789-0123456789-01234"
	acmeToken    = "acme-0123456789-0123456789-012345"
	readToken    = "read-0123456789-0123456789-012345"
	publishToken = "publ-0123456789-0123456789-012345"
	platformWide = "wide-0123456789-0123456789-012345"
)

const someSettings = `
sources:
  pollqr: {profile: pollqr, secrets: [` + pollqrSecret + `]}
  poltio: {profile: poltio, path_token: ` + pathToken + `}
  anyone: {profile: popsee, unverified: true}
  off:    {profile: pollqr, secrets: [` + pollqrSecret + `], enabled: false}
  branch: {profile: pollqr, secrets: [acme-` + pollqrSecret + `], tenant: acme}
connections:
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl"}}
  crm:    {slack: {webhook: "https://hooks.slack.com/services/T1/B1/abcdefghijkl"}, tenant: acme}
webhooks:
  - {name: warehouse, url: "https://hook.example.com/in", events: [response.updated], when: nps_score <= 8, secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}
  - {name: relay, url: "https://hooks.zapier.com/hooks/catch/1/abcdef", events: [response.updated], enabled: false, body: {id: response.id, score: nps_score}, signature: none}
  - {name: signed, url: "https://hook.example.com/{{ response.id }}", body: event, preset: pollqr, secrets: [a-secret-that-pollqr-shares-with-us]}
rules:
  - {name: detractor, when: nps_score <= 6, send: [alarms]}
  - {name: promoter, when: nps_score >= 9, send: [alarms, warehouse]}
  - {name: angry, when: nps_score <= 3, send: [crm], tenant: acme}
tokens:
  - {name: every, secret: ` + everyToken + `, tenant: default, scopes: [read, write, publish, secrets]}
  - {name: acme, secret: ` + acmeToken + `, tenant: acme, scopes: [read, write, publish, settings]}
  - {name: reader, secret: ` + readToken + `, tenant: default, scopes: [read]}
  - {name: publisher, secret: ` + publishToken + `, tenant: default, scopes: [publish], sources: ["*"]}
  - {name: settings, secret: ` + settingsToken + `, tenant: default, scopes: [read, write, settings]}
  - {name: admin, secret: ` + adminToken + `, tenant: default, scopes: [read, write, publish, secrets, settings, admin]}
  - {name: acme-admin, secret: ` + acmeAdminToken + `, tenant: acme, scopes: [read, write, settings, admin]}
  - {name: platform-admin, secret: ` + operatorToken + `, tenant: "*", scopes: [read, write, publish, secrets, settings, admin], sources: ["*"]}
  - {name: wide, secret: ` + platformWide + `, tenant: "*", scopes: [read, write, publish, secrets, settings]}
`

// timed is the clock of jobs: it shows the time of a test's clock, and waits by the system's.
type timed struct{ *clock.Manual }

func (timed) Elapsed() time.Duration { return clock.System().Elapsed() }

func (timed) After(d time.Duration) (<-chan time.Time, func()) { return clock.System().After(d) }

// rig is a server over a store of its own.
type rig struct {
	app    *App
	store  state.Store
	clock  *clock.Manual
	plan   atomic.Pointer[decide.Plan]
	tcp    *http.Client
	socket *http.Client
	dial   func() (net.Conn, error) // over TCP
	bounds Bounds
	log    *slog.Logger
	tokens outbound.Tokens
	worker *settings.Worker // brings documents into the plan
	// stopWorker ends that, and what keeps the register current.
	stopWorker func()
	// measured: requests are not held against the description, whose work would be measured too.
	measured bool
	// written, if it is set, stands before the store.
	written *written
	book    *settings.Book
	// register knows the tokens and tenants in the store. rates are those of callers; zero: as good as none.
	register *access.Register
	rates    route.Rates
	// changed is told after documents were brought into the plan.
	changed *sync.Cond
	// Of streams: routes adds those of a test to each server.
	routes       func(a *App, app *fiber.App)
	streams      sse.Options
	writeTimeout time.Duration
}

func load(t testing.TB, text string) *decide.Plan {
	t.Helper()
	path := filepath.Join(t.TempDir(), "surveygate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{Path: path, Env: func(string) (string, bool) { return "", false }, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return decide.New(c)
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return (&rig{}).open(t)
}

// newRigOf is a rig that runs sources of its own, with the tokens of every other.
func newRigOf(t testing.TB, sources string) *rig {
	t.Helper()
	r := &rig{}
	r.plan.Store(load(t, sources+someSettings[strings.Index(someSettings, "tokens:"):]))
	return r.open(t)
}

// reload runs another configuration from now on.
func (r *rig) reload(t testing.TB, sources string) {
	t.Helper()
	r.plan.Store(load(t, sources+someSettings[strings.Index(someSettings, "tokens:"):]))
	if err := r.app.Remember(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) open(t testing.TB) *rig {
	t.Helper()
	r.clock = clock.NewManual(noon)
	var err error
	if r.store, err = embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: r.clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	if r.written != nil {
		r.written.Store = r.store
		r.store = r.written
	}
	return r.start(t)
}

// start serves whatever store the rig has.
func (r *rig) start(t testing.TB) *rig {
	t.Helper()
	if r.plan.Load() == nil {
		r.plan.Store(load(t, someSettings))
	}
	doors := &access.Access{}
	if err := doors.Load(r.plan.Load().Config.Tokens, nil); err != nil {
		t.Fatal(err)
	}
	doors.Stored = access.NewTokens(r.store, r.clock, slog.New(slog.DiscardHandler))
	tenants := NewTenants(r.store, r.plan.Load, doors.Stored)
	r.register = &access.Register{Tokens: doors.Stored, Tenants: tenants, Store: r.store, Clock: clock.System(), Log: slog.New(slog.DiscardHandler)}
	sender := outbound.New(outbound.Options{Policy: r.plan.Load().Config.Outbound, Tokens: r.tokens})
	t.Cleanup(sender.Close)
	v := newVault(t, r.store)
	r.book = &settings.Book{BookOptions: settings.BookOptions{
		Writer: settings.Writer{Store: r.store, Vault: v, Clock: clock.System()},
		Masks:  settings.Masks{Key: func() []byte { return []byte("0123456789abcdef0123456789abcdef") }},
		Audit:  &audit.Log{Store: r.store, Clock: r.clock},
		Base:   func() *config.Config { return r.plan.Load().Config }, Overlay: func(tenant string) *config.TenantConfig { return r.plan.Load().Overlay(tenant) },
		Limits: tenants.Limit,
		Await:  func(ctx context.Context, tenants ...string) bool { return r.worker.Await(ctx, tenants...) },
	}}
	rates := r.rates
	if rates == (route.Rates{}) {
		often := route.Rate{Burst: 1 << 30, Per: 1 << 30}
		rates = route.Rates{Reads: often, Writes: often, Tests: often, Logins: often}
	}
	replayer := &replay.Replayer{Options: replay.Options{Store: r.store, Plan: r.plan.Load, Clock: timed{r.clock}, Due: func() {}, Ended: func(*state.Delivery) {}}}
	eraser := &erase.Eraser{Options: erase.Options{
		Store: r.store, Vault: v, Audit: r.book.Audit, Clock: timed{r.clock}, Ended: func(*state.Delivery) {}, Plan: r.plan.Load,
		Lists: func(ctx context.Context, tenant string) ([]string, error) {
			return KeptLists(ctx, r.store, tenant, r.plan.Load())
		},
	}}
	jobs := job.New(job.Options{
		Store: r.store, Clock: timed{r.clock}, Log: slog.New(slog.DiscardHandler),
		Kinds: map[string]job.Kind{replay.Kind: replayer.Work, replay.DropKind: replayer.Work, erase.Kind: eraser.Work},
	})
	running, stop := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() { jobs.Run(running) })
	t.Cleanup(func() { stop(); worker.Wait() })
	r.app = New(Options{
		Jobs: jobs, Replay: replayer, Erase: eraser, Tail: tail.New(clock.System()),
		Store: r.store, Plan: r.plan.Load, Access: doors, Tenants: tenants, Rates: rates, Clock: r.clock, Bounds: r.bounds, Log: r.log,
		PlanOf: func(context.Context, string, string) (*decide.Plan, error) { return nil, state.ErrNotFound },
		Vault:  v, Sender: sender, Book: r.book,
		Stats: stats.New(stats.Options{
			Store: r.store, Clock: r.clock, Version: "test", Public: func() *config.Public { return r.plan.Load().Public() },
		}),

		streams: r.streams, writeTimeout: r.writeTimeout,
	})
	if r.routes != nil {
		r.routes(r.app, r.app.tcp.fiber)
		r.routes(r.app, r.app.socket.fiber)
	}
	if err := r.app.Remember(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.apply(t, v)
	r.tcp, r.dial = serveOn(t, r.app.Serve, "tcp", "127.0.0.1:0")
	r.socket, _ = serveOn(t, r.app.ServeSocket, "unix", filepath.Join(t.TempDir(), "control.sock"))
	if test, ok := t.(*testing.T); ok && !r.measured {
		r.tcp.Transport, r.socket.Transport = conform{test, r.tcp.Transport}, conform{test, r.socket.Transport}
	}
	t.Cleanup(func() {
		r.tcp.CloseIdleConnections()
		r.socket.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := r.app.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

// apply brings the documents in the store into the plan, and each change of them, as the gateway does.
func (r *rig) apply(t testing.TB, v *vault.Vault) {
	t.Helper()
	r.changed = sync.NewCond(new(sync.Mutex))
	r.worker = settings.New(settings.Options{
		Store: r.store, Vault: v, Clock: clock.System(), Log: slog.New(slog.DiscardHandler),
		Apply: func(ctx context.Context, tenant string, documents []config.Document) error {
			for {
				before := r.plan.Load()
				if r.plan.CompareAndSwap(before, before.With(config.Overlay(before.Config, tenant, documents))) {
					err := r.app.Remember(ctx, tenant)
					r.changed.L.Lock()
					defer r.changed.L.Unlock()
					r.changed.Broadcast()
					return err
				}
			}
		},
	})
	if _, err := r.worker.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.register.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.worker.Run(ctx) })
	running.Go(func() { r.register.Run(ctx) })
	r.stopWorker = func() { stop(); running.Wait() }
	t.Cleanup(r.stopWorker)
}

// keep writes documents, whatever they are, and waits until they are in the plan.
func (r *rig) keep(t testing.TB, tenant string, documents ...config.Document) {
	t.Helper()
	versions := map[string]uint64{}
	for _, d := range documents {
		before, err := r.store.Get(t.Context(), tenant, state.KindDocument, d.Name)
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			t.Fatal(err)
		}
		versions[d.Name], err = r.book.Writer.Put(t.Context(), tenant, settings.Draft{Name: d.Name, Spec: d.Spec, Secrets: d.Secrets}, before.Version)
		if err != nil {
			t.Fatal(err)
		}
	}
	r.await(func(p *decide.Plan) bool {
		for name, version := range versions {
			if p.DocumentVersion(tenant, name) < version {
				return false
			}
		}
		return true
	})
}

// await waits until documents have made the plan what it should be.
func (r *rig) await(is func(*decide.Plan) bool) {
	r.changed.L.Lock()
	defer r.changed.L.Unlock()
	for !is(r.plan.Load()) {
		r.changed.Wait()
	}
}

// newVault is a vault with a key of its own.
func newVault(t testing.TB, store state.Settings) *vault.Vault {
	t.Helper()
	keys, err := vault.ParseKeys(vault.NewKey(), "the test")
	if err != nil {
		t.Fatal(err)
	}
	return vault.New(vault.Options{Keys: keys, Store: store})
}

// serveOn serves on an address. It returns a client for it, and how to connect without one.
func serveOn(t testing.TB, serve func(net.Listener) func() error, network, address string) (*http.Client, func() (net.Conn, error)) {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	address = ln.Addr().String()
	dial := func() (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(context.Background(), network, address)
	}
	ended, answer := make(chan error, 1), serve(ln)
	go func() { ended <- answer() }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return dial() }}
	return &http.Client{Timeout: time.Minute, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, dial
}

// ask is one request; zero fields are GET, no token, over TCP.
type ask struct {
	method, path, token string
	header              map[string]string
	again               map[string]string // headers that stand there besides, also of the same names
	body                string
	socket              bool
}

// told is its answer.
type told struct {
	status int
	header http.Header
	body   string
}

func (r *rig) ask(t testing.TB, a ask) told {
	t.Helper()
	if a.method == "" {
		a.method = http.MethodGet
	}
	req, err := http.NewRequest(a.method, "http://gateway"+a.path, strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	for name, value := range a.header {
		req.Header.Set(name, value)
	}
	for name, value := range a.again {
		req.Header.Add(name, value)
	}
	client := r.tcp
	if a.socket {
		client = r.socket
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := told{res.StatusCode, res.Header, string(body)}
	holdsView(t, a.method, a.path, got)
	return got
}

// claim is a request with a body of a length, and without its body where the server refuses it by its header alone.
func (r *rig) claim(t testing.TB, path, token string, length int) told {
	t.Helper()
	body := ""
	if length <= discardMost { // else it is refused by its header alone
		body = repeat("x", length)
	}
	return r.raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", path, token, length)+body)
}

// raw is a request byte for byte.
func (r *rig) raw(t testing.TB, request string) told {
	t.Helper()
	conn, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return told{res.StatusCode, res.Header, string(body)}
}

var (
	ids        = regexp.MustCompile(`[0-9a-f]{32}`)
	requestIDs = regexp.MustCompile(`req_[0-9a-f]{24}`)
)

// plain is an answer with its ids replaced.
func plain(body string) string {
	return requestIDs.ReplaceAllString(ids.ReplaceAllString(body, "ID"), "REQ")
}

// sign is what PollQR puts into its header.
func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// pollqr is a body as PollQR sends it.
func pollqr(response string, score int) string {
	return `{"event":"response.created","survey_id":"s1","response_id":"` + response + `","timestamp":"2026-01-02T11:59:59.000Z",` +
		`"business_id":"b1","survey":{"title":"Onboarding","template_type":"nps"},` +
		`"response":{"answers":{"1":` + string(rune('0'+score)) + `,"2":"slow"},"nps_score":` + string(rune('0'+score)) + `}}`
}

func signed(body string) map[string]string {
	return map[string]string{"Content-Type": "application/json", "X-PollQR-Signature": sign(pollqrSecret, body)}
}

// accept takes one event in and gives its id.
func (r *rig) accept(t testing.TB, body string) string {
	t.Helper()
	got := r.ask(t, ask{method: "POST", path: "/in/pollqr", header: signed(body), body: body})
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	return ids.FindString(got.body)
}

func repeat(text string, n int) string { return string(bytes.Repeat([]byte(text), n)) }
