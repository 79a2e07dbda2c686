package settings

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"

	_ "github.com/surveygate/surveygate/connectors/all"
)

func newBook(t testing.TB, store state.Store) *Book {
	t.Helper()
	base := &config.Config{}
	return &Book{BookOptions: BookOptions{
		Writer: *newWriter(t, store), Masks: Masks{Key: func() []byte { return []byte("0123456789abcdef0123456789abcdef") }},
		Audit: &audit.Log{Store: store, Clock: clock.System()}, Base: func() *config.Config { return base },
		Overlay: func(string) *config.TenantConfig { return nil },
		Limits: func(_ context.Context, _, kind string) (int, error) {
			if kind == "webhook" {
				return 2, nil
			}
			return -1, nil
		},
	}}
}

var byTest = How{By: audit.By{Name: "token:ci"}, Provenance: "api"}

// book applies one change to the tenant acme.
func (b *Book) one(t testing.TB, c Change, how How) (Result, error) {
	t.Helper()
	results, err := b.Apply(t.Context(), "acme", []Change{c}, how)
	if err != nil {
		return Result{}, err
	}
	return results[0], nil
}

const someHook = `{"url": "https://a.example.com/", "events": ["response.completed"], "secrets": ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="], "headers": {"X-Key": "abcdef"}}`

// A document is created, shown with masks, sent back, patched and deleted; each step is in the audit, without a secret.
func TestBook(t *testing.T) {
	t.Parallel()
	store := local(t)
	b := newBook(t, store)
	made, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(someHook)}, byTest)
	if err != nil || made.Would != WouldCreate || made.Entry.Version == 0 {
		t.Fatalf("%+v, %v", made, err)
	}
	shown, err := b.Get(t.Context(), "acme", "webhook/a")
	if err != nil || shown.State != config.Active || strings.Contains(string(shown.Spec), "abcdef") || strings.Count(string(shown.Spec), dots+"-") != 1 {
		t.Fatalf("%+v %s, %v", shown, shown.Spec, err)
	}
	again, err := b.one(t, Change{Name: "webhook/a", Spec: shown.Spec, If: &shown.Version}, byTest)
	if err != nil || again.Would != WouldNothing || again.Entry.Version != shown.Version {
		t.Errorf("sent back: %+v, %v", again, err)
	}
	dry := byTest
	dry.DryRun = true
	if r, err := b.one(t, Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"timeout": "5s"}`)}, dry); err != nil || r.Would != WouldUpdate || r.Entry.Version != 0 {
		t.Errorf("dry run: %+v, %v", r, err)
	}
	patched, err := b.one(t, Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"timeout": "5s", "headers": {"X-New": "ghijkl"}}`)}, byTest)
	if err != nil || patched.Would != WouldUpdate {
		t.Fatalf("%+v, %v", patched, err)
	}
	all, err := b.documents(t.Context(), "acme")
	if got := all["webhook/a"].Secrets; err != nil || got["headers.X-Key"].Expose() != "abcdef" || got["headers.X-New"].Expose() != "ghijkl" || len(got) != 3 {
		t.Errorf("secrets %v, %v", got, err)
	}
	var version *VersionError
	if _, err := b.one(t, Change{Name: "webhook/a", Delete: true, If: &shown.Version}, byTest); !errors.As(err, &version) || version.By != "token:ci" {
		t.Errorf("an old version: %v", err)
	}
	if _, err := b.one(t, Change{Name: "webhook/a", Delete: true}, byTest); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "acme", "webhook/a"); !errors.Is(err, ErrNoDocument) {
		t.Errorf("after the deletion: %v", err)
	}
	lines, err := b.Audit.Lines(t.Context(), "acme", 0, -1)
	if err != nil || len(lines) != 3 || lines[1].Did != "webhook.update" || strings.Join(lines[1].Changed, " ") != "headers.X-New timeout" {
		t.Errorf("%+v, %v", lines, err)
	}
	for _, l := range lines {
		if text := string(l.Before) + string(l.After); strings.Contains(text, "abcdef") || strings.Contains(text, "ghijkl") || strings.Contains(text, "MDEyMzQ1") {
			t.Errorf("a secret is in the audit: %s", text)
		}
	}
}

// A change of a document's owner or lock alone is in the audit by name, beside the paths of the settings that differ.
func TestAuditOfOwner(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	const hook = `{"url": "https://a.example.com/", "signature": "none"}`
	ci, locked := byTest, byTest
	ci.Owner, locked.Owner, locked.Lock = "ci", "ci", true
	for _, c := range []struct {
		how  How
		spec string
	}{
		{byTest, hook},
		{ci, hook},
		{locked, hook},
		{ci, strings.Replace(hook, "}", `, "timeout": "5s"}`, 1)},
	} {
		if _, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(c.spec)}, c.how); err != nil {
			t.Fatal(err)
		}
	}
	lines, err := b.Audit.Lines(t.Context(), "acme", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	var changed []string
	for _, l := range lines {
		changed = append(changed, strings.Join(l.Changed, " "))
	}
	if want := []string{"timeout locked", "locked", "owner", ""}; !slices.Equal(changed, want) {
		t.Errorf("%q, want %q", changed, want)
	}
}

// What an export leaves out takes with it what does not compile without it, so that the export can be imported.
func TestExportWithoutBroken(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	for name, spec := range map[string]string{
		"webhook/good":  `{"url": "https://a.example.com/", "signature": "none"}`,
		"webhook/torn":  `{"url": 17, "signature": "none"}`,
		"rule/to-good":  `{"send": ["good"]}`,
		"rule/to-torn":  `{"send": ["torn"]}`,
		"rule/to-both":  `{"send": ["good", "torn"]}`,
		"rule/mistaken": `{"when": "nps_scor > 3", "send": ["good"]}`,
	} {
		if _, err := b.Writer.Put(t.Context(), "acme", Draft{Name: name, Spec: []byte(spec)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	exported, err := b.Export(t.Context(), "acme", false)
	if err != nil {
		t.Fatal(err)
	}
	text := string(exported)
	comment, documents, _ := strings.Cut(text, "tenant: acme\n")
	for _, name := range []string{"webhook/torn: ", "rule/to-torn: without what is left out, ", "rule/to-both: without what is left out, ", "rule/mistaken: "} {
		if strings.Count(comment, "#   "+name) != 1 {
			t.Errorf("the comment does not say %q once:\n%s", name, text)
		}
	}
	bundle, faults := ReadBundle(exported, "acme", true)
	if len(faults) > 0 || strings.Count(documents, "- name: ") != 2 {
		t.Fatalf("%v\n%s", faults, text)
	}
	if _, err := b.Apply(t.Context(), "empty", bundle.Tenants[0].Changes, byTest); err != nil {
		t.Errorf("the export is not imported: %v\n%s", err, text)
	}
}

// A value that looks like a variable of the files is a text here: it is kept as it is written, and its mask can be sent back.
func TestBookKeepsLiterals(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	made, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(`{"url": "https://a.example.com/", "title": "Costs $${AMOUNT}", "signature": "none", "headers": {"X-Key": "pa$${s}"}}`)}, byTest)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := b.Get(t.Context(), "acme", "webhook/a")
	if err != nil || shown.State != config.Active || !strings.Contains(string(shown.Spec), "Costs $${AMOUNT}") {
		t.Fatalf("%+v %s, %v", shown, shown.Spec, err)
	}
	for what, c := range map[string]Change{"sent back": {Name: "webhook/a", Spec: shown.Spec}, "patched with nothing": {Name: "webhook/a", Patch: true, Spec: []byte("{}")}} {
		if r, err := b.one(t, c, byTest); err != nil || r.Would != WouldNothing || r.Entry.Version != made.Entry.Version {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	if all, err := b.documents(t.Context(), "acme"); err != nil || all["webhook/a"].Secrets["headers.X-Key"].Expose() != "pa${s}" {
		t.Errorf("%v, %v", all, err)
	}
}

// What does not fit is refused, and nothing is written.
func TestBookRefuses(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	for _, c := range []Change{
		{Name: "webhook/a", Spec: []byte(someHook)},
		{Name: "connection/crm", Spec: []byte(`{"hubspot": {"token": "pat-na1-0123456789"}}`)},
		{Name: "rule/r", Spec: []byte("when: nps_score <= 6\nsend: [crm]\n")},
		{Name: "connection/numbers", Spec: []byte(`{"webhook": {"url": "https://a.example.com/", "signature": "none", "headers": {"0": "abcdef", "1": "ghijkl"}}}`)},
	} {
		if _, err := b.one(t, c, byTest); err != nil {
			t.Fatal(err)
		}
	}
	zero := uint64(0)
	mask := b.Masks.Mask(connectors.NewSecret("abcdef"))
	for what, tt := range map[string]struct {
		c    Change
		want any
	}{
		"a fault":                  {Change{Name: "rule/x", Spec: []byte(`{"when": "nps_scor <= 6", "send": ["crm"]}`)}, new(*FaultsError)},
		"needed by a rule":         {Change{Name: "connection/crm", Delete: true}, new(*NeededError)},
		"there is one":             {Change{Name: "webhook/a", Spec: []byte(someHook), If: &zero}, new(*VersionError)},
		"a moved mask":             {Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"headers": {"X-Other": "` + mask + `"}}`)}, new(*MaskError)},
		"a mask of another number": {Change{Name: "connection/numbers", Patch: true, Spec: []byte(`{"webhook": {"headers": {"1": "` + mask + `"}}}`)}, new(*MaskError)},
		"a mask in the URL":        {Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"url": "https://a.example.com/` + mask + `"}`)}, new(*MaskError)},
		"a mask of a stranger":     {Change{Name: "webhook/b", Spec: []byte(strings.Replace(someHook, "abcdef", mask, 1))}, new(*MaskError)},
	} {
		if _, err := b.one(t, tt.c, byTest); err == nil || !errors.As(err, tt.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := b.one(t, Change{Name: "webhook/b", Spec: []byte(strings.Replace(someHook, "a.example", "b.example", 1))}, byTest); err != nil {
		t.Fatal(err)
	}
	var limit *LimitError
	if _, err := b.one(t, Change{Name: "webhook/c", Spec: []byte(someHook)}, byTest); !errors.As(err, &limit) || limit.Error() != "this plan has 2 webhooks, and 2 are there" {
		t.Errorf("over the limit: %v", err)
	}
	// Together they pass: the rule leaves with what it needs.
	results, err := b.Apply(t.Context(), "acme", []Change{{Name: "connection/crm", Delete: true}, {Name: "rule/r", Delete: true}}, byTest)
	if err != nil || len(results) != 2 {
		t.Errorf("%+v, %v", results, err)
	}
}

// An address that is itself a credential is shown as a mask, which stands for it when it is sent back.
func TestCredentialAddressIsMasked(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	const address = "https://hooks.zapier.com/hooks/catch/1/abcdef"
	if _, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(`{"url": "` + address + `", "signature": "none", "events": ["response.completed"]}`)}, byTest); err != nil {
		t.Fatal(err)
	}
	shown, err := b.Get(t.Context(), "acme", "webhook/a")
	if err != nil || strings.Contains(string(shown.Spec), "abcdef") || !strings.Contains(string(shown.Spec), dots) {
		t.Fatalf("%s, %v", shown.Spec, err)
	}
	if again, err := b.one(t, Change{Name: "webhook/a", Spec: shown.Spec}, byTest); err != nil || again.Would != WouldNothing {
		t.Errorf("%+v, %v", again, err)
	}
	patched, err := b.one(t, Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"timeout": "5s"}`)}, byTest)
	if err != nil || patched.Would != WouldUpdate {
		t.Fatalf("%+v, %v", patched, err)
	}
	all, err := b.documents(t.Context(), "acme")
	if err != nil || all["webhook/a"].Secrets["url"].Expose() != address {
		t.Errorf("%s, %v", all["webhook/a"].Spec, err)
	}
	lines, err := b.Audit.Lines(t.Context(), "acme", 0, -1)
	if err != nil || len(lines) != 2 || strings.Contains(string(lines[0].After)+string(lines[1].After), "abcdef") {
		t.Errorf("%+v, %v", lines, err)
	}
}

// A secret with `${` in it stays what it is when the gateway itself changes the document, and when it is sent back as it was shown.
func TestSecretsWithDollarBraces(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	if _, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(`{"url": "https://a.example.com/", "signature": "github", "secrets": ["sec$${ret}-0123456789"], "headers": {"X-Key": "pa$${s}"}}`)}, byTest); err != nil {
		t.Fatal(err)
	}
	shown, err := b.Get(t.Context(), "acme", "webhook/a")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := b.one(t, Change{Name: "webhook/a", Spec: shown.Spec}, byTest); err != nil || r.Would != WouldNothing {
		t.Errorf("sent back: %+v, %v", r, err)
	}
	if _, err := b.AddSecret(t.Context(), "acme", "webhook/a", time.Hour, nil, byTest); err != nil {
		t.Fatal(err)
	}
	all, err := b.documents(t.Context(), "acme")
	if got := all["webhook/a"].Secrets; err != nil || got["headers.X-Key"].Expose() != "pa${s}" || got["secrets.0"].Expose() != "sec${ret}-0123456789" || len(got) != 3 {
		t.Errorf("%v, %v", all, err)
	}
}

// What a rule gives a webhook is a secret too: it is sealed, and shown as a mask.
func TestSecretsOfRules(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	for _, c := range []Change{
		{Name: "webhook/a", Spec: []byte(someHook)},
		{Name: "rule/r", Spec: []byte(`{"when": "nps_score <= 6", "send": [{"a": {"headers": {"X-Rule": "rules-secret-01"}, "body": {"score": "nps_score"}}}]}`)},
	} {
		if _, err := b.one(t, c, byTest); err != nil {
			t.Fatal(err)
		}
	}
	all, err := b.documents(t.Context(), "acme")
	r := all["rule/r"]
	if err != nil || r.Secrets[`send.0.a.headers.X-Rule`].Expose() != "rules-secret-01" || strings.Contains(string(r.Spec), "rules-secret") {
		t.Errorf("%s %v, %v", r.Spec, r.Secrets, err)
	}
	shown, err := b.Get(t.Context(), "acme", "rule/r")
	if err != nil || shown.State != config.Active || strings.Contains(string(shown.Spec), "rules-secret") || !strings.Contains(string(shown.Spec), `"score":"nps_score"`) {
		t.Errorf("%s %v, %v", shown.Spec, shown.State, err)
	}
	if again, err := b.one(t, Change{Name: "rule/r", Spec: shown.Spec}, byTest); err != nil || again.Would != WouldNothing {
		t.Errorf("sent back: %+v, %v", again, err)
	}
	// A step before it moves it; another destination does not get it.
	moved := strings.Replace(string(shown.Spec), `"send":[`, `"send":[{"a":{},"as":"x"},`, 1)
	if r, err := b.one(t, Change{Name: "rule/r", Spec: []byte(moved)}, byTest); err != nil || r.Would != WouldUpdate {
		t.Errorf("moved: %+v, %v", r, err)
	}
	if all, err = b.documents(t.Context(), "acme"); err != nil || all["rule/r"].Secrets[`send.1.a.headers.X-Rule`].Expose() != "rules-secret-01" {
		t.Errorf("%v, %v", all["rule/r"], err)
	}
	var mask *MaskError
	if _, err := b.one(t, Change{Name: "rule/r", Spec: []byte(strings.Replace(string(shown.Spec), `{"a":`, `{"b":`, 1))}, byTest); !errors.As(err, &mask) {
		t.Errorf("for another destination: %v", err)
	}
	lines, err := b.Audit.Lines(t.Context(), "acme", 0, -1)
	if err != nil || len(lines) != 3 || strings.Contains(string(lines[0].After)+string(lines[1].After)+string(lines[2].After), "rules-secret") {
		t.Errorf("%+v, %v", lines, err)
	}
}

// Whatever the store holds in clear is shown as a mask, also of documents that are not used, and is sealed by the next change.
func TestUnsealedSecretsAreMasked(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	base, err := config.LoadText([]byte("webhooks:\n  - {name: shadowed, tenant: acme, url: \"https://a.example.com/\", signature: none, events: [\"*\"]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	b.Base = func() *config.Config { return base }
	const secret = "clear-secret-0123456789-0123456789"
	for name, tt := range map[string]struct {
		spec, shown string
		state       config.DocumentState
	}{
		"webhook/a":           {`{"url": "https://a.example.com/", "signature": "none", "headers": {"X-A": "SECRET"}}`, `"url":"https://a.example.com/"`, config.Active},
		"webhook/credential":  {`{"url": "https://hooks.zapier.com/SECRET", "signature": "none"}`, `"signature":"none"`, config.Active},
		"webhook/shadowed":    {`{"url": "https://b.example.com/", "signature": "none", "headers": {"X-A": "SECRET"}}`, `"url":"https://b.example.com/"`, config.Shadowed},
		"webhook/b":           {`{"url": "https://b.example.com/", "signature": "nonsense", "secrets": ["SECRET"], "headers": ["SECRET"]}`, `"url":"https://b.example.com/"`, config.Broken},
		"webhook/misspelt":    {`{"url": "https://b.example.com/", "heders": {"X-A": "SECRET"}, "secretz": {"a": ["SECRET"]}}`, "", config.Broken},
		"webhook/twice":       {`{"url": "https://b.example.com/", "url": "https://b.example.com/", "headers": {"X-A": "SECRET"}}`, "null", config.Broken},
		"webhook/list":        {`["SECRET"]`, "", config.Broken},
		"connection/unknown":  {`{"hubspott": {"token": "SECRET"}}`, "", config.Broken},
		"connection/two":      {`{"hubspot": {"token": "SECRET"}, "slack": {"token": "SECRET"}}`, "", config.Broken},
		"connection/crm":      {`{"hubspot": {"token": "SECRET", "portal": 1}}`, "", config.Broken},
		"source/s":            {`{"profile": "pollqr", "secrets": "SECRET", "path_token": "SECRET"}`, `"profile":"pollqr"`, config.Broken},
		"source/profile":      {`{"profile": "nobodys", "secrets": ["SECRET"]}`, "", config.Broken},
		"rule/nowhere":        {`{"when": "nps_score <= 6", "send": [{"nowhere": {"headers": {"X-A": "SECRET"}}}]}`, `"when":"nps_score <= 6"`, config.Broken},
		"rule/own":            {`{"send": [{"a": {"secrets": ["SECRET"], "headers": {"X-A": "SECRET"}}}]}`, "", config.Broken},
		"rule/of-broken":      {`{"send": [{"b": {"headers": {"X-A": "SECRET"}, "body": {"score": "nps_score"}}}]}`, `"score":"nps_score"`, config.Active},
		"rule/action":         {`{"send": [{"a.nonsense": {"token": "SECRET"}}]}`, "", config.Broken},
		"rule/twice":          {`{"send": ["a", {"a": {"headers": {"X-A": "SECRET"}}}]}`, "", config.Broken},
		"rule/two":            {`{"send": [{"a": {"body": "event"}, "b": {"headers": {"X-A": "SECRET"}}}]}`, "", config.Broken},
		"rule/misplaced":      {`{"send": {"a": {"headers": {"X-A": "SECRET"}}}}`, "", config.Broken},
		"nonsense/a":          {`{"url": "SECRET"}`, "", config.Broken},
		"webhook/Not A Name!": {`{"url": "SECRET"}`, "", config.Broken},
	} {
		spec := strings.ReplaceAll(tt.spec, "SECRET", secret)
		if _, err := b.Writer.Put(t.Context(), "acme", Draft{Name: name, Spec: []byte(spec)}, 0); err != nil {
			t.Fatal(err)
		}
		defer func() {
			e, err := b.Get(t.Context(), "acme", name)
			if err != nil || e.State != tt.state || strings.Contains(string(e.Spec), "clear-secret") || !strings.Contains(string(e.Spec), tt.shown) {
				t.Errorf("%s: %s %s %v, %v", name, e.State, e.Spec, e.Faults, err)
			}
			if text := e.Faults.Error(); strings.Contains(text, "clear-secret") {
				t.Errorf("%s: %s", name, text)
			}
		}()
	}
	exported, err := b.Export(t.Context(), "acme", false)
	if err != nil || strings.Contains(string(exported), "clear-secret") || !strings.Contains(string(exported), "ACME_WEBHOOK_A_HEADERS_X_A}") {
		t.Errorf("%s, %v", exported, err)
	}
	patched, err := b.one(t, Change{Name: "webhook/a", Patch: true, Spec: []byte(`{}`)}, byTest)
	if err != nil || patched.Would != WouldUpdate {
		t.Fatalf("%+v, %v", patched, err)
	}
	kept, err := b.Writer.Store.Get(t.Context(), "acme", state.KindDocument, "webhook/a")
	if err != nil || strings.Contains(string(kept.Value), "clear-secret") {
		t.Errorf("%s, %v", kept.Value, err)
	}
	lines, err := b.Audit.Lines(t.Context(), "acme", 0, -1)
	if err != nil || len(lines) != 1 || strings.Contains(string(lines[0].Before)+string(lines[0].After), "clear-secret") {
		t.Errorf("%+v, %v", lines, err)
	}
	all, err := b.documents(t.Context(), "acme")
	if err != nil || all["webhook/a"].Secrets["headers.X-A"].Expose() != secret {
		t.Errorf("%v, %v", all["webhook/a"], err)
	}
}

// later is a clock that is ahead.
type later struct {
	clock.Clock
	by time.Duration
}

func (l *later) Now() time.Time { return l.Clock.Now().Add(l.by) }

// A webhook that a file shadows, or that is broken, keeps its secret that is due to end, without being tried again all the time. It ends
// soon after the webhook is mended.
func TestSecretsThatCannotEnd(t *testing.T) {
	t.Parallel()
	for what, text := range map[string]string{
		"shadowed": "webhooks:\n  - {name: a, tenant: acme, url: \"https://a.example.com/\", signature: none, events: [\"*\"]}\n",
		"broken":   "tokens:\n  - {name: t, tenant: acme, scopes: [read], secret: 0123456789-0123456789-0123456789}\n",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := newBook(t, local(t))
			ahead := &later{Clock: clock.System()}
			b.Writer.Clock = ahead
			if _, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(someHook)}, byTest); err != nil {
				t.Fatal(err)
			}
			if _, err := b.AddSecret(t.Context(), "acme", "webhook/a", time.Hour, nil, byTest); err != nil {
				t.Fatal(err)
			}
			former := b.Base()
			now, err := config.LoadText([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			b.Base = func() *config.Config { return now }
			setting, err := b.Writer.Store.Get(t.Context(), "acme", state.KindDocument, "webhook/a")
			if err != nil {
				t.Fatal(err)
			}
			if what == "broken" {
				setting.Value = []byte(strings.Replace(string(setting.Value), "response.completed", "response.nonsense", 1))
				if setting.Version, err = b.Writer.Store.Put(t.Context(), "acme", state.KindDocument, "webhook/a", setting.Value, setting.Version); err != nil {
					t.Fatal(err)
				}
			}
			ahead.by = 61 * time.Minute
			if err := b.EndSecrets(t.Context()); err == nil || !strings.Contains(err.Error(), "webhook a of tenant acme") {
				t.Errorf("the first try: %v", err)
			}
			if err := b.EndSecrets(t.Context()); err != nil {
				t.Errorf("tried again at once: %v", err)
			}
			ahead.by += endAgain
			if err := b.EndSecrets(t.Context()); err == nil {
				t.Error("not tried again")
			}
			b.Base = func() *config.Config { return former }
			if what == "broken" {
				if _, err := b.one(t, Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"events": ["response.completed"]}`)}, byTest); err != nil {
					t.Fatal(err)
				}
			} else {
				ahead.by += endAgain + time.Second
			}
			if err := b.EndSecrets(t.Context()); err != nil {
				t.Error(err)
			}
			if all, err := b.Secrets(t.Context(), "acme", "webhook/a"); err != nil || len(all) != 1 {
				t.Errorf("%+v, %v", all, err)
			}
		})
	}
}

// resealing is a store in which another process writes a document anew, with the same contents, right before its next change.
type resealing struct {
	state.Store
	next bool
}

func (r *resealing) WriteAll(ctx context.Context, b *state.Batch) ([]uint64, error) {
	for _, w := range b.Writes {
		if !r.next || w.Kind != state.KindDocument {
			continue
		}
		r.next = false
		kept, err := r.Get(ctx, w.Tenant, w.Kind, w.Name)
		if err != nil {
			return nil, err
		}
		if _, err = r.Put(ctx, w.Tenant, w.Kind, w.Name, kept.Value, kept.Version); err != nil {
			return nil, err
		}
	}
	return r.Store.WriteAll(ctx, b)
}

// A rotation of the key writes documents anew while they are changed. The changes are made all the same.
func TestBookDuringReseal(t *testing.T) {
	t.Parallel()
	store := &resealing{Store: local(t)}
	b := newBook(t, store)
	if _, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(someHook)}, byTest); err != nil {
		t.Fatal(err)
	}
	store.next = true
	if r, err := b.one(t, Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"timeout": "5s"}`)}, byTest); err != nil || r.Would != WouldUpdate {
		t.Errorf("%+v, %v", r, err)
	}
	if now, err := b.Get(t.Context(), "acme", "webhook/a"); err != nil || !strings.Contains(string(now.Spec), `"5s"`) {
		t.Errorf("%+v, %v", now, err)
	}
	store.next = true
	if _, err := b.one(t, Change{Name: "webhook/a", Delete: true}, byTest); err != nil {
		t.Error(err)
	}
	if _, err := b.Get(t.Context(), "acme", "webhook/a"); !errors.Is(err, ErrNoDocument) || store.next {
		t.Errorf("after the deletion: %v", err)
	}
}

// Where a secret cannot be opened, because this replica does not have its key yet, no change loses it; one that sets it again is made.
func TestChangeKeepsClosedSecrets(t *testing.T) {
	t.Parallel()
	store := local(t)
	with, without := newBook(t, store), newBook(t, store)
	with.Writer.Vault = newVault(t, store, strings.Replace(one, "k1:", "k2:", 1))
	if _, err := with.one(t, Change{Name: "webhook/a", Spec: []byte(someHook)}, byTest); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Change{
		{Patch: true, Spec: []byte(`{"timeout": "5s"}`)},
		{Patch: true, Spec: []byte(`{"headers": {"X-New": "ghijkl"}}`)},
		{Patch: true, Spec: []byte(`{"headers": {"X-Key": "new"}}`)},
		{Spec: []byte(`{"url": "https://a.example.com/", "events": ["response.completed"], "headers": {"X-Key": "abcdef"}}`)},
		{edit: func(map[string]any, *read) error { return nil }},
	} {
		c.Name = "webhook/a"
		var closed *ClosedError
		if _, err := without.one(t, c, byTest); !errors.As(err, &closed) || !errors.Is(err, vault.ErrNoKey) {
			t.Errorf("%s: %v", c.Spec, err)
		}
	}
	if _, err := without.one(t, Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"headers": {"X-Key": "new"}, "secrets": ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}`)}, byTest); err != nil {
		t.Error(err)
	}
	all, err := without.documents(t.Context(), "acme")
	if got := all["webhook/a"].Secrets; err != nil || got["headers.X-Key"].Expose() != "new" || len(got) != 2 {
		t.Errorf("secrets %v, %v", got, err)
	}
}
