package connectortest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/declared"
	"github.com/surveygate/surveygate/rules/event"
)

// Suite runs the tests that every registered connector must pass. dir is the connectors folder. The tests use the connector's
// transcripts: those of `product` in product/testdata, and those of `product.action` in product/testdata/action.
func Suite(t *testing.T, dir string) {
	for _, name := range connectors.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			product, _, _ := strings.Cut(name, ".")
			cases := examples(t, dir, name)
			t.Run("build is the same every time, in parallel", func(t *testing.T) { t.Parallel(); checkDeterminism(t, cases) })
			t.Run("an exceeded budget is an error", func(t *testing.T) { t.Parallel(); checkBudget(t, name, cases) })
			t.Run("no secret is printed", func(t *testing.T) { t.Parallel(); checkSecrets(t, name, cases) })
			t.Run("a fetched token is in the check", func(t *testing.T) { t.Parallel(); checkToken(t, name, cases) })
			t.Run("a base URL replaces every address", func(t *testing.T) { t.Parallel(); checkBaseURL(t, name, cases) })
			t.Run("what was made can be amended", func(t *testing.T) { t.Parallel(); checkAmender(t, name, cases) })
			t.Run("a person can be erased", func(t *testing.T) { t.Parallel(); checkForgetter(t, name, cases) })
			t.Run("many events are told in one message", func(t *testing.T) { t.Parallel(); checkDigester(t, name, cases) })
			t.Run("every answer has a verdict", func(t *testing.T) { t.Parallel(); checkAnswers(t, name, cases) })
			t.Run("a batch is compared with its answer", func(t *testing.T) { t.Parallel(); checkBatchAnswers(t, name, cases) })
			t.Run("every refusal has advice", func(t *testing.T) { t.Parallel(); checkAdvice(t, name, cases) })
			t.Run("every setting is documented", func(t *testing.T) { t.Parallel(); checkComments(t, name, filepath.Join(dir, product)) })
		})
	}
}

// example is one transcript that has a request.
type example struct {
	name    string
	config  []byte
	events  [][]byte // several events are a batch
	answers [][]byte
	amends  connectors.Amendment // zero for a transcript of Build
	forgets bool
	digest  *connectors.Digest // nil for a transcript of anything else
}

// examples returns the transcripts of a connector that have a request.
func examples(t testing.TB, dir, name string) []example {
	t.Helper()
	product, action, _ := strings.Cut(name, ".")
	return load(t, name, filepath.Join(dir, product, "testdata", action))
}

func load(t testing.TB, name, folder string) []example {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no transcripts in %s (%v)", name, folder, err)
	}
	var all []example
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		e := example{name: filepath.Base(file)}
		sent := false
		for _, part := range archive.Files {
			switch part.Name {
			case "config.yaml":
				e.config = part.Data
			case "event.json":
				e.events = append(e.events, part.Data)
			case amendPart, retractPart:
				e.amends = amendmentOf(part)
			case forgetPart:
				e.forgets = true
			case digestPart:
				if e.digest, err = digestOf(part); err != nil {
					t.Fatalf("%s: %v", e.name, err)
				}
			case "request":
				sent = true
			case "response":
				e.answers = append(e.answers, part.Data)
			}
		}
		if sent {
			all = append(all, e)
		}
	}
	return all
}

// ready returns a new connector with the transcript's settings, and new events without those that Build skips or refuses.
func (e example) ready(t testing.TB, name string) (connectors.Connector, []*event.Event) {
	t.Helper()
	c, _ := connectors.New(name)
	if err := Bind(e.config, c); err != nil {
		t.Fatalf("%s: %v", e.name, err)
	}
	events := make([]*event.Event, len(e.events))
	for i, text := range e.events {
		ev, err := ParseEvent(text)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		events[i] = ev
	}
	if e.digest != nil || e.forgets || e.amends != (connectors.Amendment{}) {
		return c, events
	}
	_, events, _, err := compose(c, events)
	if err != nil {
		t.Fatalf("%s: %v", e.name, err)
	}
	return c, events
}

// build returns the request for one event, for a batch, for a digest, for an amendment, or for the erasure of a person.
func (e example) build(c connectors.Connector, events []*event.Event) (*connectors.Request, error) {
	switch {
	case e.digest != nil:
		return digest(c, e.digest, events)
	case e.forgets:
		return forget(c, events[0])
	case e.amends != (connectors.Amendment{}):
		return amend(c, events[0], e.amends)
	case len(events) == 1:
		return c.Build(events[0])
	}
	return c.(connectors.Batcher).BuildBatch(events)
}

// checkBudget checks that Build and Judge report an exceeded budget: they must evaluate all texts and values with the event that
// they were given, and must not ignore an error.
func checkBudget(t *testing.T, name string, cases []example) {
	for _, e := range cases {
		for _, budget := range []event.Budget{{Work: event.MaxWork}, {Bytes: event.MaxRequestBytes}} {
			c, events := e.ready(t, name)
			b := budget
			for i, ev := range events {
				events[i] = ev.WithBudget(&b)
			}
			if _, err := e.build(c, events); b.Exceeded() && err == nil {
				t.Errorf("%s: Build succeeded although the budget %+v was exceeded", e.name, budget)
			}
			judge, ok := c.(connectors.Judge)
			if !ok || len(events) != 1 {
				continue
			}
			req, err := e.build(c, []*event.Event{events[0].WithBudget(nil)})
			if err != nil {
				continue
			}
			b = budget
			var trail []*connectors.Response
			for _, answer := range e.answers {
				res, err := parseResponse(answer)
				if err != nil {
					t.Fatalf("%s: %v", e.name, err)
				}
				res.To, res.Events, res.Trail = req, events, trail
				v := judge.Judge(res)
				if b.Exceeded() && v.Kind != connectors.Rejected {
					t.Errorf("%s: %s although the budget %+v was exceeded", e.name, v.Kind, budget)
				}
				if v.Kind != connectors.Continue {
					break
				}
				trail, req = append(trail, res), v.Next
			}
		}
	}
}

// checkDeterminism checks that Build and Key give the same result every time, in parallel and for a new connector, and do not
// change the event.
func checkDeterminism(t *testing.T, cases []example) {
	name := strings.Split(t.Name(), "/")[1]
	for _, e := range cases {
		c, events := e.ready(t, name)
		var before [][]byte
		for _, ev := range events {
			before = append(before, bytes.Clone(ev.Envelope()), bytes.Clone(ev.Raw.Body))
		}
		first, err := e.build(c, events)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		key := func() string {
			if keyer, ok := c.(connectors.Keyer); ok && len(events) > 0 {
				return keyer.Key(events[0])
			}
			return ""
		}
		firstKey := key()
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 8 {
					next, err := e.build(c, events)
					if err != nil || !reflect.DeepEqual(first, next) || key() != firstKey {
						t.Errorf("%s: Build returned another request, or Key another key (%v)", e.name, err)
						return
					}
				}
			})
		}
		group.Wait()
		fresh, freshEvents := e.ready(t, name)
		if other, err := e.build(fresh, freshEvents); err != nil || !reflect.DeepEqual(first, other) {
			t.Errorf("%s: a new connector built another request (%v)", e.name, err)
		}
		for i, ev := range events {
			if !bytes.Equal(before[2*i], ev.Envelope()) || !bytes.Equal(before[2*i+1], ev.Raw.Body) {
				t.Errorf("%s: Build changed the event", e.name)
			}
		}
	}
}

// sentinel replaces every secret in checkSecrets. It is a URL that ends in a region, because some secrets must be a URL, and some
// must end in a region.
const sentinel = "https://sentinel.example/sentinel-4b1d-us1"

// checkSecrets checks that no secret appears in any print of the connector, its requests and its verdicts.
func checkSecrets(t *testing.T, name string, cases []example) {
	replaced := 0
	for _, e := range cases {
		c, events := e.ready(t, name)
		replaced += replaceSecrets(reflect.ValueOf(c).Elem(), sentinel)
		req, err := e.build(c, events)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		type private struct{ c, auth any } // fmt cannot call methods below an unexported field
		shown := []any{c, req, *req, req.Header, req.Auth, private{c, req.Auth}}
		if checker, ok := c.(connectors.Checker); ok {
			for _, req := range checker.Check() {
				shown = append(shown, req, req.Header, req.Auth)
			}
		}
		for _, v := range shown {
			for _, text := range prints(t, v) {
				if strings.Contains(text, "sentinel-4b1d") || strings.Contains(text, fmt.Sprintf("%x", "sentinel-4b1d")) {
					t.Errorf("%s: %T prints a secret: %s", e.name, v, text)
				}
			}
		}
		res := &connectors.Response{Status: 400, Body: []byte(`{"ok":false,"error":"` + sentinel + `"}`), To: req, Events: events}
		for _, body := range [][]byte{res.Body, []byte(sentinel)} {
			res.Body = body
			for status := 200; status < 600; status += 100 {
				res.Status = status
				if v := judge(c, res); strings.Contains(v.String(), "sentinel-4b1d") {
					t.Errorf("%s: the verdict repeats the answer's body: %v", e.name, v)
				}
			}
		}
	}
	if replaced == 0 {
		t.Error("no transcript has a secret in a field of its type")
	}
}

func prints(t *testing.T, v any) []string {
	t.Helper()
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, v))
	}
	if text, err := json.Marshal(v); err == nil {
		texts = append(texts, string(text))
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("printed", "value", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("printed", "value", v)
	return append(texts, log.String())
}

var secretType = reflect.TypeFor[connectors.Secret]()

// replaceSecrets replaces every secret that is set by a text, and returns their number.
func replaceSecrets(v reflect.Value, text string) int {
	replaced := 0
	switch {
	case v.Type() == secretType:
		if v.CanSet() && !v.IsZero() {
			v.Set(reflect.ValueOf(connectors.NewSecret(text)))
			replaced++
		}
	case v.Kind() == reflect.Struct:
		for _, field := range v.Fields() {
			if field.CanSet() {
				replaced += replaceSecrets(field, text)
			}
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			replaced += replaceSecrets(v.Index(i), text)
		}
	case v.Kind() == reflect.Map:
		for _, key := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			replaced += replaceSecrets(value, text)
			v.SetMapIndex(key, value)
		}
	}
	return replaced
}

func judge(c connectors.Connector, res *connectors.Response) connectors.Verdict {
	if j, ok := c.(connectors.Judge); ok {
		return j.Judge(res)
	}
	return connectors.ByStatus(res)
}

// bodies are undocumented answers.
var bodies = []string{
	"", "ok", "null", "true", "[]", "{}", `{"ok":null}`, `{"ok":"yes"}`, `{"ok":true}`, `{"ok":false}`, `{"ok":false,"error":7}`,
	"{", `{"error":{"a":[1]}}`, "<html><title>502</title></html>", "\x00\xff", strings.Repeat("[", 2000), strings.Repeat("a", 5000),
}

// checkAnswers checks the verdict on every status with many bodies.
func checkAnswers(t *testing.T, name string, cases []example) {
	for _, e := range cases {
		c, events := e.ready(t, name)
		req, err := e.build(c, events)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		answers := bodies
		for _, text := range e.answers {
			res, err := parseResponse(text)
			if err != nil {
				t.Fatalf("%s: %v", e.name, err)
			}
			answers = append(slices.Clone(answers), string(res.Body))
		}
		step := 1
		if testing.Short() { // what one goroutine judges, which the race detector makes slow
			step = 9
		}
		for status := 100; status < 600; status += step {
			for _, body := range answers {
				CheckVerdict(t, c, &connectors.Response{
					Status: status, Body: []byte(body), At: ReceivedAt, To: req, Events: events,
				})
			}
		}
	}
}

// CheckVerdict judges an arbitrary answer and reports an invalid verdict.
func CheckVerdict(t *testing.T, c connectors.Connector, res *connectors.Response) {
	t.Helper()
	v := judge(c, res)
	if len(v.Each) > 0 && len(v.Each) != len(res.Events) {
		t.Errorf("%d: %d verdicts on %d events", res.Status, len(v.Each), len(res.Events))
	}
	// Some products write the good events of a batch and answer 400 because of the others.
	partial := res.Status == http.StatusBadRequest && len(v.Each) > 0 && !allDelivered(v)
	for _, each := range v.Each {
		checkVerdict(t, res, each, partial)
	}
	if len(v.Each) == 0 {
		checkVerdict(t, res, v, false)
	}
}

func checkVerdict(t *testing.T, res *connectors.Response, v connectors.Verdict, partial bool) {
	t.Helper()
	status := res.Status
	switch v.Kind {
	case connectors.Delivered:
		// Some products answer a repeated event with 409, and what was to be retracted or erased may be gone already.
		a, _ := res.Amendment()
		gone := (a.Retraction || res.Forgets()) && status >= 400 && status <= 499
		if (status < 200 || status > 299) && status != http.StatusConflict && !partial && !gone {
			t.Errorf("%d is delivered", status)
		}
	case connectors.Retry, connectors.Rejected, connectors.Revoked, connectors.Skipping:
		if v.Reason == "" || len(v.Reason) > 200 {
			t.Errorf("%d: the reason is %q", status, v.Reason)
		}
	case connectors.Continue:
		if v.Next == nil {
			t.Errorf("%d: continue without a request", status)
		}
	default:
		t.Errorf("%d: %q is not a verdict of Judge", status, v.Kind)
	}
	if v.After < 0 || v.After > connectors.MaxRetryAfter {
		t.Errorf("%d: retry after %v", status, v.After)
	}
}

// checkComments checks that every setting has a comment that can be shown on a page.
func checkComments(t *testing.T, name, folder string) {
	c, _ := connectors.New(name)
	source, err := declared.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	if source.Comment == "" {
		t.Error("the package comment is missing: it opens the page")
	}
	for _, s := range declared.Settings(reflect.TypeOf(c)) {
		if s.In.PkgPath() != reflect.TypeOf(c).Elem().PkgPath() {
			t.Errorf("%s is declared in %s; declare it in the connector's own package, whose source is the page", s.Name, s.In.PkgPath())
			continue
		}
		comment := source.Field(s.In.Name(), s.Field.Name)
		if !strings.HasPrefix(comment, s.Field.Name+" ") || !strings.HasSuffix(comment, ".") {
			t.Errorf("%s has the comment %q; it must be a sentence that begins with `%s`", s.Name, comment, s.Field.Name)
		}
	}
}

// CheckFolders checks that the product folders, the imports of connectors/all and the pages are the same list. dir is the
// connectors folder.
func CheckFolders(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, entry := range entries {
		if entry.IsDir() && !slices.Contains([]string{"all", "connectortest", "declared"}, entry.Name()) {
			folders = append(folders, entry.Name())
		}
	}
	imports, err := os.ReadFile(filepath.Join(dir, "all", "all.go"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if !bytes.Contains(imports, []byte(`/connectors/`+folder+`"`)) {
			t.Errorf("connectors/all does not import %s", folder)
		}
		if !slices.Contains(connectors.Names(), folder) {
			t.Errorf("%s registers no connector of its folder's name", folder)
		}
		if _, err := os.Stat(filepath.Join(dir, folder, "README.md")); err != nil {
			t.Errorf("%s has no page: %v", folder, err)
		}
		if !bytes.Contains(table, []byte("("+folder+"/README.md)")) {
			t.Errorf("connectors/README.md has no line for %s", folder)
		}
	}
	for _, name := range connectors.Names() {
		product, _, _ := strings.Cut(name, ".")
		if !slices.Contains(folders, product) {
			t.Errorf("%s is not registered by a package connectors/%s", name, product)
		}
	}
}
